//! Sandboxes that are there and become otherwise: what is touched, what stays, and what is refused.

mod support;

use cnm::{
    Kind,
    api::{EndpointRequest, NamespaceRequest, NetworkCreate, PoolConfig, PortRange, PortRequest, SandboxPut},
    id::EndpointId,
    plan::Plan,
    sandbox::Sandbox,
    spec::EndpointSpec,
    state::{PutOutcome, State},
};
use support::{Bench, id, net, net_with, on, port, put, put_with_ports};

fn picture(state: &State) -> String {
    format!("{state:?}")
}

/// `host->container` of its published ports over IPv4.
fn ports_of(sandbox: &Sandbox) -> Vec<String> {
    let ports = sandbox.ports.iter().filter(|port| port.host.ip().is_ipv4());
    ports.map(|port| format!("{}+{}->{}", port.host_first, port.count, port.container_first)).collect()
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.ops.iter().map(ToString::to_string).collect()
}

fn with_subnet(name: &str, subnet: &str) -> NetworkCreate {
    let pool = PoolConfig { subnet: Some(subnet.to_owned()), ..Default::default() };
    NetworkCreate { pools: vec![pool], ..net(name) }
}

#[test]
fn a_port_more_and_a_port_less_touch_nothing_else() {
    let mut bench = Bench::started();
    let wish = |ports: &[(u16, u16)]| {
        let ports = ports.iter().map(|(host, container)| port(Some("127.0.0.1"), *host, *container)).collect();
        put_with_ports(vec![on("bridge")], ports)
    };
    bench.sandbox("web", wish(&[(0, 80), (8080, 80)]));
    let (sandbox, plan) = bench.change("web", wish(&[(0, 80), (8080, 80), (8081, 81)]));
    insta::assert_snapshot!(plan, @"firewall add {port tcp/127.0.0.1:8081+1 -> 172.17.0.2:81 on berth0}");
    assert_eq!(ports_of(&sandbox), ["32768+1->80", "8080+1->80", "8081+1->81"]);
    // Ports of our choice are the same when the same is asked for, and not taken by whoever names them.
    let error = bench.wish("web", wish(&[(0, 80), (8080, 80), (32768, 81)])).expect_err("it has it");
    assert!(error.message.contains("port 32768/tcp on 127.0.0.1"), "{}", error.message);
    let (sandbox, plan) = bench.change("web", wish(&[(8081, 81), (0, 80), (0, 82)]));
    assert_eq!(ports_of(&sandbox), ["8081+1->81", "32768+1->80", "32769+1->82"]);
    insta::assert_snapshot!(plan, @r"
    firewall del {port tcp/127.0.0.1:8080+1 -> 172.17.0.2:80 on berth0}
    firewall add {port tcp/127.0.0.1:32769+1 -> 172.17.0.2:82 on berth0}
    ");
    // What it no longer has is free for others, and no sooner.
    bench.sandbox("other", wish(&[(8080, 80)]));
    bench.wish("web", wish(&[(0, 80)])).expect("a change");
    let error = bench.put("third", wish(&[(8081, 80)])).expect_err("it isn't gone yet");
    assert!(error.message.contains("by sandbox web"), "{}", error.message);
    bench.state.changed(&id("web")).expect("reserved before");
    bench.sandbox("third", wish(&[(8081, 80)]));
}

#[test]
fn a_range_grows_by_a_run_of_its_own_and_can_be_cut_anywhere() {
    let mut bench = Bench::started();
    let wish = |first: u16, last: u16| {
        let range = PortRange { first, last };
        let port = PortRequest { host_ports: Some(range), container_ports: range, ..port(None, first, first) };
        put_with_ports(vec![on("bridge")], vec![port])
    };
    let ipv4 = |plan: &Plan| lines(plan).into_iter().filter(|line| !line.contains("tcp/::")).collect::<Vec<_>>();
    bench.sandbox("web", wish(6000, 6009));
    let (sandbox, plan) = bench.change("web", wish(5999, 6011));
    assert_eq!(ports_of(&sandbox), ["5999+1->5999", "6000+10->6000", "6010+2->6010"]);
    assert!(ipv4(&plan).iter().all(|line| line.starts_with("firewall add")), "{plan}");
    let (sandbox, plan) = bench.change("web", wish(6001, 6010));
    assert_eq!(ports_of(&sandbox), ["6001+9->6001", "6010+1->6010"]);
    assert_eq!(ipv4(&plan).len(), 5, "{plan}");
    for (taken, free) in [(6001, 6000), (6010, 6011), (6005, 5999)] {
        bench.put("other", wish(taken, taken)).expect_err("it has it");
        bench.sandbox("other", wish(free, free));
        bench.state.forget_sandbox(&id("other")).expect("it is there");
    }
    bench.state.forget_sandbox(&id("web")).expect("it is there");
    bench.sandbox("other", wish(5990, 6020));
}

#[test]
fn endpoints_come_go_and_are_made_anew_by_one_plan() {
    let mut bench = Bench::started();
    bench.network(with_subnet("blue", "10.7.0.0/24"));
    bench.network(net("red"));
    let (before, _) = bench.sandbox("web", put_with_ports(vec![on("bridge"), on("red")], vec![port(None, 4000, 80)]));
    // Red stays as it is, by whatever name it is called; its aliases and its priority need no new link.
    let red = EndpointRequest {
        aliases: vec!["r".to_owned()],
        gateway_priority: 1,
        ..on(before.endpoints[1].network.as_str())
    };
    let (during, plan) = bench.change("web", put_with_ports(vec![red.clone(), on("blue")], vec![port(None, 4000, 80)]));
    let links: Vec<_> = lines(&plan).into_iter().filter(|line| line.starts_with("link")).collect();
    assert_eq!(links.len(), 2, "{plan}");
    assert_eq!(during.endpoints[0].attachment, before.endpoints[1].attachment);
    assert_eq!(during.endpoints[0].spec.aliases, ["r"]);
    let names: Vec<_> =
        during.endpoints.iter().map(|endpoint| endpoint.interface().expect("a link").name.to_string()).collect();
    assert_eq!(names, ["eth1", "eth2"], "eth0 is still there when eth2 comes");
    assert_eq!(during.gateways().ipv4.map(|way| way.network_name.to_string()).as_deref(), Some("red"));
    // Another address is another link of the same endpoint.
    let blue = EndpointRequest { ipv4: Some("10.7.0.9".to_owned()), ..on("blue") };
    let (after, plan) = bench.change("web", put_with_ports(vec![red, blue.clone()], vec![port(None, 4000, 80)]));
    assert_eq!(after.endpoints[1].id, during.endpoints[1].id);
    assert!(lines(&plan).iter().any(|line| line.starts_with("address add 10.7.0.9/24 dev eth2@web")), "{plan}");
    // The addresses that it no longer has are free.
    let freed = during.endpoints[1].interface().expect("a link").addresses[0].address.ip().to_string();
    bench.sandbox("other", put(vec![EndpointRequest { ipv4: Some(freed), ..on("blue") }]));
    let error = bench.wish("other", put(vec![blue])).expect_err("web has it");
    assert!(error.message.contains("is held by sandbox web"), "{}", error.message);
}

#[test]
fn a_change_that_fails_gives_everything_back() {
    let mut bench = Bench::started();
    bench.network(net("aa"));
    let first = put_with_ports(vec![on("bridge")], vec![port(None, 4000, 80), port(None, 0, 81)]);
    let (before, _) = bench.sandbox("web", first.clone());
    bench.wish("web", put_with_ports(vec![on("aa")], vec![port(None, 4001, 80)])).expect("a change");
    assert_eq!(bench.state.unchanged(&id("web")).expect("it is there"), before);
    assert!(matches!(bench.put("web", first), Ok(PutOutcome::There(there)) if there == before));
    bench.sandbox("other", put_with_ports(vec![on("aa")], vec![port(None, 4001, 80)]));
    bench.put("third", put_with_ports(vec![on("aa")], vec![port(None, 4000, 80)])).expect_err("web has it");
    bench.state.forget_sandbox(&id("web")).expect("it is there");
    bench.state.forget_sandbox(&id("other")).expect("it is there");
    let network = bench.state.network(&"aa".parse().expect("a reference")).expect("it is there").id.clone();
    assert_eq!(bench.state.members(&network).count(), 0);
}

#[test]
fn a_sandbox_that_goes_in_the_middle_of_a_change_takes_all_of_it_along() {
    let mut bench = Bench::started();
    let (network, _) = bench.network(net("aa"));
    bench.sandbox("web", put_with_ports(vec![on("bridge")], vec![port(None, 4000, 80)]));
    bench.wish("web", put_with_ports(vec![on("aa")], vec![port(None, 4001, 80)])).expect("a change");
    bench.state.change_stuck(&id("web"), "EBUSY".to_owned()).expect("it is there");
    assert_eq!(bench.wish("web", put(vec![])).expect_err("it is changing").kind, Kind::Conflict);
    let (_, plan) = bench.state.remove_sandbox(&drivers::Registry, &id("web")).expect("it is there");
    let gone =
        lines(&plan).into_iter().filter(|line| line.starts_with("link retire") || line.starts_with("firewall del"));
    assert!(gone.count() >= 4, "{plan}");
    bench.state.forget_sandbox(&id("web")).expect("it is there");
    bench.sandbox("b", put_with_ports(vec![on("bridge")], vec![port(None, 4000, 80), port(None, 4001, 80)]));
    bench
        .state
        .remove_network(&drivers::Registry, &network.id.as_str().parse().expect("a reference"))
        .expect("nobody is on it");
}

#[test]
fn refused_changes_change_nothing() {
    let mut bench = Bench::started();
    bench.network(net("blue"));
    bench.sandbox("alone", put(vec![on("none")]));
    bench.sandbox("web", put(vec![on("bridge")]));
    bench.sandbox("taken", put_with_ports(vec![on("bridge")], vec![port(None, 4000, 80)]));
    bench.sandbox("host", SandboxPut { namespace: NamespaceRequest::Host, ..put(vec![on("host")]) });
    let named = EndpointRequest { interface: Some("eth0".to_owned()), ..on("blue") };
    for (sandbox, wire, kind, part) in [
        ("gone", on("blue"), Kind::NotFound, "sandbox gone not found"),
        ("web", on("bridge"), Kind::Forbidden, "sandbox web is on network bridge already"),
        ("web", on("none"), Kind::Forbidden, "it is on other networks"),
        ("web", named.clone(), Kind::Conflict, "has an interface eth0 already"),
        ("alone", on("blue"), Kind::Forbidden, "it is on network none, which can't be combined with others"),
        ("host", on("blue"), Kind::Forbidden, "it is on network host, which can't be combined with others"),
    ] {
        let before = picture(&bench.state);
        let spec = EndpointSpec::try_from(wire).expect("a valid endpoint");
        let error = bench.with(|state, context| state.connect(&id(sandbox), spec, context)).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
        assert_eq!(error.kind, kind, "{part}");
        assert_eq!(picture(&bench.state), before, "{part}");
    }
    let theirs = SandboxPut { owner: "them".to_owned(), ..put(vec![on("bridge")]) };
    let moved =
        SandboxPut { namespace: NamespaceRequest::Path("/proc/7/ns/net".to_owned()), ..put(vec![on("bridge")]) };
    for (wire, kind, part) in [
        (theirs, Kind::Forbidden, "sandbox web is of owner test, and them can't change it"),
        (moved, Kind::Conflict, "lives in a network namespace of its own and can't move to network namespace /proc/7"),
        (put(vec![on("blue"), on("none")]), Kind::Forbidden, "a sandbox on network none can't be on another"),
        (put(vec![on("green")]), Kind::NotFound, "network green not found"),
        (put(vec![on("host")]), Kind::InvalidParameter, "lives in the host's network namespace"),
        (put(vec![named]), Kind::Conflict, "has an interface eth0 already, on network bridge"),
        (
            put_with_ports(vec![on("bridge")], vec![port(None, 5000, 80), port(None, 4000, 80)]),
            Kind::Conflict,
            "by sandbox taken: port is already allocated",
        ),
    ] {
        let before = picture(&bench.state);
        let error = bench.wish("web", wire).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
        assert_eq!(error.kind, kind, "{part}");
        assert_eq!(picture(&bench.state), before, "{part}");
    }
}

#[test]
fn ports_follow_the_way_out_from_mode_to_mode() {
    let mut bench = Bench::started();
    bench.network(net_with("a-campus", &[("bridge.gateway_mode_ipv4", "routed")]));
    bench.network(NetworkCreate { internal: true, ..net("inner") });
    let (start, _) = bench.sandbox("web", put_with_ports(vec![on("inner")], vec![port(None, 4000, 80)]));
    let mut joined: Vec<EndpointId> = Vec::new();
    let mut connect = |bench: &mut Bench, network: &str| {
        let spec = on(network).try_into().expect("a valid endpoint");
        bench.with(|state, context| state.connect(&id("web"), spec, context)).expect("connected");
        let (_, sandbox) = bench.state.changed(&id("web")).expect("reserved before");
        joined.extend(sandbox.endpoints.last().map(|endpoint| endpoint.id.clone()));
        sandbox.to_api(None).ports.into_iter().map(|port| port.host_ip).collect::<Vec<_>>()
    };
    let ip = |text: &str| text.parse::<std::net::IpAddr>().expect("an address");
    assert!(start.ports.is_empty());
    assert_eq!(connect(&mut bench, "bridge"), ["0.0.0.0", "::"].map(ip));
    assert_eq!(connect(&mut bench, "a-campus"), ["172.18.0.2"].map(ip));
    let shown = joined.into_iter().rev().map(|endpoint| {
        bench.with(|state, context| state.disconnect(&id("web"), &endpoint, context)).expect("disconnected");
        bench.state.changed(&id("web")).expect("it was there").1.ports.len()
    });
    assert_eq!(shown.collect::<Vec<_>>(), [2, 0]);
    bench.sandbox("other", put_with_ports(vec![on("bridge")], vec![port(None, 4000, 80)]));
}

#[test]
fn a_sandbox_on_the_host_stays_there() {
    let mut bench = Bench::started();
    let host = SandboxPut { namespace: NamespaceRequest::Host, ..put(vec![on("host")]) };
    let (sandbox, _) = bench.sandbox("web", host);
    let endpoint = sandbox.endpoints[0].id.clone();
    let error = bench.with(|state, context| state.disconnect(&id("web"), &endpoint, context)).expect_err("refused");
    assert_eq!(error.message, "sandbox web can't be disconnected from network host: it lives there");
}

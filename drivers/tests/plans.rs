//! Golden plans: what each kind of request asks of the host.

mod support;

use cnm::api::{NamespaceRequest, NetworkCreate, SandboxPut};
use drivers::Registry;
use support::{Bench, id, net, net_with, on, port, put, put_with_ports, teardown};

#[test]
fn predefined_networks() {
    let mut bench = Bench::new();
    let specs = bench.with(|state, context| state.missing_predefined(context));
    let plans: Vec<String> = specs
        .into_iter()
        .map(|spec| {
            let (network, plan) = bench.with(|state, context| state.create_network(spec, true, context)).expect("made");
            format!("{} ({}):\n{plan}", network.spec.name, network.spec.driver)
        })
        .collect();
    insta::assert_snapshot!(plans.concat(), @r"
    bridge (bridge):
    firewall add {network berth0 172.17.0.0/16 masquerade=true icc=true internal=false}
    link add berth0 type bridge address 06:01:01:01:01:01 mtu 1500
    sysctl host net/ipv6/conf/berth0/disable_ipv6=1 (was 0)
    address add 172.17.0.1/16 dev berth0
    host (host):
    none (null):
    ");
    assert!(bench.with(|state, context| state.missing_predefined(context)).is_empty());
}

#[test]
fn the_default_bridge_makes_way_for_a_route() {
    let mut bench = Bench::new();
    bench.host.routes = vec!["172.17.3.0/24".parse().expect("a prefix")];
    let spec = bench.with(|state, context| state.missing_predefined(context)).remove(0);
    let (network, _) = bench.with(|state, context| state.create_network(spec, true, context)).expect("made");
    assert_eq!(network.pools[0].subnet.to_string(), "172.18.0.0/24");
}

#[test]
fn bridge_network_with_a_sandbox_and_ports() {
    let mut bench = Bench::new();
    bench.host.default_route_mtu_bytes = Some(1420);
    let (network, plan) = bench.network(net("blue"));
    insta::assert_snapshot!(plan, @r"
    firewall add {network bb-010101010101 172.18.0.0/24 masquerade=true icc=true internal=false}
    link add bb-010101010101 type bridge address 06:01:01:01:01:01 mtu 1420
    sysctl host net/ipv6/conf/bb-010101010101/disable_ipv6=1 (was 0)
    address add 172.18.0.1/24 dev bb-010101010101
    ");
    insta::assert_snapshot!(teardown(&plan), @r"
    link retire bb-010101010101
    firewall del {network bb-010101010101 172.18.0.0/24 masquerade=true icc=true internal=false}
    ");
    let ports = vec![port(None, 4000, 80), port(Some("::1"), 4001, 81)];
    let (sandbox, plan) = bench.sandbox("web", put_with_ports(vec![on("blue")], ports));
    insta::assert_snapshot!(plan, @r"
    netns add web
    neighbour add 172.18.0.2 is 02:42:ac:12:00:02 dev bb-010101010101 in host
    link add bv0202020202 mtu 1420 master bb-010101010101 type veth peer eth0@web address 02:42:ac:12:00:02
    sysctl host net/ipv6/conf/bv0202020202/disable_ipv6=1 (was 0)
    sysctl web net/ipv6/conf/eth0/disable_ipv6=1 (was 0)
    address add 172.18.0.2/24 dev eth0@web
    neighbour add 172.18.0.1 is 06:01:01:01:01:01 dev eth0 in web
    route add 0.0.0.0/0 via 172.18.0.1 dev eth0 in web
    firewall add {port tcp/*:4000+1 -> 172.18.0.2:80 on bb-010101010101}
    ");
    insta::assert_snapshot!(bench.apply_loopback(), @"sysctl host net/ipv4/conf/bb-010101010101/route_localnet=1 (was 0)");
    bench.sandbox("second", put_with_ports(vec![on("blue")], vec![port(None, 4002, 80)]));
    insta::assert_snapshot!(bench.apply_loopback(), @"");
    bench.state.forget_sandbox(&id("second")).expect("it is there");
    insta::assert_snapshot!(bench.apply_loopback(), @"");
    let (_, teardown) = bench.state.remove_sandbox(&Registry, sandbox.id()).expect("it is there");
    insta::assert_snapshot!(teardown, @r"
    firewall del {port tcp/*:4000+1 -> 172.18.0.2:80 on bb-010101010101}
    link retire bv0202020202
    neighbour del 172.18.0.2 is 02:42:ac:12:00:02 dev bb-010101010101 in host
    netns drop web
    ");
    assert_eq!(network.mtu_bytes(), Some(1420));
    bench.state.forget_sandbox(&id("web")).expect("it is there");
    insta::assert_snapshot!(bench.apply_loopback(), @"sysctl host net/ipv4/conf/bb-010101010101/route_localnet=0 (was 1)");
}

#[test]
fn internal_network_has_no_way_out() {
    let mut bench = Bench::new();
    let (_, plan) = bench.network(NetworkCreate { internal: true, ..net("inner") });
    insta::assert_snapshot!(plan, @r"
    firewall add {network bb-010101010101 172.18.0.0/24 masquerade=true icc=true internal=true}
    link add bb-010101010101 type bridge address 06:01:01:01:01:01 mtu 1500
    sysctl host net/ipv6/conf/bb-010101010101/disable_ipv6=1 (was 0)
    address add 172.18.0.1/24 dev bb-010101010101
    ");
    let (sandbox, plan) = bench.sandbox("db", put_with_ports(vec![on("inner")], vec![port(None, 4000, 80)]));
    insta::assert_snapshot!(plan, @r"
    netns add db
    neighbour add 172.18.0.2 is 02:42:ac:12:00:02 dev bb-010101010101 in host
    link add bv0202020202 mtu 1500 master bb-010101010101 type veth peer eth0@db address 02:42:ac:12:00:02
    sysctl host net/ipv6/conf/bv0202020202/disable_ipv6=1 (was 0)
    sysctl db net/ipv6/conf/eth0/disable_ipv6=1 (was 0)
    address add 172.18.0.2/24 dev eth0@db
    ");
    assert!(sandbox.ports.is_empty(), "nothing is forwarded there while there is no gateway");
}

#[test]
fn isolated_network_has_no_address_on_its_bridge() {
    let mut bench = Bench::new();
    let options = net_with("inner", &[("bridge.gateway_mode_ipv4", "isolated")]);
    let (network, plan) = bench.network(NetworkCreate { internal: true, ..options });
    insta::assert_snapshot!(plan, @r"
    firewall add {network bb-010101010101 172.18.0.0/24 masquerade=true icc=true internal=true}
    link add bb-010101010101 type bridge address 06:01:01:01:01:01 mtu 1500
    sysctl host net/ipv6/conf/bb-010101010101/disable_ipv6=1 (was 0)
    ");
    assert_eq!(network.to_api(Vec::new()).pools[0].gateway, None);
    let (internal, _) = bench.network(NetworkCreate { internal: true, ..net("internal") });
    assert_eq!(internal.to_api(Vec::new()).pools[0].gateway, Some("172.18.1.1".parse().expect("an address")));
}

#[test]
fn without_inter_container_traffic() {
    let mut bench = Bench::new();
    let (_, plan) = bench.network(net_with("strangers", &[("bridge.enable_icc", "false")]));
    insta::assert_snapshot!(plan, @r"
    firewall add {network bb-010101010101 172.18.0.0/24 masquerade=true icc=false internal=false}
    link add bb-010101010101 type bridge address 06:01:01:01:01:01 mtu 1500
    sysctl host net/ipv6/conf/bb-010101010101/disable_ipv6=1 (was 0)
    address add 172.18.0.1/24 dev bb-010101010101
    ");
    let (_, plan) = bench.sandbox("a", put(vec![on("strangers")]));
    insta::assert_snapshot!(plan, @r"
    netns add a
    neighbour add 172.18.0.2 is 02:42:ac:12:00:02 dev bb-010101010101 in host
    link add bv0202020202 mtu 1500 master bb-010101010101 type veth peer eth0@a address 02:42:ac:12:00:02 isolated
    sysctl host net/ipv6/conf/bv0202020202/disable_ipv6=1 (was 0)
    sysctl a net/ipv6/conf/eth0/disable_ipv6=1 (was 0)
    address add 172.18.0.2/24 dev eth0@a
    neighbour add 172.18.0.1 is 06:01:01:01:01:01 dev eth0 in a
    route add 0.0.0.0/0 via 172.18.0.1 dev eth0 in a
    ");
}

#[test]
fn routed_network_opens_ports_on_endpoints() {
    let mut bench = Bench::new();
    let options = &[("bridge.gateway_mode_ipv4", "routed"), ("bridge.enable_ip_masquerade", "false")];
    let (_, plan) = bench.network(net_with("campus", options));
    insta::assert_snapshot!(plan, @r"
    firewall add {network bb-010101010101 172.18.0.0/24 masquerade=false icc=true internal=false}
    link add bb-010101010101 type bridge address 06:01:01:01:01:01 mtu 1500
    sysctl host net/ipv6/conf/bb-010101010101/disable_ipv6=1 (was 0)
    address add 172.18.0.1/24 dev bb-010101010101
    ");
    let (sandbox, plan) = bench.sandbox("web", put_with_ports(vec![on("campus")], vec![port(None, 4000, 80)]));
    insta::assert_snapshot!(plan, @r"
    netns add web
    neighbour add 172.18.0.2 is 02:42:ac:12:00:02 dev bb-010101010101 in host
    link add bv0202020202 mtu 1500 master bb-010101010101 type veth peer eth0@web address 02:42:ac:12:00:02
    sysctl host net/ipv6/conf/bv0202020202/disable_ipv6=1 (was 0)
    sysctl web net/ipv6/conf/eth0/disable_ipv6=1 (was 0)
    address add 172.18.0.2/24 dev eth0@web
    neighbour add 172.18.0.1 is 06:01:01:01:01:01 dev eth0 in web
    route add 0.0.0.0/0 via 172.18.0.1 dev eth0 in web
    firewall add {open tcp/172.18.0.2:80+1 on bb-010101010101}
    ");
    assert_eq!(sandbox.to_api(None).ports[0].host_ip.to_string(), "172.18.0.2");
}

#[test]
fn options_shape_names_and_sizes() {
    let mut bench = Bench::new();
    let options = &[
        ("bridge.name", "lan0"),
        ("driver.mtu", "9000"),
        ("container_iface_prefix", "lan"),
        ("bridge.inhibit_ipv4", "true"),
        ("bridge.host_binding_ipv4", "127.0.0.1"),
    ];
    let (_, plan) = bench.network(net_with("lan", options));
    insta::assert_snapshot!(plan, @r"
    firewall add {network lan0 172.18.0.0/24 masquerade=true icc=true internal=false}
    link add lan0 type bridge address 06:01:01:01:01:01 mtu 9000
    sysctl host net/ipv6/conf/lan0/disable_ipv6=1 (was 0)
    ");
    let (_, plan) = bench.sandbox("a", put_with_ports(vec![on("lan")], vec![port(None, 4000, 80)]));
    insta::assert_snapshot!(plan, @r"
    netns add a
    neighbour add 172.18.0.2 is 02:42:ac:12:00:02 dev lan0 in host
    link add bv0202020202 mtu 9000 master lan0 type veth peer lan0@a address 02:42:ac:12:00:02
    sysctl host net/ipv6/conf/bv0202020202/disable_ipv6=1 (was 0)
    sysctl a net/ipv6/conf/lan0/disable_ipv6=1 (was 0)
    address add 172.18.0.2/24 dev lan0@a
    route add 0.0.0.0/0 via 172.18.0.1 dev lan0 in a
    firewall add {port tcp/127.0.0.1:4000+1 -> 172.18.0.2:80 on lan0}
    ");
}

#[test]
fn connecting_moves_the_way_out() {
    let mut bench = Bench::new();
    bench.network(net("m"));
    bench.network(net("b"));
    bench.sandbox("web", put_with_ports(vec![on("m")], vec![port(None, 4000, 80)]));
    let spec = on("b").try_into().expect("a valid endpoint");
    let (_, plan) = bench.with(|state, context| state.connect(&id("web"), spec, context)).expect("connected");
    insta::assert_snapshot!(plan, @r"
    neighbour add 172.18.1.2 is 02:42:ac:12:01:02 dev bb-020202020202 in host
    link add bv0404040404 mtu 1500 master bb-020202020202 type veth peer eth1@web address 02:42:ac:12:01:02
    sysctl host net/ipv6/conf/bv0404040404/disable_ipv6=1 (was 0)
    sysctl web net/ipv6/conf/eth1/disable_ipv6=1 (was 0)
    address add 172.18.1.2/24 dev eth1@web
    neighbour add 172.18.1.1 is 06:02:02:02:02:02 dev eth1 in web
    route del 0.0.0.0/0 via 172.18.0.1 dev eth0 in web
    route add 0.0.0.0/0 via 172.18.1.1 dev eth1 in web
    firewall del {port tcp/*:4000+1 -> 172.18.0.2:80 on bb-010101010101}
    firewall add {port tcp/*:4000+1 -> 172.18.1.2:80 on bb-020202020202}
    ");
    let (_, sandbox) = bench.state.changed(&id("web")).expect("reserved before");
    let ways: Vec<(String, bool)> = sandbox
        .to_api(None)
        .endpoints
        .into_iter()
        .map(|endpoint| (endpoint.network_name, endpoint.is_gateway_ipv4))
        .collect();
    assert_eq!(ways, [("m".to_owned(), false), ("b".to_owned(), true)]);
    let endpoint = sandbox.endpoints[1].id.clone();
    let (_, plan) =
        bench.with(|state, context| state.disconnect(&id("web"), &endpoint, context)).expect("disconnected");
    insta::assert_snapshot!(plan, @r"
    route del 0.0.0.0/0 via 172.18.1.1 dev eth1 in web
    route add 0.0.0.0/0 via 172.18.0.1 dev eth0 in web
    firewall del {port tcp/*:4000+1 -> 172.18.1.2:80 on bb-020202020202}
    firewall add {port tcp/*:4000+1 -> 172.18.0.2:80 on bb-010101010101}
    link retire bv0404040404
    neighbour del 172.18.1.2 is 02:42:ac:12:01:02 dev bb-020202020202 in host
    ");
}

#[test]
fn host_and_none_ask_for_nothing_but_a_namespace() {
    let mut bench = Bench::started();
    let host = SandboxPut { namespace: NamespaceRequest::Host, ..put(vec![on("host")]) };
    let (_, plan) = bench.sandbox("a", host);
    insta::assert_snapshot!(plan, @"");
    let (_, plan) = bench.sandbox("b", put(vec![on("none")]));
    insta::assert_snapshot!(plan, @"netns add b");
    let theirs =
        SandboxPut { namespace: NamespaceRequest::Path("/proc/7/ns/net".to_owned()), ..put(vec![on("bridge")]) };
    let (_, plan) = bench.sandbox("c", theirs);
    insta::assert_snapshot!(plan, @r"
    neighbour add 172.17.0.2 is 02:42:ac:11:00:02 dev berth0 in host
    link add bv0606060606 mtu 1500 master berth0 type veth peer eth0@/proc/7/ns/net address 02:42:ac:11:00:02
    sysctl host net/ipv6/conf/bv0606060606/disable_ipv6=1 (was 0)
    sysctl /proc/7/ns/net net/ipv6/conf/eth0/disable_ipv6=1 (was 0)
    address add 172.17.0.2/16 dev eth0@/proc/7/ns/net
    neighbour add 172.17.0.1 is 06:01:01:01:01:01 dev eth0 in /proc/7/ns/net
    route add 0.0.0.0/0 via 172.17.0.1 dev eth0 in /proc/7/ns/net
    ");
}

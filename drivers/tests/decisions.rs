//! What is decided and what is refused: each refusal with its words, and nothing changed by it.

mod support;

use std::collections::BTreeSet;

use cnm::{
    Kind,
    api::{EndpointRequest, NamespaceRequest, NetworkCreate, PoolConfig, SandboxPut, SandboxState},
    driver::Planners,
    lifecycle::Lifecycle,
    observed::{LinkKind, ObservedLink},
    plan::Plan,
    spec::{NetworkRef, NetworkSpec},
    state::{PutOutcome, RejectedRecord, State, Unfinished},
};
use drivers::Registry;
use support::{Bench, id, net, net_with, on, port, put, put_with_ports, teardown};

/// Everything that a refused request must leave as it was.
fn picture(state: &State) -> String {
    format!("{state:?}")
}

fn with_subnet(name: &str, subnet: &str) -> NetworkCreate {
    let pool = PoolConfig { subnet: Some(subnet.to_owned()), ..Default::default() };
    NetworkCreate { pools: vec![pool], ..net(name) }
}

fn with_ip(network: &str, ip: &str) -> EndpointRequest {
    EndpointRequest { ipv4: Some(ip.to_owned()), ..on(network) }
}

fn reference(network: &str) -> NetworkRef {
    network.parse().expect("a reference")
}

#[test]
fn refused_networks_change_nothing() {
    let mut bench = Bench::started();
    bench.network(with_subnet("blue", "10.7.0.0/16"));
    bench.network(net_with("lan", &[("bridge.name", "lan0")]));
    let veth = ObservedLink {
        kind: LinkKind::Veth,
        mac: None,
        mtu_bytes: 1500,
        up: true,
        bridge: None,
        addresses: BTreeSet::new(),
    };
    bench.host.links.insert("veth7".parse().expect("a name"), veth);
    let driver = |driver: &str| NetworkCreate { driver: Some(driver.to_owned()), ..net("n") };
    let long = "com.docker.network.bridge.unheard_of";
    let strange = NetworkCreate { options: [("berth.x".to_owned(), String::new())].into(), ..net("n") };
    let table = [
        (net("blue"), Kind::Conflict, "network with name blue already exists"),
        (net("host"), Kind::Forbidden, "operation is not permitted on predefined host network"),
        (net("default"), Kind::Forbidden, "operation is not permitted on predefined default network"),
        (driver("host"), Kind::Forbidden, "only one instance of \"host\" network is allowed"),
        (driver("null"), Kind::Forbidden, "only one instance of \"null\" network is allowed"),
        (driver("weave"), Kind::NotFound, "plugin \"weave\" not found: drivers are bridge, host, null"),
        (with_subnet("n", "10.7.3.0/24"), Kind::Forbidden, "10.7.3.0/24 overlaps 10.7.0.0/16 of network blue"),
        (strange, Kind::InvalidParameter, "driver bridge has no option \"berth.x\""),
        (net_with("n", &[("bridge.unheard_of", "1")]), Kind::InvalidParameter, long),
        (net_with("n", &[("bridge.enable_icc", "maybe")]), Kind::InvalidParameter, "true or false is expected"),
        (
            net_with("n", &[("bridge.name", "lan0")]),
            Kind::Forbidden,
            "bridge lan0 is already the bridge of network lan",
        ),
        (net_with("n", &[("bridge.name", "a/b")]), Kind::InvalidParameter, "invalid interface name"),
        (
            net_with("n", &[("bridge.name", "veth7")]),
            Kind::InvalidParameter,
            "link veth7: it exists and isn't a bridge",
        ),
        (net_with("n", &[("driver.mtu", "67")]), Kind::InvalidParameter, "68 to 65535 bytes are expected"),
        (net_with("n", &[("driver.mtu", "big")]), Kind::InvalidParameter, "a number of bytes is expected"),
        (net_with("n", &[("bridge.host_binding_ipv4", "here")]), Kind::InvalidParameter, "address of this host"),
        (net_with("n", &[("bridge.gateway_mode_ipv4", "bad")]), Kind::InvalidParameter, "nat, routed or isolated"),
        (net_with("n", &[("bridge.gateway_mode_ipv4", "isolated")]), Kind::InvalidParameter, "internal network"),
        (net_with("n", &[("bridge.gateway_mode_ipv4", "nat-unprotected")]), Kind::NotImplemented, "every port"),
        (net_with("n", &[("bridge.trusted_host_interfaces", "eth0")]), Kind::NotImplemented, "trusted_host_interfaces"),
        (net_with("n", &[("host_ipv4", "10.0.0.1")]), Kind::NotImplemented, "host_ipv4"),
        (net_with("n", &[("bridge.default_bridge", "true")]), Kind::InvalidParameter, "predefined network"),
        (net_with("n", &[("container_iface_prefix", "far_too_long")]), Kind::InvalidParameter, "1 to 11 characters"),
    ];
    for (wire, kind, part) in table {
        let before = picture(&bench.state);
        let error = bench.create(wire).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
        assert_eq!(error.kind, kind, "{part}");
        assert_eq!(picture(&bench.state), before, "{part}");
    }
}

#[test]
fn networks_in_use_or_predefined_stay() {
    let mut bench = Bench::started();
    bench.network(net("blue"));
    bench.sandbox("web", SandboxPut { name: "shop".to_owned(), ..put(vec![on("blue")]) });
    for (network, kind, part) in [
        ("bridge", Kind::Forbidden, "bridge is a pre-defined network and cannot be removed"),
        ("none", Kind::Forbidden, "none is a pre-defined network and cannot be removed"),
        ("blue", Kind::Forbidden, "network blue has active endpoints (name:\"shop\" id:\"050505050505\")"),
        ("green", Kind::NotFound, "network green not found"),
    ] {
        let error = bench.state.remove_network(&Registry, &reference(network)).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
        assert_eq!(error.kind, kind);
    }
    bench.state.forget_sandbox(&id("web")).expect("it is there");
    let (network, plan) = bench.state.remove_network(&Registry, &reference("blue")).expect("nobody is on it");
    assert!(matches!(network.lifecycle, Lifecycle::PartlyTorn { error: None, .. }));
    assert_eq!(bench.state.remove_network(&Registry, &reference("blue")).expect("asked again").1, plan);
    bench.state.forget_network(&network.id).expect("it is there");
    bench.network(net("blue"));
}

#[test]
fn networks_are_found_by_id_name_and_prefix() {
    let mut bench = Bench::started();
    let (network, _) = bench.network(net("beef"));
    let found = |text: &str| bench.state.network(&reference(text)).map(|network| network.spec.name.to_string());
    assert_eq!(found(network.id.as_str()), Ok("beef".to_owned()));
    assert_eq!(found("beef"), Ok("beef".to_owned()));
    assert_eq!(found("0404"), Ok("beef".to_owned()));
    let error = found("0").expect_err("four ids begin so");
    assert_eq!((error.kind, error.message.contains("ambiguous")), (Kind::InvalidParameter, true));
    assert_eq!(found("04x").expect_err("no such id").kind, Kind::NotFound);
}

#[test]
fn refused_sandboxes_change_nothing() {
    let mut bench = Bench::started();
    bench.network(with_subnet("blue", "10.7.0.0/29"));
    bench.network(net("chosen"));
    let fixed = put_with_ports(vec![with_ip("blue", "10.7.0.5")], vec![port(None, 4000, 80)]);
    bench.sandbox("web", fixed);
    let host = |endpoints| SandboxPut { namespace: NamespaceRequest::Host, ..put(endpoints) };
    let sysctls = [("com.docker.network.endpoint.sysctls".to_owned(), "x".to_owned())];
    let mac = EndpointRequest { mac: Some("02:00:00:00:00:01".to_owned()), ..on("none") };
    let table = [
        ("x", put(vec![on("green")]), Kind::NotFound, "network green not found"),
        ("x", put(vec![on("blue"), on("04")]), Kind::InvalidParameter, "network blue is named twice"),
        ("x", put(vec![with_ip("blue", "10.7.0.5")]), Kind::Forbidden, "10.7.0.5 is held by sandbox web"),
        ("x", put(vec![with_ip("blue", "10.7.0.1")]), Kind::Forbidden, "10.7.0.1 is set aside"),
        ("x", put(vec![with_ip("blue", "10.8.0.5")]), Kind::InvalidParameter, "no configured subnet contains"),
        ("x", put(vec![with_ip("bridge", "172.17.0.9")]), Kind::InvalidParameter, "user defined networks only"),
        ("x", put(vec![with_ip("chosen", "172.18.0.9")]), Kind::InvalidParameter, "user configured subnets"),
        ("x", put(vec![on("host")]), Kind::InvalidParameter, "lives in the host's network namespace"),
        ("x", host(vec![on("blue")]), Kind::InvalidParameter, "can't be on network blue"),
        ("x", put(vec![on("none"), on("blue")]), Kind::Forbidden, "can't be on another network as well"),
        ("x", put(vec![mac]), Kind::InvalidParameter, "can't have a MAC address"),
        (
            "x",
            put(vec![EndpointRequest { options: sysctls.into(), ..on("blue") }]),
            Kind::NotImplemented,
            "sysctls of an interface",
        ),
        (
            "x",
            put_with_ports(vec![on("chosen"), on("blue")], vec![port(None, 4001, 80), port(None, 4000, 80)]),
            Kind::Conflict,
            "port 4000/tcp on 0.0.0.0 is already published by sandbox web: port is already allocated",
        ),
    ];
    for (name, wire, kind, part) in table {
        let before = bench.state.clone();
        let error = bench.put(name, wire).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
        assert_eq!(error.kind, kind, "{part}");
        assert_eq!(bench.state.sandboxes(), before.sandboxes(), "{part}");
    }
    // What the refused requests had leased on the way is free: the subnet has six addresses less gateway and web's.
    for number in 0..4 {
        bench.sandbox(&format!("s{number}"), put(vec![on("blue")]));
    }
    let error = bench.put("x", put(vec![on("blue")])).expect_err("the subnet is full");
    assert!(error.message.starts_with("network blue: no available IPv4 addresses"), "{error}");
    bench.sandbox("y", put_with_ports(vec![on("chosen")], vec![port(None, 4001, 80)]));
}

#[test]
fn the_same_request_is_answered_with_the_same_sandbox() {
    let mut bench = Bench::started();
    let wire = || put_with_ports(vec![on("bridge")], vec![port(None, 0, 80)]);
    let (sandbox, _) = bench.sandbox("web", wire());
    assert_eq!(bench.put("web", wire()), Ok(PutOutcome::There(sandbox)));
    bench.state.remove_sandbox(&Registry, &id("web")).expect("it is there");
    let error = bench.put("web", wire()).expect_err("it is going");
    assert_eq!((error.kind, error.message.as_str()), (Kind::Conflict, "sandbox web is being removed: try again"));
    bench.state.forget_sandbox(&id("web")).expect("it is there");
    assert!(matches!(bench.put("web", wire()), Ok(PutOutcome::Made(..))));
}

#[test]
fn the_way_out_goes_by_priority_then_name_and_never_through_internal_networks() {
    let mut bench = Bench::started();
    bench.network(NetworkCreate { internal: true, ..net("a-inner") });
    bench.network(net("b"));
    bench.network(net("c"));
    let first = |name, priority| EndpointRequest { gateway_priority: priority, ..on(name) };
    for (endpoints, expected) in [
        (vec![on("c"), on("b"), on("a-inner")], Some("b")),
        (vec![on("b"), first("c", 1), first("a-inner", 9)], Some("c")),
        (vec![on("a-inner")], None),
        (vec![first("b", -1), on("c")], Some("c")),
    ] {
        let (sandbox, _) = bench.sandbox("s", put(endpoints));
        let way = sandbox.gateways().ipv4.map(|endpoint| endpoint.network_name.to_string());
        assert_eq!(way.as_deref(), expected);
        bench.state.forget_sandbox(&id("s")).expect("it is there");
    }
}

#[test]
fn interfaces_are_numbered_around_names_asked_for() {
    let mut bench = Bench::started();
    for name in ["b", "c", "d"] {
        bench.network(net(name));
    }
    let named = EndpointRequest { interface: Some("eth1".to_owned()), ..on("d") };
    let (sandbox, _) = bench.sandbox("s", put(vec![on("b"), on("c"), named]));
    let names: Vec<&str> =
        sandbox.endpoints.iter().filter_map(|endpoint| Some(endpoint.interface()?.name.as_str())).collect();
    assert_eq!(names, ["eth0", "eth2", "eth1"]);
}

#[test]
fn what_a_restart_finds_half_way_is_torn_down() {
    let mut bench = Bench::started();
    bench.network(net("aa"));
    let (network, _) = bench.create(net("half")).expect("reserved");
    bench.sandbox("whole", put_with_ports(vec![on("bridge")], vec![port(None, 4000, 80)]));
    let (joined, _) = bench.sandbox("joining", put_with_ports(vec![on("bridge")], vec![port(None, 4001, 80)]));
    let spec = on("aa").try_into().expect("a valid endpoint");
    bench.with(|state, context| state.connect(&id("joining"), spec, context)).expect("reserved");
    bench.put("half", put(vec![on("bridge")])).expect("reserved");
    bench.sandbox("stuck", put(vec![on("bridge")]));
    bench.state.sandbox_stuck(&id("stuck"), Plan::default(), "EBUSY".to_owned()).expect("it is there");

    let stored = |state: &State| {
        (
            state.networks().values().cloned().collect::<Vec<_>>(),
            state.sandboxes().values().cloned().collect::<Vec<_>>(),
        )
    };
    let (networks, sandboxes) = stored(&bench.state);
    let (mut restored, left_out) = State::restore(&Registry, networks, sandboxes);
    assert_eq!(left_out, [], "records agree");
    assert_eq!(stored(&restored), stored(&bench.state));
    let unfinished: Vec<String> = restored
        .unfinished(&Registry)
        .expect("planned")
        .into_iter()
        .map(|what| match what {
            Unfinished::Sandbox(sandbox, plan) => {
                assert_eq!(sandbox.to_api(None).state, SandboxState::PartlyTorn);
                format!("sandbox {}: {} operations", sandbox.id(), plan.ops.len())
            }
            Unfinished::Change(sandbox, plan) => {
                format!("a change of {}: {} operations", sandbox.id(), plan.ops.len())
            }
            Unfinished::Network(network, plan) => {
                format!("network {}: {} operations", network.spec.name, plan.ops.len())
            }
        })
        .collect();
    assert_eq!(
        unfinished,
        [
            "sandbox half: 3 operations",
            "a change of joining: 2 operations",
            "sandbox stuck: 0 operations",
            "network half: 2 operations",
        ]
    );
    assert_eq!(restored.unchanged(&id("joining")).expect("it is there"), joined, "it is as it was");
    let before = restored.clone();
    assert_eq!(restored.unfinished(&Registry).expect("planned").len(), 3, "asked again, it is the same");
    assert_eq!(restored.sandboxes(), before.sandboxes());
    assert!(restored.forget_network(&network.id).is_some());
}

#[test]
fn records_survive_being_stored() {
    let mut bench = Bench::started();
    bench.network(with_subnet("blue", "10.7.0.0/24"));
    let both = vec![with_ip("blue", "10.7.0.9"), on("bridge")];
    bench.sandbox("web", put_with_ports(both, vec![port(Some("::1"), 4000, 80), port(None, 0, 81)]));
    bench.sandbox("lone", put_with_ports(vec![on("blue")], vec![port(Some("127.0.0.1"), 4100, 80)]));
    bench.state.remove_sandbox(&Registry, &id("web")).expect("it is there");
    bench.sandbox("changing", put(vec![on("bridge")]));
    bench.wish("changing", put(vec![on("blue")])).expect("a change");
    bench.network(with_subnet("gone", "10.6.0.0/24"));
    bench.state.remove_network(&Registry, &reference("gone")).expect("it is there");
    for network in bench.state.networks().values() {
        let text = serde_json::to_string(network).expect("records are plain data");
        assert_eq!(serde_json::from_str::<cnm::network::Network>(&text).expect("its own text"), *network);
    }
    for sandbox in bench.state.sandboxes().values() {
        let text = serde_json::to_string(sandbox).expect("records are plain data");
        assert_eq!(serde_json::from_str::<cnm::sandbox::Sandbox>(&text).expect("its own text"), *sandbox);
    }
}

#[test]
fn records_that_contradict_each_other_are_left_out_and_named() {
    let mut bench = Bench::started();
    let (network, _) = bench.network(net("aa"));
    let mut networks: Vec<_> = bench.state.networks().values().cloned().collect();
    let count = networks.len();
    let foreign = cnm::network::Network {
        id: "f".repeat(64).parse().expect("an id"),
        spec: NetworkSpec {
            name: "bb".parse().expect("a name"),
            driver: "cloud".parse().expect("a name"),
            ..network.spec.clone()
        },
        ..network.clone()
    };
    networks.extend([network.clone(), foreign]);
    let (first, _) = bench.sandbox("first", put(vec![on("bridge"), on("aa")]));
    let mut second = first.clone();
    second.spec.id = id("second");
    let mut nowhere = first.clone();
    nowhere.spec.id = id("nowhere");
    nowhere.endpoints[1].network = "e".repeat(64).parse().expect("an id");
    let (restored, left_out) = State::restore(&Registry, networks, vec![first.clone(), nowhere, second]);
    assert_eq!((restored.networks().len(), restored.sandboxes().len()), (count, 1));
    let told: Vec<String> = left_out
        .iter()
        .map(|left_out| match left_out {
            RejectedRecord::Network(name, why) => format!("network {name}: {why}"),
            RejectedRecord::Sandbox(id, why) => format!("sandbox {id}: {why}"),
        })
        .collect();
    for (told, says) in told.iter().zip([
        "the name or id of network aa is taken",
        "is of driver cloud",
        "network aa doesn't exist",
        "already in use",
    ]) {
        assert!(told.contains(says), "{told}: {says}");
    }
    assert_eq!(told.len(), 4, "{told:?}");
    // Who was left out holds nothing.
    let whole = State::restore(&Registry, restored.networks().values().cloned().collect(), vec![first]).0;
    assert_eq!(format!("{restored:?}"), format!("{whole:?}"));
}

#[test]
fn a_bridge_of_the_users_own_is_used_and_left_alone() {
    let mut bench = Bench::started();
    let theirs = ObservedLink {
        kind: LinkKind::Bridge,
        mac: Some("02:00:00:00:00:07".parse().expect("a MAC address")),
        mtu_bytes: 1400,
        up: true,
        bridge: None,
        addresses: BTreeSet::new(),
    };
    bench.host.links.insert("lan0".parse().expect("a name"), theirs);
    let (network, plan) = bench.network(net_with("lan", &[("bridge.name", "lan0")]));
    assert_eq!(network.mtu_bytes(), Some(1400));
    insta::assert_snapshot!(plan, @r"
    firewall add {network lan0 172.18.0.0/24 masquerade=true icc=true internal=false}
    address add 172.18.0.1/24 dev lan0
    ");
    insta::assert_snapshot!(teardown(&plan), @r"
    address del 172.18.0.1/24 dev lan0
    firewall del {network lan0 172.18.0.0/24 masquerade=true icc=true internal=false}
    ");
}

#[test]
fn a_default_bridge_without_a_record_is_made_anew() {
    let mut bench = Bench::new();
    let leftover = ObservedLink {
        kind: LinkKind::Bridge,
        mac: None,
        mtu_bytes: 1500,
        up: true,
        bridge: None,
        addresses: BTreeSet::new(),
    };
    bench.host.links.insert("berth0".parse().expect("a name"), leftover);
    let spec = bench.with(|state, context| state.missing_predefined(context)).remove(0);
    let asked = Registry.planner(&spec.driver).expect("built in").links_to_observe(&spec).expect("valid options");
    assert_eq!(asked, ["berth0".parse().expect("a name")]);
    let (_, plan) = bench.with(|state, context| state.create_network(spec, true, context)).expect("made");
    insta::assert_snapshot!(plan, @r"
    link retire berth0
    firewall add {network berth0 172.17.0.0/16 masquerade=true icc=true internal=false}
    link add berth0 type bridge address 06:01:01:01:01:01 mtu 1500
    sysctl host net/ipv6/conf/berth0/disable_ipv6=1 (was 0)
    address add 172.17.0.1/16 dev berth0
    ");
}

//! What is refused, and in which words; what is taken for what.

use crate::{
    Kind,
    api::{EndpointRequest, NamespaceRequest, NetworkCreate, PoolConfig, PortRange, PortRequest, SandboxPut},
    spec::{EndpointSpec, HostPorts, NetworkSpec, PortSpec, SandboxSpec, SubnetRequest},
};

fn network(pool: PoolConfig) -> NetworkCreate {
    NetworkCreate { name: "n".to_owned(), pools: vec![pool], ..Default::default() }
}

fn pool(subnet: &str, ip_range: &str, gateway: &str, aux: &[(&str, &str)]) -> PoolConfig {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    PoolConfig {
        subnet: given(subnet),
        ip_range: given(ip_range),
        gateway: given(gateway),
        aux_addresses: aux.iter().map(|(name, address)| ((*name).to_owned(), (*address).to_owned())).collect(),
    }
}

#[test]
fn wrong_pools_are_refused() {
    let table: &[(PoolConfig, &str)] = &[
        (pool("10.0.0.1/24", "", "", &[]), "subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
        (pool("10.0.0.0", "", "", &[]), "subnet 10.0.0.0: invalid CIDR block notation"),
        (pool("10.0.0.0/255.255.255.0", "", "", &[]), "subnet 10.0.0.0/255.255.255.0: invalid CIDR block notation"),
        (pool("10.0.0.0/33", "", "", &[]), "subnet 10.0.0.0/33: invalid CIDR block notation"),
        (pool("", "", "10.0.0.1", &[]), "gateway 10.0.0.1: no matching subnet is given"),
        (pool("", "10.0.0.0/25", "", &[]), "ip-range 10.0.0.0/25: no matching subnet is given"),
        (pool("0.0.0.0/24", "", "10.0.0.1", &[]), "gateway 10.0.0.1: no matching subnet is given"),
        (
            pool("0.0.0.0/31", "", "", &[]),
            "subnet 0.0.0.0/31: to leave the choice to the default pools, a prefix length of 8 to 30 is expected",
        ),
        (pool("127.0.0.0/8", "", "", &[]), "subnet 127.0.0.0/8: loopback addresses never leave their host"),
        (pool("224.0.0.0/8", "", "", &[]), "subnet 224.0.0.0/8: it is made of multicast addresses"),
        (
            pool("10.0.0.0/24", "", "10.0.1.1", &[]),
            "gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
        ),
        (pool("10.0.0.0/24", "", "fd00::1", &[]), "gateway fd00::1: parent subnet is an IPv4 block"),
        (pool("10.0.0.0/24", "", "ten", &[]), "gateway ten: invalid address"),
        (pool("10.0.0.0/24", "", "10.0.0.255", &[]), "gateway 10.0.0.255: it is the broadcast address of 10.0.0.0/24"),
        (
            pool("10.0.0.0/24", "", "10.0.0.0", &[]),
            "gateway 10.0.0.0: it is the address of the subnet 10.0.0.0/24 itself",
        ),
        (
            pool("10.0.0.0/24", "10.0.1.0/25", "", &[]),
            "ip-range 10.0.1.0/25: parent subnet 10.0.0.0/24 doesn't contain ip-range",
        ),
        (
            pool("10.0.0.0/24", "10.0.0.0/16", "", &[]),
            "ip-range 10.0.0.0/16: parent subnet 10.0.0.0/24 doesn't contain ip-range",
        ),
        (pool("10.0.0.0/24", "10.0.0.1/25", "", &[]), "ip-range 10.0.0.1/25: it should be 10.0.0.0/25"),
        (
            pool("10.0.0.0/24", "", "", &[("a", "10.1.0.1")]),
            "auxiliary address 10.1.0.1: parent subnet 10.0.0.0/24 doesn't contain this address",
        ),
        (pool("10.0.0.0/24", "", "10.0.0.9", &[("a", "10.0.0.9")]), "auxiliary address 10.0.0.9: it is the gateway's"),
        (
            pool("10.0.0.0/24", "", "", &[("a", "10.0.0.9"), ("b", "10.0.0.9")]),
            "auxiliary address 10.0.0.9: a and b both have it",
        ),
    ];
    for (pool, expected) in table {
        let error = NetworkSpec::try_from(network(pool.clone())).expect_err(expected);
        assert_eq!(error.message, format!("invalid network config: invalid {expected}"));
        assert_eq!(error.kind, Kind::InvalidParameter);
    }
}

#[test]
fn wrong_networks_are_refused() {
    let base = || NetworkCreate { name: "n".to_owned(), ..Default::default() };
    let two = vec![pool("10.0.0.0/24", "", "", &[]), pool("10.0.1.0/24", "", "", &[])];
    let table = [
        (NetworkCreate { name: "a/b".to_owned(), ..base() }, Kind::InvalidParameter, "invalid network name"),
        (NetworkCreate { name: " ".to_owned(), ..base() }, Kind::InvalidParameter, "invalid network name"),
        (NetworkCreate { name: "a\nb".to_owned(), ..base() }, Kind::InvalidParameter, "invalid network name"),
        (NetworkCreate { name: "container:a".to_owned(), ..base() }, Kind::InvalidParameter, "invalid network name"),
        (NetworkCreate { name: String::new(), ..base() }, Kind::InvalidParameter, "invalid network name"),
        (NetworkCreate { driver: Some("a/b".to_owned()), ..base() }, Kind::InvalidParameter, "invalid driver name"),
        (NetworkCreate { ipv6: Some(true), ..base() }, Kind::NotImplemented, "networks are IPv4 only"),
        (NetworkCreate { ipv4: Some(false), ..base() }, Kind::NotImplemented, "networks are IPv4 only"),
        (network(pool("fd00::/64", "", "", &[])), Kind::NotImplemented, "networks are IPv4 only"),
        (NetworkCreate { pools: two, ..base() }, Kind::InvalidParameter, "2 IPv4 subnets are given"),
        (
            NetworkCreate { labels: [(String::new(), String::new())].into(), ..base() },
            Kind::InvalidParameter,
            "invalid label",
        ),
    ];
    for (wire, kind, part) in table {
        let error = NetworkSpec::try_from(wire).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
        assert_eq!(error.kind, kind, "{part}");
    }
}

#[test]
fn subnets_are_understood() {
    let subnet_of = |config| NetworkSpec::try_from(network(config)).expect("a valid network").pools[0].subnet;
    let exact = "10.0.0.0/24".parse().expect("a prefix");
    assert_eq!(subnet_of(pool("10.0.0.0/24", "", "", &[])), SubnetRequest::Exact(exact));
    let family = crate::spec::Family::Ipv4;
    assert_eq!(subnet_of(pool("0.0.0.0/20", "", "", &[])), SubnetRequest::OfLength { family, prefix_length: 20 });
    assert_eq!(subnet_of(pool("", "", "", &[])), SubnetRequest::Any(family));
}

fn endpoint(network: &str) -> EndpointRequest {
    EndpointRequest { network: network.to_owned(), ..Default::default() }
}

#[test]
fn wrong_endpoints_are_refused() {
    let given = |text: &str| Some(text.to_owned());
    let both = [("com.docker.network.endpoint.ifname".to_owned(), "eth9".to_owned())].into();
    let table = [
        (endpoint(""), "a network's name or id is expected"),
        (EndpointRequest { ipv4: given("10.0.0"), ..endpoint("n") }, "invalid IPv4 address: 10.0.0"),
        (EndpointRequest { ipv4: given("0.0.0.0"), ..endpoint("n") }, "it stands for no address"),
        (EndpointRequest { ipv4: given("127.0.0.1"), ..endpoint("n") }, "it is a loopback address"),
        (EndpointRequest { ipv6: given("ff02::1"), ..endpoint("n") }, "it is a multicast address"),
        (EndpointRequest { mac: given("01:00:00:00:00:01"), ..endpoint("n") }, "it is a multicast address"),
        (EndpointRequest { mac: given("02:42"), ..endpoint("n") }, "six pairs of hexadecimal digits"),
        (EndpointRequest { interface: given("lo"), ..endpoint("n") }, "loopback interface's"),
        (EndpointRequest { interface: given("sixteen-letters-"), ..endpoint("n") }, "invalid interface name"),
        (EndpointRequest { interface: given("eth0"), options: both, ..endpoint("n") }, "two interface names"),
        (EndpointRequest { aliases: vec!["a b".to_owned()], ..endpoint("n") }, "invalid alias"),
    ];
    for (wire, part) in table {
        let error = EndpointSpec::try_from(wire).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
    }
}

fn port(host: Option<(u16, u16)>, container: (u16, u16)) -> PortRequest {
    let range = |(first, last)| PortRange { first, last };
    PortRequest {
        protocol: "tcp".to_owned(),
        host_ip: None,
        host_ports: host.map(range),
        container_ports: range(container),
    }
}

#[test]
fn ports_are_understood() {
    let host_of = |wire| PortSpec::try_from(wire).map(|spec| (spec.host, spec.count));
    assert_eq!(host_of(port(None, (80, 80))), Ok((HostPorts::Ephemeral, 1)));
    assert_eq!(host_of(port(Some((8080, 8080)), (80, 80))), Ok((HostPorts::From(8080), 1)));
    assert_eq!(host_of(port(Some((8000, 8002)), (80, 82))), Ok((HostPorts::From(8000), 3)));
    let range = PortRange { first: 8000, last: 8010 };
    assert_eq!(host_of(port(Some((8000, 8010)), (80, 80))), Ok((HostPorts::OneOf(range), 1)));
    assert_eq!(host_of(port(Some((1, 65535)), (1, 65535))), Ok((HostPorts::From(1), 65535)));
}

#[test]
fn wrong_ports_are_refused() {
    let table = [
        (port(None, (0, 0)), "invalid container port 0"),
        (port(Some((0, 0)), (80, 80)), "invalid host port 0"),
        (port(None, (90, 80)), "invalid container port range 90-80"),
        (port(Some((90, 80)), (80, 80)), "invalid host port range 90-80"),
        (port(Some((8000, 8003)), (80, 82)), "invalid ranges specified for container and host Ports"),
        (PortRequest { protocol: "icmp".to_owned(), ..port(None, (80, 80)) }, "invalid proto: icmp"),
        (
            PortRequest { host_ip: Some("localhost".to_owned()), ..port(None, (80, 80)) },
            "invalid IP address: localhost",
        ),
        (PortRequest { host_ip: Some("224.0.0.1".to_owned()), ..port(None, (80, 80)) }, "multicast"),
    ];
    for (wire, part) in table {
        let error = PortSpec::try_from(wire).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
    }
}

#[test]
fn wrong_sandboxes_are_refused() {
    let base = || SandboxPut {
        owner: "o".to_owned(),
        name: String::new(),
        labels: Default::default(),
        namespace: NamespaceRequest::New,
        endpoints: vec![endpoint("n")],
        ports: Vec::new(),
    };
    let named = |network: &str| EndpointRequest { interface: Some("x".to_owned()), ..endpoint(network) };
    let host = NamespaceRequest::Host;
    let table = [
        ("", base(), "invalid sandbox id"),
        ("a", SandboxPut { owner: String::new(), ..base() }, "invalid owner"),
        ("a", SandboxPut { name: "a\nb".to_owned(), ..base() }, "invalid sandbox name"),
        ("a", SandboxPut { endpoints: vec![endpoint("n"), endpoint("n")], ..base() }, "network n is named twice"),
        ("a", SandboxPut { endpoints: vec![named("n"), named("m")], ..base() }, "interface name x is given to two"),
        ("a", SandboxPut { namespace: NamespaceRequest::Path("run/x".to_owned()), ..base() }, "absolute path"),
        ("a", SandboxPut { namespace: host.clone(), endpoints: Vec::new(), ..base() }, "exactly one endpoint"),
        ("a", SandboxPut { namespace: host, ports: vec![port(None, (80, 80))], ..base() }, "can't publish ports"),
    ];
    for (id, wire, part) in table {
        let error = SandboxSpec::parse(id, wire).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
    }
    assert_eq!(SandboxSpec::parse("a", base()).map(|spec| spec.name), Ok("a".to_owned()));
}

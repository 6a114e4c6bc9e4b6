//! What passes and what doesn't, line by line of `docs/firewall.md`, with `br_netfilter` on and off.

use std::{
    net::UdpSocket,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

use cnm::firewall::{Element, GatewayMode, NetworkPolicy, PortForward};

use crate::{
    host::in_fresh_host,
    topology::{BridgeNetfilter, Topology, open, policy, port},
    traffic::TestNamespace,
};

/// In topologies side by side: `br_netfilter` on, off, and switched after the topology was built.
pub(crate) fn in_topology(test: impl Fn(&Topology) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        let live_in = |before, after| {
            scope.spawn(move || {
                in_fresh_host(|run_dir| {
                    let topology = Topology::new(run_dir, BridgeNetfilter { before, after });
                    let shown = |on| if on { "on" } else { "off" };
                    let lived = catch_unwind(AssertUnwindSafe(|| test(&topology)));
                    lived.inspect_err(|_| eprintln!("with br_netfilter {}, then {}", shown(before), shown(after)))
                })
            })
        };
        let towns = [(true, true), (false, false), (false, true), (true, false)];
        let lives: Vec<_> = towns.into_iter().map(|(before, after)| live_in(before, after)).collect();
        let ends = lives.into_iter().map(|life| life.join().and_then(|lived| lived));
        if let Some(panic) = ends.collect::<Vec<_>>().into_iter().find_map(Result::err) {
            resume_unwind(panic);
        }
    });
}

/// Two containers on network 1 and one on network 2.
fn two_networks(topology: &Topology) -> (TestNamespace, TestNamespace, TestNamespace) {
    let (red, blue) = (policy(1), policy(2));
    topology.network(&red);
    topology.network(&blue);
    (topology.container(&red, 1, 2), topology.container(&red, 1, 3), topology.container(&blue, 2, 2))
}

/// The datagram that comes first.
fn received(listener: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 16];
    let (length, _) = listener.recv_from(&mut buffer).expect("a datagram");
    buffer[..length].to_vec()
}

#[test]
fn published_ports() {
    in_topology(|topology| {
        let (a, b, c) = two_networks(topology);
        topology.built();
        let (host, wire) = (topology.host(), topology.place("wire"));
        a.serve("0.0.0.0:6001");
        let range = PortForward { count: 4, ..port(1, "*:6000>6000", 2) };
        let shifted = PortForward { count: 2, ..port(1, "*:7079>80", 2) };
        let forwards = [
            port(1, "*:4000>80", 2),
            port(1, "127.0.0.1:4001>80", 2),
            port(1, "192.0.2.1:4002>80", 2),
            port(1, "192.0.2.1:4003>81", 3),
            range,
            shifted,
        ];
        topology.sysctl("net/ipv4/conf/bb-000000000001/route_localnet", "1", "0");
        topology.add(forwards.into_iter().map(Element::Port));

        // From the host, by each of its addresses.
        host.reaches("127.0.0.1:4000", "172.20.1.1");
        host.reaches("192.0.2.1:4000", "192.0.2.1");
        host.reaches("172.20.1.1:4000", "172.20.1.1");
        host.reaches("172.20.2.1:4000", "172.20.2.1");
        host.reaches("127.0.0.1:4001", "172.20.1.1");
        host.reaches("192.0.2.1:4002", "192.0.2.1");
        host.reaches("127.0.0.1:6001", "172.20.1.1");
        host.reaches("127.0.0.1:7080", "172.20.1.1");
        host.does_not_reach("192.0.2.1:4001");
        host.does_not_reach("127.0.0.1:4002");

        // From the wire, with the client's address kept.
        wire.reaches("192.0.2.1:4000", "192.0.2.2");
        wire.reaches("172.20.1.1:4000", "192.0.2.2");
        wire.reaches("192.0.2.1:4002", "192.0.2.2");
        wire.reaches("192.0.2.1:4003", "192.0.2.2");
        wire.reaches("192.0.2.1:6001", "192.0.2.2");
        wire.reaches("192.0.2.1:7079", "192.0.2.2");
        wire.does_not_reach("192.0.2.1:4001");
        wire.does_not_reach("172.20.1.1:4002");
        wire.does_not_reach("172.20.1.2:80");
        wire.does_not_reach("172.20.1.2:81");
        wire.does_not_reach("172.20.1.2:4000");

        // From containers on the same network, the own one too; their address can't be kept.
        b.reaches("192.0.2.1:4000", "172.20.1.1");
        b.reaches("172.20.1.1:4000", "172.20.1.1");
        a.reaches("192.0.2.1:4000", "172.20.1.1");
        a.reaches("172.20.1.1:4000", "172.20.1.1");
        a.reaches("192.0.2.1:4002", "172.20.1.1");
        a.reaches("192.0.2.1:6001", "172.20.1.1");
        b.does_not_reach("172.20.1.1:4001");

        // From containers on other networks, with their address kept.
        c.reaches("192.0.2.1:4000", "172.20.2.2");
        c.reaches("172.20.1.1:4000", "172.20.2.2");
        c.reaches("172.20.2.1:4000", "172.20.2.2");
        c.reaches("192.0.2.1:4002", "172.20.2.2");
        c.does_not_reach("192.0.2.1:4001");

        // A withdrawn port is closed.
        topology.change([], [Element::Port(port(1, "*:4000>80", 2))]);
        wire.does_not_reach("192.0.2.1:4000");
        host.does_not_reach("127.0.0.1:4000");
    });
}

#[test]
fn networks_and_the_world() {
    in_topology(|topology| {
        let (a, b, c) = two_networks(topology);
        topology.built();
        let (host, wire) = (topology.host(), topology.place("wire"));
        wire.serve("0.0.0.0:9000");
        host.serve("0.0.0.0:9001");

        a.reaches("172.20.1.3:80", "172.20.1.2");
        b.reaches("172.20.1.2:81", "172.20.1.3");
        host.reaches("172.20.1.2:80", "172.20.1.1");
        a.reaches("192.0.2.2:9000", "192.0.2.1");
        c.reaches("192.0.2.2:9000", "192.0.2.1");
        a.reaches("192.0.2.1:9001", "172.20.1.2");
        a.does_not_reach("172.20.2.2:80");
        c.does_not_reach("172.20.1.2:80");
        wire.does_not_reach("172.20.1.2:80");
        wire.sh("! ping -c1 -W0.4 -q 172.20.1.2");
        a.sh("ping -c1 -W5 -q 192.0.2.2");
    });
}

#[test]
fn loopback_of_the_host_is_its_own() {
    in_topology(|topology| {
        let red = policy(1);
        topology.network(&red);
        let a = topology.container(&red, 1, 2);
        topology.built();
        let (host, wire) = (topology.host(), topology.place("wire"));
        host.serve("127.0.0.1:9000");
        host.serve("192.0.2.1:9001");
        topology.sysctl("net/ipv4/conf/bb-000000000001/route_localnet", "1", "0");
        // The administrator's doing, which must not open what is published on 127.0.0.1.
        topology.sysctl("net/ipv4/conf/uplink/route_localnet", "1", "0");
        topology.add([Element::Port(port(1, "127.0.0.1:4001>81", 2))]);
        for (place, gateway) in [(&a, "172.20.1.1"), (&wire, "192.0.2.1")] {
            // Make the place send 127.0.0.0/8 to the host instead of keeping it.
            place.sh(&format!(
                "sysctl -qw net.ipv4.conf.all.route_localnet=1
                 ip route flush table local exact 127.0.0.0/8; ip route flush table local exact 127.0.0.1/32
                 ip route add 127.0.0.0/8 via {gateway}"
            ));
        }
        a.does_not_reach("127.0.0.1:9000");
        a.does_not_reach("127.0.0.1:4001");
        wire.does_not_reach("127.0.0.1:4001");
        host.reaches("127.0.0.1:9000", "127.0.0.1");
        host.reaches("127.0.0.1:4001", "172.20.1.1");
    });
}

#[test]
fn no_container_passes_for_the_host() {
    in_topology(|topology| {
        // Not by what is said of all forged sources, but by the rule for loopback's alone.
        let red = NetworkPolicy { mac: None, ..policy(1) };
        topology.network(&red);
        let a = topology.container(&red, 1, 2);
        topology.built();
        topology.sysctl("net/ipv4/conf/bb-000000000001/route_localnet", "1", "0");
        // With route_localnet the kernel would believe a loopback source from a container.
        a.sh("sysctl -qw net.ipv4.conf.all.route_localnet=1; ip address add 127.0.0.9/32 dev eth0");
        // The gateway is then known: a datagram that waits for its MAC address could pass after the rule is gone.
        a.sh("ping -c1 -W5 -q 172.20.1.1");
        let (listener, sender) = (topology.host().udp("0.0.0.0:9001"), a.udp("127.0.0.9:0"));
        sender.send_to(b"forbidden", "172.20.1.1:9001").expect("it can be sent");
        topology.without_rule("raw-prerouting", "iifname @bridges ip saddr 127.0.0.0/8 drop");
        sender.send_to(b"allowed", "172.20.1.1:9001").expect("it can be sent");
        assert_eq!(received(&listener), b"allowed", "without the rule it passes");
    });
}

#[test]
fn no_container_passes_for_another_host() {
    in_topology(|topology| {
        let red = policy(1);
        topology.network(&red);
        let a = topology.container(&red, 1, 2);
        topology.built();
        let (host, wire) = (topology.host(), topology.place("wire"));
        a.sh("ip address add 203.0.113.9/32 dev eth0; ping -c1 -W5 -q 172.20.1.1");
        wire.sh("ip route add 203.0.113.0/24 via 192.0.2.1");
        let listeners = [host.udp("0.0.0.0:9001"), wire.udp("0.0.0.0:9001")];
        let sender = a.udp("203.0.113.9:0");
        let send = |what: &[u8]| {
            for to in ["172.20.1.1:9001", "192.0.2.2:9001"] {
                sender.send_to(what, to).expect("it can be sent");
            }
        };
        send(b"forged");
        // The administrator's route makes the container a router for others.
        host.sh("ip route add 203.0.113.0/24 via 172.20.1.2");
        send(b"routed");
        host.sh("ip route del 203.0.113.0/24");
        send(b"forged again");
        topology.without_rule(
            "raw-prerouting",
            "iifname . ether daddr @gateways fib saddr . iif oif missing iifname . ip saddr != @home4 drop",
        );
        send(b"allowed");
        for listener in &listeners {
            assert_eq!(received(listener), b"routed");
            assert_eq!(received(listener), b"allowed", "without the rule it passes");
        }
    });
}

#[test]
fn internal_networks() {
    in_topology(|topology| {
        let red = policy(1);
        let green = NetworkPolicy { internal: true, ..policy(3) };
        topology.network(&red);
        topology.network(&green);
        let (a, d, e) =
            (topology.container(&red, 1, 2), topology.container(&green, 3, 2), topology.container(&green, 3, 3));
        topology.built();
        let (host, wire) = (topology.host(), topology.place("wire"));
        wire.serve("0.0.0.0:9000");
        host.serve("0.0.0.0:9001");
        topology.add([Element::Port(port(1, "*:4000>80", 2)), Element::Port(port(3, "*:4300>80", 2))]);

        d.reaches("172.20.3.3:80", "172.20.3.2");
        host.reaches("172.20.3.2:80", "172.20.3.1");
        d.reaches("172.20.3.1:9001", "172.20.3.2");
        e.does_not_reach("192.0.2.2:9000");
        e.does_not_reach("172.20.1.2:80");
        e.does_not_reach("192.0.2.1:4000");
        a.does_not_reach("172.20.3.2:80");
        wire.does_not_reach("172.20.3.2:80");
        wire.does_not_reach("192.0.2.1:4300");
    });
}

#[test]
fn isolated_networks_do_not_reach_the_host() {
    in_topology(|topology| {
        let hermits = NetworkPolicy { internal: true, gateway_mode_ipv4: GatewayMode::Isolated, ..policy(4) };
        topology.network(&hermits);
        let (d, e) = (topology.container(&hermits, 4, 2), topology.container(&hermits, 4, 3));
        topology.built();
        d.reaches("172.20.4.3:80", "172.20.4.2");
        e.reaches("172.20.4.2:80", "172.20.4.3");
        // It has no gateway, but the host answers ARP for all of its addresses on every link.
        let (listener, sender) = (topology.host().udp("0.0.0.0:9001"), d.udp("0.0.0.0:0"));
        topology.host().sh("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.bb-000000000004.rp_filter=0");
        sender.send_to(b"forbidden", "192.0.2.1:9001").expect("it can be sent");
        d.sh("ping -c1 -W5 -q 172.20.4.3");
        topology.without_rule("input", "meta nfproto ipv4 iifname @isolated4 drop");
        sender.send_to(b"allowed", "192.0.2.1:9001").expect("it can be sent");
        assert_eq!(received(&listener), b"allowed", "without the rule it passes");
    });
}

#[test]
fn without_inter_container_traffic() {
    in_topology(|topology| {
        let grey = NetworkPolicy { inter_container: false, ..policy(5) };
        topology.network(&grey);
        let (f, g) = (topology.container(&grey, 5, 2), topology.container(&grey, 5, 3));
        topology.built();
        let wire = topology.place("wire");
        wire.serve("0.0.0.0:9000");
        topology.add([Element::Port(port(5, "*:4500>80", 2))]);
        g.does_not_reach("172.20.5.2:80");
        f.does_not_reach("172.20.5.3:80");
        // Nor by way of the gateway's MAC address.
        g.sh("ip route add 172.20.5.2/32 via 172.20.5.1");
        g.does_not_reach("172.20.5.2:80");
        g.sh("ip route del 172.20.5.2/32");
        // What is published is open to everybody.
        g.reaches("192.0.2.1:4500", "172.20.5.1");
        f.reaches("192.0.2.1:4500", "172.20.5.1");
        f.reaches("172.20.5.1:4500", "172.20.5.1");
        wire.reaches("192.0.2.1:4500", "192.0.2.2");
        f.reaches("192.0.2.2:9000", "192.0.2.1");
        // What isolates where bridged packets don't pass the other table.
        let apart = "iifgroup 25189 oifgroup 25189 meta pkttype != host drop";
        topology.without_rule_of("bridge", "between-ports", apart);
        if topology.switch.after {
            g.does_not_reach("172.20.5.2:80");
        } else {
            g.reaches("172.20.5.2:80", "172.20.5.3");
        }
    });
}

#[test]
fn routed_networks() {
    in_topology(|topology| {
        let routed = NetworkPolicy { gateway_mode_ipv4: GatewayMode::Routed, ..policy(6) };
        let blue = policy(2);
        topology.network(&routed);
        topology.network(&blue);
        let (h, c) = (topology.container(&routed, 6, 2), topology.container(&blue, 2, 2));
        topology.built();
        let wire = topology.place("wire");
        wire.serve("0.0.0.0:9000");
        topology.add([open(6, 2, 80)]);
        wire.reaches("172.20.6.2:80", "192.0.2.2");
        wire.does_not_reach("172.20.6.2:81");
        c.reaches("172.20.6.2:80", "172.20.2.2");
        c.does_not_reach("172.20.6.2:81");
        h.reaches("192.0.2.2:9000", "172.20.6.2");
        h.does_not_reach("172.20.2.2:80");
        wire.sh("ping -c1 -W5 -q 172.20.6.2");
        topology.change([], [open(6, 2, 80)]);
        wire.does_not_reach("172.20.6.2:80");
    });
}

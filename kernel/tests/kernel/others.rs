//! Bridges of somebody else on the host: what the guard lets through, which forwards for them once it knows them.

use std::{path::Path, time::Duration};

use kernel::{Host as _, LinkEvent};

use crate::{
    packets::in_topology,
    topology::{Topology, namespace, policy},
    traffic::TestNamespace,
};

/// Somebody else's bridge with two members, made after the guard was in force, as LXD has it: veths, and rules in its own table.
fn somebody_elses_bridge(topology: &Topology) -> (TestNamespace, TestNamespace) {
    let (left, right) = (topology.place("left"), topology.place("right"));
    for place in [&left, &right] {
        topology.make(vec![namespace(&place.name)]);
    }
    let host = topology.host();
    // Its address is its own, or it would be that of whichever port has the lowest, and what was sent to the last be lost.
    host.sh("ip link add br-other address 02:00:00:00:09:01 type bridge
         ip address add 10.9.0.1/24 dev br-other; ip link set br-other up");
    for (place, address) in [(&left, "10.9.0.2/24"), (&right, "10.9.0.3/24")] {
        let namespace = place.namespace.as_ref().expect("a path").display();
        let veth = format!("veth-{}", place.name);
        host.sh(&format!("ip link add {veth} type veth peer name eth0 netns {namespace}"));
        host.sh(&format!("ip link set {veth} master br-other up"));
        place.sh(&format!("ip address add {address} dev eth0; ip link set eth0 up"));
        place.serve("0.0.0.0:80");
    }
    host.sh("nft 'table inet lxd { chain fwd.br-other { type filter hook forward priority 0; policy accept;
            ip version 4 oifname br-other accept; ip version 4 iifname br-other accept; }; }'");
    left.sh("ip route add default via 10.9.0.1");
    topology.place("wire").sh("ip route add 10.9.0.0/24 via 192.0.2.1");
    (left, right)
}

#[test]
fn what_is_not_ours_is_judged_by_the_guard_alone() {
    in_topology(|topology| {
        let watch = topology.kernel.watch_links().expect("a watch");
        let heard = |what: &str| {
            while watch.next_within(Duration::from_secs(10)).expect(what) != LinkEvent::Ports {}
            topology.kernel.allow_foreign_bridges().expect("the guard knows others' bridges");
        };
        let catch_up = || while watch.next_within(Duration::ZERO).is_ok() {};
        let (left, _right) = somebody_elses_bridge(topology);
        let (host, wire) = (topology.host(), topology.place("wire"));
        wire.serve("0.0.0.0:9000");
        topology.built();
        left.reaches("10.9.0.3:80", "10.9.0.2");
        // Nothing was routed before we switched forwarding on, so nothing of others is, until netd has heard of the bridge.
        left.does_not_reach("192.0.2.2:9000");
        wire.does_not_reach("10.9.0.2:80");
        heard("two ports that are not ours");
        left.reaches("192.0.2.2:9000", "10.9.0.2");
        wire.reaches("10.9.0.2:80", "192.0.2.2");
        // As libvirt has it: the bridge's own port, and the taps of machines.
        assert!(Path::new("/dev/net/tun").exists(), "this kernel has no taps, load them (modprobe tun)");
        catch_up();
        host.sh("ip tuntap add dev virbr0-nic mode tap; ip link set virbr0-nic master br-other
             ip tuntap add dev vnet0 mode tap; ip link set vnet0 master br-other up
             nft 'table ip libvirt_network { chain forward { type filter hook forward priority 0; policy accept;
                oifname br-other ip daddr 10.9.0.0/24 accept; iifname br-other ip saddr 10.9.0.0/24 accept;
                oifname br-other reject; iifname br-other reject; }; }'");
        heard("ports of machines");
        left.reaches("192.0.2.2:9000", "10.9.0.2");
        wire.reaches("10.9.0.2:80", "192.0.2.2");
        // With a way out of its own it is an uplink, between which and others the host is no router.
        host.sh("ip link add link uplink name second type macvlan mode private; ip link set second master br-other");
        catch_up();
        topology.kernel.allow_foreign_bridges().expect("the guard knows others' bridges");
        left.reaches("10.9.0.3:80", "10.9.0.2");
        left.does_not_reach("192.0.2.2:9000");
        wire.does_not_reach("10.9.0.2:80");
        host.sh("ip link set second nomaster");
        heard("a port that is gone");
        left.reaches("192.0.2.2:9000", "10.9.0.2");
        // Ports of our own are not worth a look.
        topology.network(&policy(1));
        topology.container(&policy(1), 1, 2);
        host.sh("ip link del br-other");
        heard("a bridge that is gone");
    });
}

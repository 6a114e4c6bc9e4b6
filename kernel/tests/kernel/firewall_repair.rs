//! The table stays whole, the administrator's rules stay, and UDP clients are translated anew.

use std::{collections::BTreeSet, os::fd::AsFd, sync::Arc, time::Duration};

use cnm::{
    firewall::{Element, PortForward, Protocol},
    plan::Plan,
    resource::Resource,
};
use kernel::{AdminChains, FirewallEvent, Host, InProcessKeeper, Kernel, Repaired};

use crate::{
    host::{in_fresh_host, run},
    topology::{BridgeNetfilter, Topology, open, policy, port},
};

const PATIENCE: Duration = Duration::from_secs(10);

fn elements() -> BTreeSet<Element> {
    BTreeSet::from([Element::Network(policy(1)), Element::Port(port(1, "*:4000>80", 2))])
}

#[test]
fn a_flush_is_noticed_and_repaired() {
    in_fresh_host(|run_dir| {
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        kernel.sync_firewall(&elements(), &AdminChains::default()).expect("a sync");
        run("nft", &["add", "rule", "inet", "berth", "user-pre", "ip", "saddr", "203.0.113.9", "drop"]);
        let administrator = kernel.admin_chains().expect("the administrator's rules");
        assert_eq!(administrator.pre, ["ip saddr 203.0.113.9 drop"]);
        let listed = || ["inet", "bridge"].map(|family| run("nft", &["-s", "list", "table", family, "berth"]));
        let whole = listed();
        let watch = kernel.watch_firewall().expect("a watch");
        let wounds: [&[&str]; 6] = [
            &["flush", "ruleset"],
            &["delete", "table", "inet", "berth"],
            &["flush", "table", "inet", "berth"],
            &["flush", "map", "inet", "berth", "any4"],
            &["delete", "table", "bridge", "berth"],
            &["flush", "table", "bridge", "berth"],
        ];
        for wound in wounds {
            run("nft", wound);
            assert_eq!(watch.next_within(PATIENCE), Ok(FirewallEvent::Changed), "{wound:?}");
            assert_eq!(kernel.repair_firewall().expect("a repair"), Repaired::Changed, "{wound:?}");
            assert_eq!(listed(), whole, "{wound:?}");
        }
        // Neither our repairs nor what other tables do look like somebody's change.
        run("nft", &["add", "table", "ip", "other"]);
        assert_eq!(watch.next_within(PATIENCE), Ok(FirewallEvent::Elsewhere));
        run("nft", &["add", "rule", "inet", "berth", "user-post", "accept"]);
        assert_eq!(watch.next_within(PATIENCE), Ok(FirewallEvent::Administrator));
    });
}

#[test]
fn a_change_to_a_table_that_is_gone_brings_it_back() {
    in_fresh_host(|run_dir| {
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        kernel.sync_firewall(&elements(), &AdminChains::default()).expect("a sync");
        run("nft", &["flush", "ruleset"]);
        let added = Element::Port(port(1, "*:4001>81", 2));
        kernel.apply(&Plan::make([Resource::Element(added.clone())])).expect("the change");
        let all = elements().into_iter().chain([added]).collect();
        assert_eq!(kernel.sync_firewall(&all, &AdminChains::default()).expect("a sync"), Repaired::Unchanged);
    });
}

#[test]
fn elements_that_are_missing_are_found_in_the_kernel() {
    in_fresh_host(|run_dir| {
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        let range = |first: u16, count| PortForward { count, ..port(1, &format!("*:{first}>{first}"), 2) };
        let all = elements().into_iter().chain([
            Element::Port(port(1, "192.0.2.1:4001>81", 2)),
            Element::Port(range(6000, 200)),
            Element::Port(PortForward { protocol: Protocol::Udp, count: 3, ..port(1, "*:4001>80", 2) }),
            open(1, 3, 82),
        ]);
        let all: BTreeSet<Element> = all.collect();
        kernel.sync_firewall(&all, &AdminChains::default()).expect("a sync");
        assert_eq!(kernel.missing_elements(&all).expect("the table"), BTreeSet::new());
        // Another endpoint, or a longer range, is another element.
        let others = BTreeSet::from([Element::Port(port(1, "*:4000>80", 3)), Element::Port(range(6000, 201))]);
        assert_eq!(kernel.missing_elements(&others).expect("the table"), others);
        run("nft", &["flush", "map", "inet", "berth", "any4"]);
        let missing = kernel.missing_elements(&all).expect("the table");
        assert_eq!(missing.len(), 2, "{missing:?}");
        run("nft", &["delete", "table", "inet", "berth"]);
        assert_eq!(kernel.missing_elements(&all).expect("no table"), all);
    });
}

/// What is in the range before and after is left where it is, with its connections.
#[test]
fn a_range_that_is_cut_keeps_what_is_left_of_it() {
    in_fresh_host(|run_dir| {
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        kernel.sync_firewall(&elements(), &AdminChains::default()).expect("a sync");
        let range = |first: u16, container: u16, count| {
            Resource::Element(Element::Port(PortForward { count, ..port(1, &format!("*:{first}>{container}"), 2) }))
        };
        kernel.apply(&Plan::make([range(7000, 80, 3)])).expect("the change");
        kernel.apply(&Plan::change(&[range(7000, 80, 3)], &[range(7001, 81, 2)])).expect("the change");
        kernel
            .apply(&Plan::change(&[range(7001, 81, 2)], &[range(7001, 81, 1), range(7002, 82, 1)]))
            .expect("the change");
        let map = run("nft", &["list", "map", "inet", "berth", "any4"]);
        let there = [7000, 7001, 7002].map(|port| map.contains(&format!("tcp . {port} :")));
        assert_eq!(there, [false, true, true], "{map}");
    });
}

#[test]
fn foreign_chains_that_drop_are_named() {
    in_fresh_host(|run_dir| {
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        kernel.sync_firewall(&elements(), &AdminChains::default()).expect("a sync");
        assert_eq!(kernel.foreign_drops().expect("a list"), []);
        for line in [
            "add table ip filter",
            "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
            "add table inet firewalld",
            "add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; }",
            "add rule inet firewalld filter_FORWARD ct state invalid drop",
            "add rule inet firewalld filter_FORWARD reject",
            "add chain inet firewalld harmless { type filter hook forward priority 11; }",
            "add rule inet firewalld harmless ct state invalid drop",
        ] {
            run("nft", &[line]);
        }
        let drops = kernel.foreign_drops().expect("a list");
        let named: Vec<_> = drops.iter().map(|drop| (drop.chain.as_str(), drop.by_policy)).collect();
        assert_eq!(named, [("inet firewalld filter_FORWARD", false), ("ip filter FORWARD", true)]);
    });
}

#[test]
fn the_guard_outlives_the_daemon() {
    in_fresh_host(|run_dir| {
        let topology = Topology::new(run_dir, BridgeNetfilter::OFF);
        let before = run("nft", &["-s", "list", "table", "inet", "berth"]);
        assert!(before.contains("elements = { ipv4 }"), "{before}");
        drop(topology);
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        let again = kernel.sync_firewall(&BTreeSet::new(), &AdminChains::default()).expect("a sync");
        assert_eq!(again, Repaired::Unchanged);
    });
}

#[test]
fn udp_clients_that_go_on_sending_are_translated_anew() {
    in_fresh_host(|run_dir| {
        let topology = Topology::new(run_dir, BridgeNetfilter::ON);
        let red = policy(1);
        topology.network(&red);
        let (a, b) = (topology.container(&red, 1, 2), topology.container(&red, 1, 3));
        let (first, second) = (a.udp("0.0.0.0:53"), b.udp("0.0.0.0:53"));
        let client = topology.place("wire").udp("192.0.2.2:0");
        let send = |text: &[u8]| drop(client.send_to(text, "192.0.2.1:5353"));
        let forward = |endpoint| {
            let forward = port(1, "*:5353>53", endpoint);
            Element::Port(PortForward { protocol: Protocol::Udp, ..forward })
        };
        let mut buffer = [0; 16];
        send(b"to nobody");
        topology.add([forward(2)]);
        send(b"to the first");
        let (length, from) = first.recv_from(&mut buffer).expect("a datagram");
        assert_eq!((&buffer[..length], from.ip().to_string().as_str()), (&b"to the first"[..], "192.0.2.2"));
        topology.change([forward(3)], [forward(2)]);
        send(b"to the second");
        let (length, _) = second.recv_from(&mut buffer).expect("a datagram");
        assert_eq!(&buffer[..length], b"to the second");
    });
}

/// A change that is committed is done, whatever becomes of the connections that were there before it.
#[test]
fn connections_that_can_not_be_forgotten_do_not_fail_a_change() {
    in_fresh_host(|run_dir| {
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        kernel.sync_firewall(&elements(), &AdminChains::default()).expect("a sync");
        let udp = Element::Port(PortForward { protocol: Protocol::Udp, ..port(1, "*:4002>80", 2) });
        // No socket to connection tracking can be opened: this thread's own table of descriptors is full.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).expect("a table of descriptors");
        let full: Vec<_> = std::iter::from_fn(|| std::io::stdin().as_fd().try_clone_to_owned().ok()).collect();
        let applied = kernel.apply(&Plan::make([Resource::Element(udp)]));
        drop(full);
        applied.expect("it is committed");
        assert!(run("nft", &["list", "map", "inet", "berth", "any4"]).contains("udp . 4002"));
    });
}

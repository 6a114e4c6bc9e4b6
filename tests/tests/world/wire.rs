//! The world itself: hosts reach each other, and nothing of it is left behind.

use berth_tests::{World, world::look};

#[test]
fn hosts_reach_each_other_and_nothing_else() {
    let mut world = World::new();
    let (one, two) = (world.host(), world.host());
    one.sh(&format!("ping -c 1 -W 5 {}", two.address())).ok();
    one.sh(&format!("ping -6 -c 1 -W 5 {}", two.address_ipv6())).ok();
    assert_eq!(one.sh("ip -o link | wc -l").ok(), "2", "lo and eth0");
}

#[test]
fn a_dropped_world_leaves_nothing() {
    let (directory, pid) = {
        let mut world = World::new();
        let host = world.host();
        host.sh("sleep 1000 >/dev/null 2>&1 & echo started").ok();
        (world.directory().to_owned(), host.sh("readlink /proc/self/ns/net").ok())
    };
    assert!(!directory.exists());
    let inode = pid.trim_start_matches("net:[").trim_end_matches(']');
    assert_eq!(look(&format!("lsns -n -t net -o NS | grep -c '^ *{inode}$' || true")).ok(), "0");
}

//! The firewall stays whole, and what is somebody else's stays theirs.

use cnm::api::EventKind;
use futures::StreamExt;

use crate::{
    netd_host::NetdHost,
    traffic::{ask_tcp, serve},
};

#[tokio::test]
async fn a_flushed_firewall_is_repaired_at_once() {
    let netd = NetdHost::new();
    let web = netd.put("web", &[("tcp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    let mut events = netd.client.events(None).await.expect("events");
    for meddling in ["nft flush ruleset", "nft delete table inet berth", "nft flush chain inet berth forward"] {
        netd.host.sh(meddling);
        loop {
            let event = events.next().await.expect("an event").expect("an event");
            if event.what == EventKind::FirewallRepaired {
                break;
            }
        }
        ask_tcp(&netd.host, "127.0.0.1:4000").expect(meddling);
    }
}

#[tokio::test]
async fn what_is_not_ours_survives_everything() {
    let mut netd = NetdHost::empty();
    netd.host.sh("ip link add br-0123456789ab type bridge && ip link set br-0123456789ab up
         ip link add veth0123456 type veth peer name veth6543210
         ip address add 10.1.2.3/24 dev br-0123456789ab
         ip link add bvfoo type bridge
         nft add table inet docker && nft add table ip berth
         nft add chain ip berth forward '{ type filter hook forward priority 0; policy accept; }'");
    let theirs = "ip -o link show | grep -E 'br-|veth[06]|bvfoo' | sed 's/ qlen.*//'; ip route; nft list table inet docker; nft list table ip berth";
    let before = netd.host.sh(theirs);
    netd.start();
    netd.put("web", &[("tcp", 4000, 1)]).await;
    netd.kill();
    netd.start();
    netd.host.sh("nft delete table inet berth");
    netd.client.remove_sandbox("web").await.expect("the sandbox");
    netd.kill();
    netd.start();
    let after = netd.host.sh(&format!("{theirs} | grep -v berth0"));
    let before: Vec<_> = before.lines().collect();
    assert_eq!(after.lines().filter(|line| !line.contains("172.17.0.0/16")).collect::<Vec<_>>(), before);
}

#[tokio::test]
async fn chains_that_drop_what_we_forward_are_named() {
    let mut netd = NetdHost::empty();
    netd.host.sh("nft add table ip filter
         nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'");
    netd.start();
    let names_it = |warnings: &[String]| warnings.iter().any(|warning| warning.contains("ip filter FORWARD"));
    let warnings = netd.client.info().await.expect("info").warnings;
    assert!(names_it(&warnings), "{warnings:?}");
    let mut events = netd.client.events(None).await.expect("events");
    netd.put("web", &[("tcp", 4000, 1)]).await;
    let mut told = Vec::new();
    loop {
        let event = events.next().await.expect("an event").expect("an event");
        match event.what {
            EventKind::Warning => told.extend(event.message),
            EventKind::SandboxCreated => break,
            _ => {}
        }
    }
    assert!(names_it(&told), "{told:?}");
}

#[tokio::test]
async fn a_link_without_an_ipv6_address_has_no_ipv6() {
    let mut netd = NetdHost::new();
    let web = netd.put("web", &[]).await;
    let addresses = "ip -6 -o address show | awk '{ print $2, $4 }'; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6";
    assert_eq!(netd.inside(&web).sh(addresses), "lo ::1/128\n1\n");
    netd.kill();
    netd.inside(&web).sh("echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    netd.start();
    assert_eq!(netd.inside(&web).sh(addresses), "lo ::1/128\n1\n");
}

#[tokio::test]
async fn links_and_forwarding_are_repaired_at_once() {
    let netd = NetdHost::new();
    let web = netd.put("web", &[("tcp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    let mut events = netd.client.events(None).await.expect("events");
    let end = "$(ip -o link show master berth0 | sed 's/^[0-9]*: //; s/@.*//')";
    let index = || netd.host.sh("ip -o link show type veth | cut -d: -f1");
    let (mut last, flags) = (index(), "bridge -d link show | grep -o 'learning off'; bridge fdb | grep -c static");
    let before = netd.host.sh(flags);
    let wounds = [
        ("ip link delete berth0".to_owned(), "berth0: 5 steps", true),
        ("ip link set berth0 down".to_owned(), "put back: berth0", true),
        ("ip address flush dev berth0".to_owned(), "berth0: 2 steps", true),
        (format!("ip link set {end} nomaster"), "put back: bv", true),
        (format!("ip link set {end} down"), "put back: bv", true),
        (format!("ip link delete {end}"), "changed links of berth bv", false),
        ("echo 0 > /proc/sys/net/ipv4/ip_forward".to_owned(), "IPv4 forwarding", true),
    ];
    for (wound, said, stays) in wounds {
        let wound = wound.as_str();
        netd.host.sh(wound);
        loop {
            let event = events.next().await.expect("an event").expect("an event");
            if event.message.is_some_and(|message| message.contains(said)) {
                break;
            }
        }
        ask_tcp(&netd.host, "127.0.0.1:4000").expect(wound);
        assert_eq!(netd.host.sh("cat /proc/sys/net/ipv4/ip_forward"), "1\n", "{wound}");
        assert_eq!(netd.host.sh(flags), before, "{wound}");
        // What could be set right isn't made anew.
        let now = index();
        assert_eq!(now == last, stays, "{wound}");
        last = now;
    }
    let inside = netd.inside(&web).sh("ip -o -4 address show dev eth0; ip route");
    assert!(inside.contains("172.17.0.2/16") && inside.contains("default via 172.17.0.1"), "{inside}");
}

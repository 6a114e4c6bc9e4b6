//! Networks: what a container can send, and what it can take, to pass for somebody else.

use berth_tests::{
    Host, World,
    frames::{Tap, router_advertisement},
};

/// To all IPv6 nodes (RFC 2464 section 7).
const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// LLDP's group address (IEEE 802.1AB): a bridge doesn't forward it, the port that it came by takes it.
const NEAREST_BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x0e];

/// A container that does nothing, with capabilities that let it send what it wants.
fn idle(host: &Host, name: &str, flags: &[&str]) {
    host.docker(&[&["run", "-d", "--name", name], flags, &["busybox", "sleep", "100000"]].concat()).ok();
    let capabilities = host.docker(&["exec", name, "grep", "CapEff", "/proc/1/status"]).ok();
    let mask = capabilities.split_whitespace().nth(1).and_then(|mask| u64::from_str_radix(mask, 16).ok());
    // CAP_NET_RAW is 13, CAP_NET_ADMIN 12 (capabilities(7)).
    assert_eq!(mask.map(|mask| (mask >> 13 & 1, mask >> 12 & 1)), Some((1, 0)), "the default: {capabilities}");
}

/// The host's end of a container's only link.
fn host_end(host: &Host, container: &str) -> String {
    let index = host.docker(&["exec", container, "cat", "/sys/class/net/eth0/iflink"]).ok();
    host.sh(&format!("ip -o link | sed -n 's/^{index}: \\([^@:]*\\).*/\\1/p'")).ok()
}

/// The bridge of a network.
fn bridge(host: &Host, network: &str) -> String {
    if network == "bridge" {
        return "berth0".to_owned();
    }
    format!("bb-{}", &host.docker(&["network", "inspect", "-f", "{{.Id}}", network]).ok()[..12])
}

/// All of a host's IPv6, without times that run down, and without its uplink, whose own address is settling.
fn ipv6(host: &Host) -> String {
    host.sh("(ip -6 -o address | sed 's/valid_lft.*//'; ip -6 route show table all) | grep -v ' eth0 '").ok()
}

fn ipv6_inside(host: &Host, container: &str) -> String {
    let shown = host.docker(&["exec", container, "sh", "-c", "ip -6 address; ip -6 route"]).ok();
    shown.lines().filter(|line| !line.contains("valid_lft")).collect::<Vec<_>>().join("\n")
}

/// Forged advertisements by both ways: to the bridge, and to its port. Returns when the kernel is done with them.
fn advertise(host: &Host, attacker: &str, bridge: &str) {
    let (inside, outside) = (Tap::in_container(host, attacker, "eth0"), Tap::on_host(host, bridge));
    let port = Tap::on_host(host, &host_end(host, attacker));
    let frames = [ALL_NODES, NEAREST_BRIDGE].map(|to| router_advertisement(to, inside.mac()));
    inside.send_and_wait(&frames, &outside);
    frames.iter().for_each(|sent| drop(port.hear(|frame| frame == sent)));
}

/// Kills netd and waits for the next one, which berthd starts.
fn restart_netd(host: &mut Host) {
    host.kill_netd();
    host.docker(&["network", "ls"]).ok();
}

/// CVE-2020-13401 and its class. `forwards`: the host is an IPv6 router and takes advertisements all the same.
fn a_forged_router_advertisement(forwards: bool) {
    let mut world = World::new();
    let mut host = world.host();
    if forwards {
        host.sh("cd /proc/sys/net/ipv6/conf && echo 1 > all/forwarding && echo 2 > default/accept_ra && echo 2 > eth0/accept_ra")
            .ok();
    }
    host.start();
    host.docker(&["network", "create", "other"]).ok();
    for network in ["bridge", "other"] {
        let [attacker, victim, open, asking] =
            ["attacker", "victim", "open", "asking"].map(|n| format!("{n}-{network}"));
        let with_ipv6 = ["--network", network, "--sysctl", "net.ipv6.conf.eth0.disable_ipv6=0"];
        idle(&host, &attacker, &["--network", network]);
        idle(&host, &victim, &["--network", network]);
        idle(&host, &open, &with_ipv6);
        idle(&host, &asking, &[&with_ipv6[..], &["--sysctl", "net.ipv6.conf.eth0.accept_ra=2"]].concat());
        let bridge = bridge(&host, network);
        let before = ipv6(&host);
        assert!(!before.contains("2001:db8:bad:"), "{before}");
        advertise(&host, &attacker, &bridge);
        assert_eq!(ipv6(&host), before, "{network}");
        for container in [&victim, &open] {
            let inside = ipv6_inside(&host, container);
            assert!(!inside.contains("2001:db8:bad:") && !inside.contains("default"), "{container}: {inside}");
        }
        // Who asks for advertisements gets them. So they were right, and passed by the others.
        assert!(ipv6_inside(&host, &asking).contains("2001:db8:bad:"), "{}", ipv6_inside(&host, &asking));

        // As an earlier release left it: the same frames make the container the host's router, by bridge and port.
        let port = host_end(&host, &attacker);
        host.sh(&format!(
            "for link in {bridge} {port}; do cd /proc/sys/net/ipv6/conf/$link; \
             echo 2 > accept_ra; echo 1 > autoconf; echo 0 > disable_ipv6; done"
        ))
        .ok();
        advertise(&host, &attacker, &bridge);
        let taken = ipv6(&host);
        for link in [&bridge, &port] {
            assert!(taken.contains(&format!("default via fe80::bad dev {link} ")), "{link}: {taken}");
        }
        // A netd that starts there closes both again, and what was taken goes.
        restart_netd(&mut host);
        advertise(&host, &attacker, &bridge);
        assert_eq!(ipv6(&host), before, "{network}");
        host.docker(&["rm", "-f", &attacker, &victim, &open, &asking]).ok();
    }
}

#[test]
fn a_forged_router_advertisement_changes_no_host() {
    a_forged_router_advertisement(false);
}

#[test]
fn a_forged_router_advertisement_changes_no_host_that_forwards() {
    a_forged_router_advertisement(true);
}

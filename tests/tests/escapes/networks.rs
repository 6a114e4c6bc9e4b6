//! Networks: what a container can send, and what it can take, to pass for somebody else.

use std::net::Ipv4Addr;

use berth_tests::{
    Host, World,
    frames::{self, BROADCAST, Tap, arp_answer, router_advertisement, udp},
    started,
};

const PAGE: &str = "Hello from berth";

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

/// CVE-2024-32473: an interface of an IPv4-only network had IPv6, and by link-local addresses a way around its rules.
#[test]
fn an_ipv4_only_network_has_no_link_local_way_around() {
    let (_world, host) = started();
    for network in ["bridge", "other"] {
        if network == "other" {
            host.docker(&["network", "create", network]).ok();
        }
        idle(&host, network, &["--network", network]);
        assert_eq!(host.docker(&["exec", network, "ip", "-6", "address", "show", "dev", "eth0"]).ok(), "");
        // Who turns it on for itself is alone with it.
        let open = format!("open-{network}");
        idle(&host, &open, &["--network", network, "--sysctl", "net.ipv6.conf.eth0.disable_ipv6=0"]);
        let (bridge, port) = (bridge(&host, network), host_end(&host, &open));
        for link in [&bridge, &port] {
            assert_eq!(host.sh(&format!("ip -6 address show dev {link}")).ok(), "");
        }
        let inside = Tap::in_container(&host, &open, "eth0");
        // Solicitation of neighbours and echo request, to all nodes and to LLDP's address: nobody answers.
        host.docker(&["exec", &open, "ping", "-6", "-c", "1", "-W", "1", "ff02::1%eth0"]);
        inside.send_and_wait(&[], &Tap::on_host(&host, &bridge));
        let answers = host.sh(&format!("ip -6 neigh show dev {bridge}; ip -6 neigh show dev {port}")).ok();
        assert_eq!(answers, "");
    }
}

/// CVE-2025-54388 (and 2021-41092's kind): what is published on 127.0.0.1 came to be reachable from the wire when another
/// program loaded its firewall anew.
#[test]
fn what_is_published_on_loopback_stays_there_whoever_loads_a_firewall() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let neighbour = world.host();
    host.serve("local", &["-p", "127.0.0.1:4001:80"]);
    let container = host.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "local"]).ok();
    // The neighbour sends to the container, and to the host's 127.0.0.1, by way of the host.
    let gateway = host.address();
    neighbour
        .sh(&format!(
            "ip route add {container} via {gateway}; echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; \
             ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via {gateway} src {}",
            neighbour.address()
        ))
        .ok();
    let is_closed = |host: &Host| {
        assert_eq!(host.fetch("http://127.0.0.1:4001").ok(), PAGE);
        let reached = neighbour.sh(&format!(
            "for to in {gateway}:4001 {container}:80 127.0.0.1:4001; do \
             curl -s -o /dev/null --noproxy '*' --connect-timeout 1 http://$to && echo $to & done; wait"
        ));
        assert_eq!(reached.ok(), "", "reached from the wire");
    };
    is_closed(&host);
    for load in ["nft flush ruleset", "nft delete table inet berth"] {
        host.sh(load).ok();
        let whole =
            "for i in $(seq 1000); do nft list chain inet berth forward 2>&1 | grep -q drop && exit; done; exit 1";
        host.sh(whole).ok();
        is_closed(&host);
    }
    for pid in host.processes("netd") {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGSTOP);
    }
    is_closed(&host);
    host.kill_netd();
    is_closed(&host);
    host.docker(&["network", "ls"]).ok();
    is_closed(&host);
}

/// An address of a container, as told.
fn address(host: &Host, container: &str) -> Ipv4Addr {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    host.docker(&["inspect", "-f", format, container]).ok().parse().expect("an address")
}

/// Forged ARP and forged MAC addresses: the container claims to be its neighbour, and the gateway.
#[test]
fn a_container_that_claims_anothers_addresses_gets_nothing_of_it() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let neighbour = world.host();
    idle(&host, "attacker", &[]);
    // The kernel sticks to the first of two answers for a second: without that nobody has to wait between them.
    host.serve("victim", &["--sysctl", "net.ipv4.neigh.eth0.locktime=0"]);
    host.sh("echo 0 > /proc/sys/net/ipv4/neigh/berth0/locktime").ok();
    let (attacker, victim) = (Tap::in_container(&host, "attacker", "eth0"), Tap::in_container(&host, "victim", "eth0"));
    let bridge = Tap::on_host(&host, "berth0");
    let (of_victim, of_gateway): (Ipv4Addr, Ipv4Addr) = (address(&host, "victim"), "172.17.0.1".parse().expect("one"));
    let forged = [
        // "The victim's address is at mine", to the host and to all; then to the victim and to all: "the gateway's".
        arp_answer((bridge.mac(), of_gateway), of_victim, attacker.mac()),
        arp_answer((BROADCAST, of_victim), of_victim, attacker.mac()),
        arp_answer((victim.mac(), of_victim), of_gateway, attacker.mac()),
        arp_answer((BROADCAST, of_gateway), of_gateway, attacker.mac()),
        // "Here are the victim's and the gateway's MAC addresses", which teaches a bridge where to send their frames.
        frames::marker(victim.mac()),
        frames::marker(bridge.mac()),
    ];
    for _ in 0..3 {
        attacker.send_and_wait(&forged, &bridge);
        assert_eq!(host.fetch(&format!("http://{of_victim}")).ok(), PAGE);
        let ping = ["exec", "victim", "ping", "-c", "1", "-W", "5", &neighbour.address()];
        host.docker(&ping).ok();
    }
    // Nothing of that was for the attacker's eyes.
    let end = frames::ethernet(BROADCAST, victim.mac(), frames::EXPERIMENTAL, b"the end");
    victim.send(&end);
    let anothers = |frame: &[u8]| frame[12..14] == [8, 0] && frame[..6] != attacker.mac() && frame[0] & 1 == 0;
    assert_eq!(attacker.hear_until(anothers, |frame| frame == end), None, "the attacker hears what is for others");
}

/// Forged source addresses, by the bridge and by its port.
#[test]
fn a_forged_source_address_leads_nowhere() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let neighbour = world.host();
    host.docker(&["network", "create", "other"]).ok();
    idle(&host, "attacker", &[]);
    idle(&host, "target", &["--network", "other", "-p", "7000:7777/udp"]);
    let (attacker, bridge) = (Tap::in_container(&host, "attacker", "eth0"), Tap::on_host(&host, "berth0"));
    let parsed = |text: &str| text.parse::<Ipv4Addr>().expect("an address");
    let (own, here, wire) = (address(&host, "attacker"), parsed(&host.address()), parsed(&neighbour.address()));
    // Counts what gets past our chains: to the host itself, and forwarded to another link.
    host.sh(
        "nft add table inet probe && \
         nft add chain inet probe in '{ type filter hook input priority 10; }' && nft add rule inet probe in udp dport 7777 counter && \
         nft add chain inet probe through '{ type filter hook forward priority 10; }' && nft add rule inet probe through oifname != berth0 udp dport 7777 counter",
    )
    .ok();
    let counted = || {
        let packets =
            "nft -j list table inet probe | jq -c '[.nftables[].rule.expr // empty | .[].counter.packets // empty]'";
        host.sh(packets).ok()
    };
    let send = |to: [u8; 6], source: Ipv4Addr| {
        let targets = [(here, 7777), (here, 7000), (wire, 7777)];
        let sent = targets.map(|target| udp((to, attacker.mac()), (source, 53), target, b"an answer"));
        attacker.send_and_wait(&sent, &bridge);
    };
    let foreign = [wire, parsed("192.0.2.77"), address(&host, "target"), parsed("127.0.0.1"), here];
    for source in foreign {
        send(bridge.mac(), source);
        assert_eq!(counted(), "[0,0]", "from {source}");
    }
    // Neither are they taken from frames to a group's address, where the host's part of the bridge's port may get them.
    for to in [BROADCAST, NEAREST_BRIDGE, ALL_NODES] {
        foreign.into_iter().chain([own]).for_each(|source| send(to, source));
        assert_eq!(counted(), "[0,0]", "to {to:02x?}");
    }
    // With its own address they get there: to the host, to the other network by the published port, and to the wire.
    send(bridge.mac(), own);
    assert_eq!(counted(), "[1,2]");
}

/// CVE-2020-15257: a container in the host's network talked to the shim's socket, whose name was an abstract one; and of
/// its kind: whatever of ours listens on the host.
#[test]
fn nothing_of_ours_listens_for_containers_in_the_hosts_network() {
    let (_world, host) = started();
    let listening = "cat /proc/net/unix | grep @; netstat -lntu | grep -v '^Proto\\|^Active'; true";
    idle(&host, "other", &["-t"]);
    host.docker(&[
        "run",
        "-d",
        "--name",
        "watch",
        "--network",
        "host",
        "--health-cmd",
        "true",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    assert_ne!(host.sh("find /run/berth -type s | wc -l").ok(), "0");
    assert_eq!(host.sh("find /run/berth -type s -perm /o+w").ok(), "");
    // While containers run, while one is entered, and while an image is built.
    assert_eq!(host.docker(&["exec", "-t", "watch", "sh", "-c", listening]).ok(), "");
    host.sh(&format!(
        "mkdir /run/context && printf '%s\\n' 'FROM busybox' 'RUN ({}) > /seen; test ! -s /seen || {{ cat /seen; exit 1; }}' > /run/context/Dockerfile",
        listening.replace('\'', "'\\''")
    ))
    .ok();
    host.docker(&["build", "--network", "host", "/run/context"]).ok();
}

/// A container in the host's network, root in it, takes the name by which a netd once claimed the network namespace.
#[test]
fn a_container_in_the_hosts_network_does_not_keep_netd_away() {
    let (_world, mut host) = started();
    let script = "use Socket; for (;;) { socket(S, AF_UNIX, SOCK_STREAM, 0) or die; \
                  last if bind(S, pack('S', AF_UNIX) . qq(\\0berth/netd)); select(undef, undef, undef, 0.01) } \
                  listen(S, 9) or die; open(F, '>', '/run/held/done') or die; close(F); sleep 1000";
    host.sh("mkdir /run/held").ok();
    let run = ["run", "-d", "--network", "host", "-v", "/usr:/usr:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro"];
    let held = ["-v", "/run/held:/run/held", "busybox", "/usr/bin/perl", "-e", script];
    host.docker(&[&run[..], &held].concat()).ok();
    host.kill_berthd();
    host.kill_netd();
    let done = host.directory().join("run/held/done");
    berth_tests::until("the name", || done.exists());
    host.start_netd().start_berthd();
    host.docker(&["run", "--rm", "busybox", "ping", "-c", "1", "-W", "5", "172.17.0.1"]).ok();
}

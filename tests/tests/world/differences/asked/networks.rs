//! Networks, and what is on them.

use berth_tests::{Host, until};

use super::{Question, SOCKET, ask_all, inspected};

pub(super) const ASKED: &[Question] = &[
    (&["Host and container have permanent neighbour entries of each other"], neighbours_are_permanent),
    (&["needs `ip route add THEIR-SUBNET via CONTAINER` on the host"], who_routes_for_others_needs_a_route),
    (&["also through several hands"], files_of_a_shared_network_are_the_first_one_s),
    (
        &[
            "networks get subnets with 24 bits, of 172.18.0.0",
            "A network's bridge is `bb-` and the first 12 digits of its id",
        ],
        networks_have_24_bits_and_bridges_their_ids,
    ),
    (
        &["there are no variables of the other's ports", "With network mode `none` it is refused"],
        links_bring_no_variables,
    ),
    (&["but without `/`, control characters or `container:` at the beginning"], names_of_networks),
    (&["and that nobody knows is refused"], unknown_options_of_ours_are_refused),
    (&["a network that `berth net` makes is in `docker events` too"], networks_of_netd_are_told),
    (&["Attachable networks"], every_network_is_attachable),
];

#[test]
fn what_is_said_of_networks_is_so() {
    ask_all(ASKED);
}

fn neighbours_are_permanent(host: &mut Host) {
    let [address, gateway, pid] = ["{{.NetworkSettings.IPAddress}}", "{{.NetworkSettings.Gateway}}", "{{.State.Pid}}"]
        .map(|template| inspected(host, template, "web"));
    let of_the_host = host.sh("ip -4 neigh show nud permanent").ok();
    assert!(of_the_host.contains(&format!("{address} dev berth0 ")), "{of_the_host}");
    let of_the_container = host.sh(&format!("nsenter -n -t {pid} ip -4 neigh show nud permanent")).ok();
    assert!(of_the_container.contains(&format!("{gateway} dev eth0 ")), "{of_the_container}");
}

fn who_routes_for_others_needs_a_route(host: &mut Host) {
    host.docker(&["run", "-d", "--name", "vpn", "--cap-add", "NET_ADMIN", "busybox", "sleep", "4711"]).ok();
    host.docker(&["exec", "vpn", "ip", "address", "add", "10.77.0.1/24", "dev", "lo"]).ok();
    let ping =
        |host: &Host| host.docker(&["exec", "vpn", "ping", "-c", "1", "-W", "1", "-I", "10.77.0.1", "172.17.0.1"]);
    // The host has no way back, either: that it is dropped is shown elsewhere.
    ping(host).fails_with(1);
    let address = inspected(host, "{{.NetworkSettings.IPAddress}}", "vpn");
    host.sh(&format!("ip route add 10.77.0.0/24 via {address}")).ok();
    until("an answer", || ping(host).code == 0);
    host.sh(&format!("ip route del 10.77.0.0/24 via {address}")).ok();
    host.docker(&["rm", "-f", "vpn"]).ok();
}

fn files_of_a_shared_network_are_the_first_one_s(host: &mut Host) {
    let first = ["run", "-d", "--name", "first", "-h", "shared", "--add-host", "extra:192.0.2.1", "--dns", "192.0.2.2"];
    host.docker(&[&first[..], &["busybox", "sleep", "4711"]].concat()).ok();
    host.docker(&["run", "-d", "--name", "second", "--network", "container:first", "busybox", "sleep", "4711"]).ok();
    let files = ["cat", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    let of_the_first = host.docker(&[&["exec", "first"][..], &files].concat()).ok();
    assert!(
        ["extra", "shared", "nameserver 192.0.2.2"].iter().all(|word| of_the_first.contains(word)),
        "{of_the_first}"
    );
    let third = ["run", "--rm", "--network", "container:second", "busybox"];
    assert_eq!(host.docker(&[&third[..], &files].concat()).ok(), of_the_first);
    host.docker(&["rm", "-f", "second", "first"]).ok();
}

fn networks_have_24_bits_and_bridges_their_ids(host: &mut Host) {
    let id = host.docker(&["network", "create", "lab"]).ok();
    let subnet = inspected(host, "{{range .IPAM.Config}}{{.Subnet}}{{end}}", "lab");
    assert!(subnet.starts_with("172.18.") && subnet.ends_with("/24"), "{subnet}");
    host.sh(&format!("ip link show bb-{}", &id[..12])).ok();
    host.docker(&["network", "rm", "lab"]).ok();
}

fn links_bring_no_variables(host: &mut Host) {
    let client = [
        "run",
        "--rm",
        "--link",
        "web:db",
        "busybox",
        "sh",
        "-c",
        "grep -c '\tdb' /etc/hosts; env | grep -c DB || true",
    ];
    assert_eq!(host.docker(&client).ok(), "1\n0");
    host.docker(&["run", "--rm", "--network", "none", "--link", "web:db", "busybox", "true"]).fails_with(125);
}

fn names_of_networks(host: &mut Host) {
    for name in ["a/b".to_owned(), "a\tb".to_owned(), "container:web".to_owned(), "a".repeat(256)] {
        let body = serde_json::json!({ "Name": name }).to_string();
        let (status, said) = host.http(SOCKET, "POST", "/networks/create", Some(&body));
        assert_eq!(status, 400, "{name}: {said}");
    }
    let longest = "a".repeat(255);
    host.docker(&["network", "create", &longest]).ok();
    host.docker(&["network", "rm", &longest]).ok();
}

fn unknown_options_of_ours_are_refused(host: &mut Host) {
    for option in ["com.docker.network.bridge.nonesuch=1", "berth.nonesuch=1"] {
        let refusal = host.docker(&["network", "create", "-o", option, "lab"]).fails_with(1);
        assert!(refusal.contains("nonesuch"), "{refusal}");
    }
}

fn networks_of_netd_are_told(host: &mut Host) {
    host.berth(&["net", "create", "seen"]).ok();
    host.berth(&["net", "rm", "seen"]).ok();
    host.wait_for_network_event("seen", "create");
    host.wait_for_network_event("seen", "destroy");
}

fn every_network_is_attachable(host: &mut Host) {
    let made = [&[][..], &["--attachable"]].map(|flags| {
        host.docker(&[&["network", "create"], flags, &["lab"]].concat()).ok();
        let shown = inspected(host, "{{.Attachable}}", "lab");
        host.docker(&["run", "--rm", "--network", "lab", "busybox", "true"]).ok();
        host.docker(&["network", "rm", "lab"]).ok();
        shown
    });
    assert_eq!(made[0], made[1], "it changes nothing");
}

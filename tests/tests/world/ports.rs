//! Published ports: who reaches what, and who must not.

use berth_tests::{Host, World};

const PAGE: &str = "Hello from berth";

/// A host with berth on it and a neighbour on the wire.
fn host_and_neighbour(world: &mut World, br_netfilter: bool) -> (Host, Host) {
    let mut host = world.host();
    host.switch_br_netfilter(br_netfilter);
    host.start();
    (host, world.host())
}

#[track_caller]
fn reaches(outcome: berth_tests::Outcome) {
    assert_eq!(outcome.ok(), PAGE);
}

#[track_caller]
fn is_kept_out(outcome: berth_tests::Outcome) {
    assert_ne!(outcome.code, 0, "{} got {:?}", outcome.command, outcome.stdout);
}

fn every_way_in_and_out(br_netfilter: bool) {
    let mut world = World::new();
    let (host, neighbour) = host_and_neighbour(&mut world, br_netfilter);
    host.docker(&["network", "create", "other"]).ok();
    host.serve("web", &["-p", "4000:80"]);
    host.serve("local", &["-p", "127.0.0.1:4001:80"]);
    host.serve("same", &[]);
    host.serve("elsewhere", &["--network", "other"]);
    let (address, address_ipv6) = (host.address(), host.address_ipv6());

    // From the host.
    reaches(host.fetch("http://127.0.0.1:4000"));
    reaches(host.fetch(&format!("http://{address}:4000")));
    reaches(host.fetch("http://[::1]:4000"));
    reaches(host.fetch(&format!("http://[{address_ipv6}]:4000")));
    reaches(host.fetch("http://127.0.0.1:4001"));
    is_kept_out(host.fetch(&format!("http://{address}:4001")));

    // From the wire.
    reaches(neighbour.fetch(&format!("http://{address}:4000")));
    reaches(neighbour.fetch(&format!("http://[{address_ipv6}]:4000")));
    is_kept_out(neighbour.fetch(&format!("http://{address}:4001")));

    // From containers: the same network, another network, itself.
    for container in ["same", "elsewhere", "web"] {
        reaches(host.fetch_from(container, &format!("http://{address}:4000")));
        is_kept_out(host.fetch_from(container, &format!("http://{address}:4001")));
    }

    // Whatever route the neighbour adds, what isn't published isn't there.
    let inside = |name: &str| {
        host.docker(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name]).ok()
    };
    for name in ["web", "local", "same", "elsewhere"] {
        let container = inside(name);
        neighbour.sh(&format!("ip route add {container} via {address}")).ok();
        is_kept_out(neighbour.fetch(&format!("http://{container}:80")));
        is_kept_out(neighbour.fetch(&format!("http://{container}:4001")));
    }
    is_kept_out(host.fetch_from("elsewhere", &format!("http://{}:80", inside("web"))));
    reaches(host.fetch_from("same", &format!("http://{}:80", inside("web"))));

    // The client's own address arrives.
    let client =
        |outcome: berth_tests::Outcome| outcome.ok().trim_matches(['[', ']']).trim_start_matches("::ffff:").to_owned();
    assert_eq!(client(neighbour.fetch(&format!("http://{address}:4000/cgi-bin/client"))), neighbour.address());
    assert_eq!(
        client(host.fetch_from("elsewhere", &format!("http://{address}:4000/cgi-bin/client"))),
        inside("elsewhere")
    );
}

#[test]
fn every_way_in_and_out_with_br_netfilter() {
    every_way_in_and_out(true);
}

#[test]
fn every_way_in_and_out_without_br_netfilter() {
    every_way_in_and_out(false);
}

#[test]
fn no_container_reaches_the_hosts_loopback() {
    let mut world = World::new();
    let (host, _neighbour) = host_and_neighbour(&mut world, true);
    host.sh("mkdir -p /run/www && echo secret > /run/www/index.html && busybox httpd -p 127.0.0.1:9000 -h /run/www")
        .ok();
    host.serve("web", &["-p", "127.0.0.1:4000:80", "--privileged"]);
    let gateway = host.docker(&["inspect", "-f", "{{.NetworkSettings.Gateway}}", "web"]).ok();
    is_kept_out(host.fetch_from("web", &format!("http://{gateway}:9000")));
    // A container with every capability sends packets for 127.0.0.1 out of its interface.
    host.docker(&[
        "exec",
        "web",
        "sh",
        "-c",
        &format!(
            "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip address del 127.0.0.1/8 dev lo; \
         ip route add 127.0.0.0/8 via {gateway}"
        ),
    ])
    .ok();
    is_kept_out(host.fetch_from("web", "http://127.0.0.1:9000"));
    is_kept_out(host.fetch_from("web", "http://127.0.0.1:4000"));
    reaches(host.fetch("http://127.0.0.1:4000"));
}

#[test]
fn udp_and_ranges_and_chosen_ports() {
    let mut world = World::new();
    let (host, neighbour) = host_and_neighbour(&mut world, true);
    host.docker(&[
        "run",
        "-d",
        "--name",
        "echo",
        "-p",
        "7000:7/udp",
        "-p",
        "6000-6010:6000-6010",
        "-p",
        "127.0.0.1::80",
        "-v",
        "/:/host",
        "busybox",
        "sh",
        "-c",
        // Debian's static busybox can't listen on UDP: the host's nc echoes, by a pipe to itself.
        "chroot /host /bin/sh -c 'cd $(mktemp -d) && mkfifo back && nc -u -l 7 <>back | tee back' & \
         until grep -q ':0007 ' /proc/net/udp /proc/net/udp6; do :; done; \
         httpd -p 80 -h /var/www; httpd -p 6005 -h /var/www; echo listening; sleep 1000",
    ])
    .ok();
    host.wait_for_log("echo", "listening");
    let ask = format!("echo knock | nc -u -w 2 {} 7000", host.address());
    assert_eq!(neighbour.sh(&ask).ok(), "knock");
    reaches(neighbour.fetch(&format!("http://{}:6005", host.address())));
    let chosen = host.docker(&["port", "echo", "80/tcp"]).ok();
    let port: u16 = chosen.rsplit_once(':').expect("address:port").1.parse().expect("a port");
    assert!(chosen.starts_with("127.0.0.1:") && port >= 1024, "{chosen}");
    reaches(host.fetch(&format!("http://127.0.0.1:{port}")));
    // What is left to us is chosen after what is named, whatever comes first.
    let next = format!("{}:8080", port + 1);
    host.docker(&["run", "-d", "--name", "both", "-p", "80", "-p", &next, "busybox", "sleep", "1000"]).ok();
    assert!(host.docker(&["port", "both", "8080/tcp"]).ok().contains(&format!("0.0.0.0:{}", port + 1)));
    // A port that is to be published, and no word of where.
    let body = r#"{"Image":"busybox","Cmd":["sleep","1000"],"HostConfig":{"PortBindings":{"80/tcp":[]}}}"#;
    let create = "/v1.45/containers/create?name=anywhere";
    let (status, said) = host.http("/run/berth/berth.sock", "POST", create, Some(body));
    assert_eq!(status, 201, "{said}");
    host.docker(&["start", "anywhere"]).ok();
    assert!(host.docker(&["port", "anywhere", "80/tcp"]).ok().starts_with("0.0.0.0:"));
}

#[test]
fn rules_do_not_grow_with_ports() {
    let mut world = World::new();
    let (host, _neighbour) = host_and_neighbour(&mut world, true);
    let rules = || host.sh("nft -j list table inet berth | jq '[.nftables[] | select(.rule)] | length'").ok();
    host.docker(&["run", "-d", "-p", "4000:80", "busybox", "sleep", "1000"]).ok();
    let with_one = rules();
    host.docker(&["run", "-d", "-p", "10000-10249:10000-10249", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "-p", "11000-11249:12000-12249", "busybox", "sleep", "1000"]).ok();
    assert_eq!(rules(), with_one);
}

#[test]
fn a_taken_port_is_refused_by_name() {
    let mut world = World::new();
    let (host, _neighbour) = host_and_neighbour(&mut world, true);
    host.sh("mkdir -p /run/www && busybox httpd -p 5000 -h /run/www").ok();
    let links = host.sh("ip -o link | wc -l").ok();
    let said = host.docker(&["run", "--name", "late", "-p", "5000:80", "busybox", "true"]).fails_with(125);
    let words = ["5000", "address already in use by busybox (process "];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    host.docker(&["run", "-d", "--name", "first", "-p", "5001:80", "busybox", "sleep", "1000"]).ok();
    let said = host.docker(&["run", "--name", "second", "-p", "5001:80", "busybox", "true"]).fails_with(125);
    assert!(said.contains("5001") && said.contains("first") && said.contains("port is already allocated"), "{said}");
    host.docker(&["rm", "-f", "late", "second", "first"]).ok();
    assert_eq!(host.sh("ip -o link | wc -l").ok(), links);
    host.docker(&["run", "--rm", "-p", "5001:80", "busybox", "true"]).ok();
}

#[test]
fn a_port_removed_is_closed_and_free_again() {
    let mut world = World::new();
    let (host, neighbour) = host_and_neighbour(&mut world, true);
    for _ in 0..3 {
        host.serve("web", &["-p", "4000:80"]);
        reaches(neighbour.fetch(&format!("http://{}:4000", host.address())));
        host.docker(&["rm", "-f", "web"]).ok();
        is_kept_out(neighbour.fetch(&format!("http://{}:4000", host.address())));
    }
    assert_eq!(host.sh("nft -j list table inet berth | jq '[.nftables[].map.elem // empty | .[]] | length'").ok(), "0");
}

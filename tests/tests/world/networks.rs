//! Networks, by `berth net` and by `docker network` alike.

use berth_tests::{Host, World, host::fetch_script, probe::probe, started};

#[test]
fn both_clients_see_the_same_networks() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    assert_eq!(
        host.berth(&["net", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"]).ok(),
        "bridge bridge local\nhost host local\nnone null local"
    );
    let id = host
        .berth(&[
            "net",
            "create",
            "--driver",
            "bridge",
            "--subnet",
            "10.20.0.0/16",
            "--gateway",
            "10.20.0.9",
            "--ip-range",
            "10.20.5.0/24",
            "--aux-address",
            "router=10.20.5.1",
            "--label",
            "team=red",
            "-o",
            "com.docker.network.driver.mtu=1400",
            "red",
        ])
        .ok();
    assert_eq!(host.docker(&["network", "ls", "-q", "--no-trunc", "--filter", "label=team=red"]).ok(), id);
    assert_eq!(
        host.docker(&[
            "network",
            "inspect",
            "-f",
            "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{.IPRange}}{{end}}",
            "red"
        ])
        .ok(),
        "10.20.0.0/16 10.20.0.9 10.20.5.0/24"
    );
    assert_eq!(host.berth(&["net", "inspect", "-f", "{{.Name}}", &id[..8]]).ok(), "red");
    // The first address of the range is the router's.
    let address =
        host.docker(&["run", "--rm", "--network", "red", "busybox", "ip", "-o", "-4", "address", "show", "eth0"]).ok();
    assert!(address.contains(" 10.20.5.2/16 ") || address.contains(" 10.20.5.0/16 "), "{address}");
    assert_eq!(
        host.sh(&format!(
            "cat /sys/class/net/bb-{}/mtu 2>/dev/null || ip -o link show bb-{} | grep -o 'mtu 1400'",
            &id[..12],
            &id[..12]
        ))
        .ok(),
        "mtu 1400"
    );
    host.docker(&["network", "rm", "red"]).ok();
    assert_eq!(host.berth(&["net", "ls", "-q"]).ok().lines().count(), 3);
    host.wait_for_deleted_bridges();
    assert!(host.sh("ip -o link").ok().lines().all(|line| !line.contains(" bb-")));
}

#[test]
fn a_container_joins_and_leaves_while_it_runs() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    host.berth(&["net", "create", "one"]).ok();
    host.docker(&["network", "create", "two"]).ok();
    host.serve("web", &["--network", "one"]);
    let links = |name: &str| host.docker(&["exec", name, "ls", "/sys/class/net"]).ok();
    assert_eq!(links("web"), "eth0\nlo");
    host.docker(&["network", "connect", "two", "web"]).ok();
    assert_eq!(links("web"), "eth0\neth1\nlo");
    let on_two = host.docker(&["inspect", "-f", "{{.NetworkSettings.Networks.two.IPAddress}}", "web"]).ok();
    host.docker(&[
        "run",
        "--rm",
        "--network",
        "two",
        "busybox",
        "sh",
        "-c",
        &fetch_script(&format!("http://{on_two}")),
    ])
    .ok();
    let said = host.docker(&["network", "rm", "two"]).fails_with(1);
    assert!(said.contains("active endpoints") && said.contains("web"), "{said}");
    host.berth(&["net", "disconnect", "one", "web"]).ok();
    assert_eq!(links("web"), "eth1\nlo");
    host.docker(&["rm", "-f", "web"]).ok();
    assert_eq!(
        host.berth(&["net", "prune", "-f"]).ok().lines().filter(|line| ["one", "two"].contains(line)).count(),
        2
    );
}

#[test]
fn network_modes() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    assert_eq!(host.docker(&["run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net"]).ok(), "lo");
    let own = host.sh("readlink /proc/self/ns/net").ok();
    assert_eq!(
        host.docker(&["run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net"]).ok(),
        own
    );
    host.serve("web", &["--hostname", "shared"]);
    let shared = [
        "run",
        "--rm",
        "--network",
        "container:web",
        "busybox",
        "sh",
        "-c",
        &format!("{} && hostname && cat /etc/hosts", fetch_script("http://127.0.0.1")),
    ];
    let said = host.docker(&shared).ok();
    assert!(said.starts_with("Hello from berth\nshared\n") && said.contains("\tshared"), "{said}");
    host.docker(&["network", "create", "--subnet", "10.30.0.0/24", "fixed"]).ok();
    let said = host
        .docker(&[
            "run",
            "--rm",
            "--network",
            "fixed",
            "--ip",
            "10.30.0.77",
            "--mac-address",
            "02:00:00:00:00:77",
            "busybox",
            "ip",
            "address",
            "show",
            "eth0",
        ])
        .ok();
    assert!(said.contains("10.30.0.77/24") && said.contains("02:00:00:00:00:77"), "{said}");
}

#[test]
fn pools_avoid_the_hosts_routes() {
    let mut world = World::new();
    let mut host = world.host();
    host.sh("ip route add 172.16.0.0/12 dev eth0 && ip route add 192.168.0.0/17 dev eth0").ok();
    host.start();
    for name in ["bridge", "first", "second"] {
        if name != "bridge" {
            host.docker(&["network", "create", name]).ok();
        }
        let subnet = host.docker(&["network", "inspect", "-f", "{{range .IPAM.Config}}{{.Subnet}}{{end}}", name]).ok();
        assert!(!subnet.starts_with("172."), "{name} got {subnet}");
        let third: u8 = subnet.split('.').nth(2).and_then(|part| part.parse().ok()).unwrap_or(255);
        assert!(!subnet.starts_with("192.168.") || third >= 128, "{name} got {subnet}");
    }
}

#[test]
fn internal_and_isolated_networks() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let neighbour = world.host();
    host.docker(&["network", "create", "--internal", "inside"]).ok();
    host.docker(&["network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart"]).ok();
    host.serve("quiet", &["--network", "inside"]);
    let ping =
        |host: &Host, container: &str, to: &str| host.docker(&["exec", container, "ping", "-c", "1", "-W", "1", to]);
    assert_ne!(ping(&host, "quiet", &neighbour.address()).code, 0, "an internal network leads out");
    host.serve("one", &["--network", "apart"]);
    host.serve("two", &["--network", "apart", "-p", "4002:80"]);
    let two = host.docker(&["inspect", "-f", "{{.NetworkSettings.Networks.apart.IPAddress}}", "two"]).ok();
    // Whoever switches br_netfilter tells nobody, before or after netd comes back.
    for (bridges_pass, again) in [(true, false), (false, false), (false, true), (true, false)] {
        host.switch_br_netfilter(bridges_pass);
        if again {
            host.kill_netd();
            host.docker(&["network", "ls"]).ok();
        }
        let now = format!("br_netfilter {bridges_pass}, netd anew: {again}");
        assert_ne!(ping(&host, "one", &two).code, 0, "icc=false lets them talk: {now}");
        for guest in ["one", "two"] {
            let page = host.fetch_from(guest, &format!("http://{}:4002", host.address()));
            assert_eq!(page.stdout.trim(), "Hello from berth", "{guest}, {now}: {}", page.stderr);
        }
    }
    // The wire has no route back: only masqueraded packets are answered.
    ping(&host, "one", &neighbour.address()).ok();
}

#[test]
fn netds_own_socket() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd();
    let socket = "/run/berth/netd.sock";
    let (status, body) = host.http(socket, "GET", "/v1/openapi.json", None);
    assert_eq!(status, 200);
    assert!(body.contains("/v1/sandboxes/{id}"));
    let put = r#"{"owner":"test","name":"box","endpoints":[{"network":"bridge"}],"ports":[{"protocol":"tcp","host_ports":{"first":4000,"last":4000},"container_ports":{"first":80,"last":80}}]}"#;
    let (status, body) = host.http(socket, "PUT", "/v1/sandboxes/box", Some(put));
    assert!(status == 200 || status == 201, "{status} {body}");
    let sandbox: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(sandbox["state"], "programmed");
    assert_eq!(sandbox["ports"][0]["host_first"], 4000);
    let namespace = sandbox["namespace"].as_str().expect("a path");
    assert!(host.sh(&format!("nsenter --net={namespace} ip -o -4 address show eth0")).ok().contains("172.17.0.2/16"));
    // Once more is the same; another wish of its owner's changes it, and nobody else's does.
    let (status, again) = host.http(socket, "PUT", "/v1/sandboxes/box", Some(put));
    assert_eq!((status, again), (200, body.clone()));
    let (status, changed) = host.http(socket, "PUT", "/v1/sandboxes/box", Some(&put.replace("4000", "4001")));
    assert_eq!((status, changed), (200, body.replace("4000", "4001")));
    let nothing = r#"{"missing":[],"different":[],"superfluous":[],"not_held":[]}"#;
    assert_eq!(host.http(socket, "GET", "/v1/sandboxes/box/check", None), (200, nothing.to_owned()));
    let theirs = put.replace(r#""owner":"test""#, r#""owner":"them""#);
    assert_eq!(host.http(socket, "PUT", "/v1/sandboxes/box", Some(&theirs)).0, 403);
    let (status, _) = host.http(socket, "DELETE", "/v1/sandboxes/box?owner=test", None);
    assert!(status == 200 || status == 204);
    assert_eq!(host.http(socket, "GET", "/v1/sandboxes/box", None).0, 404);
}

#[test]
fn names_are_looked_up_by_the_servers_behind_a_stub_on_the_hosts_loopback() {
    let mut world = World::new();
    let mut host = world.host();
    host.sh(
        "mkdir -p /run/systemd/resolve && echo nameserver 127.0.0.53 > /run/stub && mount --bind /run/stub /etc/resolv.conf && \
         printf 'nameserver 10.99.0.77\\nsearch corp.example\\n' > /run/systemd/resolve/resolv.conf",
    )
    .ok();
    host.start();
    let inside = || host.docker(&["run", "--rm", "busybox", "cat", "/etc/resolv.conf"]).ok();
    let warnings = || host.docker(&["info", "-f", "{{json .Warnings}}"]).ok();
    assert_eq!(inside(), "nameserver 10.99.0.77\nsearch corp.example");
    assert!(!warnings().contains("DNS"), "{}", warnings());
    host.sh("echo nameserver 127.0.0.1 > /run/systemd/resolve/resolv.conf").ok();
    assert_eq!(inside(), "nameserver 8.8.8.8\nnameserver 8.8.4.4");
    assert!(warnings().contains("this host names no DNS server that containers can reach"), "{}", warnings());
}

#[test]
fn networks_have_whatever_names_and_others_options() {
    let (_world, host) = started();
    let options = ["-o", "encrypted=true", "-o", "com.example.driver.x=1"];
    for name in ["my net", "$%^", "über.all", "-dash", "a:b"] {
        let mut create = vec!["network", "create"];
        create.extend(options);
        host.docker(&[&create[..], &["--", name]].concat()).ok();
        let shown = host.docker(&["network", "inspect", "-f", "{{.Name}} {{json .Options}}", "--", name]).ok();
        assert_eq!(shown, format!(r#"{name} {{"com.example.driver.x":"1","encrypted":"true"}}"#));
        let on = format!("--network={name}");
        host.docker(&["run", "--rm", &on, "busybox", "ip", "-o", "link", "show", "eth0"]).ok();
        assert!(host.berth(&["net", "ls", "--format", "{{.Name}}"]).ok().lines().any(|line| line == name));
        host.docker(&["network", "rm", "--", name]).ok();
    }
    let unknown = ["network", "create", "-o", "com.docker.network.bridge.enable_iccc=false", "typo"];
    let said = host.docker(&unknown).fails_with(1);
    assert!(said.contains("driver bridge has no option \"com.docker.network.bridge.enable_iccc\""), "{said}");
}

#[test]
fn a_container_is_on_the_networks_that_are_named_and_no_other() {
    let (_world, host) = started();
    host.docker(&["network", "create", "front"]).ok();
    let body = r#"{"Image":"busybox","Cmd":["sleep","1000"],"NetworkingConfig":{"EndpointsConfig":{"front":{}}}}"#;
    let (status, said) = host.http("/run/berth/berth.sock", "POST", "/v1.45/containers/create?name=one", Some(body));
    assert_eq!(status, 201, "{said}");
    host.docker(&["start", "one"]).ok();
    let networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    assert_eq!(host.docker(&["inspect", "-f", networks, "one"]).ok().trim(), "front");
    assert_eq!(host.docker(&["exec", "one", "sh", "-c", "ip -o link | grep -c eth"]).ok(), "1");
}

#[test]
fn who_is_not_root_serves_on_low_ports_and_pings() {
    let (_world, host) = started();
    let read = "cd /proc/sys/net/ipv4 && echo $(cat ip_unprivileged_port_start ping_group_range)";
    let reads = |flags: &[&str]| host.docker(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", read]].concat()).ok();
    let of_the_host = host.sh(read).ok();
    assert_eq!(reads(&[]), "0 0 2147483647");
    assert_eq!(reads(&["--network", "none"]), "0 0 2147483647");
    assert_ne!(of_the_host, "0 0 2147483647");
    assert_eq!(reads(&["--network", "host"]), of_the_host, "the host's are left alone");
    let asked = ["--sysctl", "net.ipv4.ip_unprivileged_port_start=1024", "--sysctl", "net.ipv4.ping_group_range=1 0"];
    assert_eq!(reads(&asked), "1024 1 0");
    let serve = "httpd -p 80 -h /var/www && echo listening && exec sleep 1000";
    host.docker(&["run", "-d", "--name", "web", "-u", "1000", "--cap-drop", "ALL", "busybox", "sh", "-c", serve]).ok();
    host.wait_for_log("web", "listening");
    let address = host.docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]).ok();
    assert_eq!(host.fetch(&format!("http://{address}")).ok(), "Hello from berth");
    // Without a capability for raw sockets there is only the one that the kernel has for pings.
    let program = format!("{}:/probe:ro", probe().display());
    let ping = |flags: &[&str]| {
        let user = ["run", "--rm", "-u", "1000", "--cap-drop", "ALL", "-v", &program];
        host.docker(&[&user[..], flags, &["busybox", "/probe", "ping", &address]].concat()).code
    };
    assert_eq!(ping(&[]), 0);
    assert_eq!(ping(&asked), nix::libc::EACCES);
}

#[test]
fn networkd_is_named_at_the_start_if_it_would_manage_links_of_ours() {
    let mut world = World::new();
    let mut host = world.host();
    let packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging");
    // What this machine has for its own links is no part of this host.
    host.sh("for directory in /etc /usr/local/lib /usr/lib /lib; do \
             [ ! -d $directory/systemd/network ] || mount -t tmpfs none $directory/systemd/network || exit 1; done")
        .ok();
    host.sh("mkdir -p /run/systemd/netif /run/systemd/network && touch /run/systemd/netif/state && \
         printf '[Match]\\nType=ether bridge\\n[Network]\\nDHCP=yes\\n' > /run/systemd/network/10-all.network")
        .ok();
    host.start_netd();
    let says = "systemd-networkd manages berth0, bb-0123456789ab, bv0123456789 by /run/systemd/network/10-all.network";
    host.wait_for_daemon_log("netd", says);
    // With the file that is installed it doesn't, and nothing is said.
    host.kill_netd();
    host.sh(&format!("cp {packaging}/05-berth.network /run/systemd/network")).ok();
    host.start_netd();
    host.wait_for_daemon_lines("netd", "ready", 2);
    assert_eq!(host.logs().matches("networkd").count(), 1, "{}", host.logs());
}

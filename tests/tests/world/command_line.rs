//! The command line against the daemons: what is so already, what isn't there, and who is on which network.

use berth_tests::started;

#[test]
fn what_is_so_already_is_no_failure() {
    let (_world, host) = started();
    host.berth(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let quiet = |arguments: &[&str]| {
        let outcome = host.berth(arguments);
        assert_eq!(outcome.stderr, "", "{arguments:?}");
        outcome.ok()
    };
    assert_eq!(quiet(&["start", "web"]), "web");
    assert_eq!(quiet(&["stop", "-t", "0", "web"]), "web");
    assert_eq!(quiet(&["stop", "web"]), "web");
    let said = host.berth(&["start", "web", "nobody"]).fails_with(1);
    assert!(said.contains("berth: Error response from daemon: No such container: nobody"), "{said}");
    let said = host.berth(&["net", "rm", "nowhere"]).fails_with(1);
    assert!(said.starts_with("berth: network nowhere not found"), "{said}");
}

#[test]
fn a_table_tells_who_is_on_which_network() {
    let (_world, host) = started();
    host.berth(&["net", "create", "--subnet", "10.9.0.0/24", "lab"]).ok();
    let flags = ["--network", "lab", "--ip", "10.9.0.7", "--network-alias", "db", "-p", "4000:80"];
    host.berth(&[&["run", "-d", "--name", "web"], &flags[..], &["busybox", "sleep", "1000"]].concat()).ok();
    host.berth(&["run", "-d", "--name", "other", "busybox", "sleep", "1000"]).ok();
    host.berth(&["net", "connect", "lab", "other"]).ok();
    let line = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    let table: Vec<String> = host.berth(&["net", "ps", "lab"]).ok().lines().map(line).collect();
    assert_eq!(table[0], "NETWORK CONTAINER ADDRESSES NAMES PORTS");
    assert!(table[1].starts_with("lab other 10.9.0.2 ") && !table[1].contains("->"), "{table:?}");
    assert!(table[2].starts_with("lab web 10.9.0.7 db"), "{table:?}");
    assert!(table[2].contains("0.0.0.0:4000->80/tcp"), "{table:?}");
    let all = host.berth(&["net", "ps", "--format", "{{.Network}} {{.Container}}"]).ok();
    assert_eq!(all, "bridge other\nlab other\nlab web");
    // By today's name, to whoever meets it as well.
    host.berth(&["rename", "web", "www"]).ok();
    let lab = host.berth(&["net", "ps", "--format", "{{.Container}} {{.Addresses}} {{.Ports}}", "lab"]).ok();
    assert!(lab.contains("\nwww 10.9.0.7 0.0.0.0:4000->80/tcp"), "{lab}");
    let said = host.berth(&["run", "-p", "4000:80", "busybox", "true"]).fails_with(125);
    assert!(said.contains("www") && !said.contains("web"), "{said}");
    let more = host.berth(&["net", "inspect", "-v", "-f", "{{range .Containers}}{{.Ports}} {{end}}", "lab"]).ok();
    assert!(more.contains("0.0.0.0:4000->80/tcp"), "{more}");
}

#[test]
fn what_the_engine_has_no_use_for_is_refused_in_its_words() {
    let (_world, host) = started();
    for (arguments, code, said) in [
        (&["run", "--gpus", "all", "busybox"][..], 125, "--gpus"),
        (&["run", "--storage-opt", "size=1g", "busybox"], 125, "--storage-opt"),
        (&["run", "--cpu-rt-runtime", "5000", "busybox"], 125, "--cpu-rt-runtime"),
        (&["run", "--device-cgroup-rule", "x", "busybox"], 125, "invalid device cgroup rule format: 'x'"),
        (&["run", "--memory-swappiness", "101", "busybox"], 125, "valid memory swappiness range is 0-100"),
        (&["run", "--blkio-weight", "5", "busybox"], 125, "Range of blkio weight is from 10 to 1000"),
        (&["run", "--device-read-bps", "/dev/nowhere:1mb", "busybox"], 125, "/dev/nowhere"),
        (&["net", "create", "--config-only", "kept"], 1, "configuration-only networks are not available"),
        (&["net", "create", "--scope", "swarm", "far"], 1, "network scope \"swarm\" is not available"),
        (&["net", "create", "--ipam-driver", "foreign", "lab"], 1, "IPAM driver \"foreign\" is not available"),
        (&["net", "create", "--config-from", "kept", "lab"], 1, "configuration-only networks are not available"),
        (&["net", "create", "--ingress", "lab"], 1, "ingress"),
        (&["net", "create", "--ipam-opt", "a=b", "lab"], 1, "the default IPAM driver has no option \"a\""),
        (&["rmi", "--platform", "linux/riscv64", "busybox"], 1, "does not match the specified platform"),
        (&["history", "--platform", "linux/riscv64", "busybox"], 1, "does not match the specified platform"),
        (&["image", "inspect", "--platform", "linux/riscv64", "busybox"], 1, "does not match the specified platform"),
    ] {
        let refusal = host.berth(arguments).fails_with(code);
        assert!(
            refusal.contains("berth: Error response from daemon: ") && refusal.contains(said),
            "{arguments:?}: {refusal}"
        );
    }
    assert_eq!(host.berth(&["ps", "-aq"]).ok(), "", "nothing was made");
    host.berth(&["net", "create", "--attachable", "--scope", "local", "lab"]).ok();
    assert_eq!(host.berth(&["net", "ls", "-q", "--filter", "name=lab"]).ok().len(), 12);
    // Of the platform that is here they tell and take away.
    let ours = host.docker(&["image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "busybox"]).ok();
    let layers = ["--format", "{{.ID}} {{.Size}} {{.Comment}}", "busybox"];
    let history = host.berth(&[&["history"][..], &layers].concat()).ok();
    assert_eq!(host.berth(&[&["history", "--platform", &ours][..], &layers].concat()).ok(), history);
    let archive = berth_tests::image::busybox();
    host.docker(&["import", "-m", "another", &archive.to_string_lossy(), "other:1"]).ok();
    host.docker(&["tag", "other:1", "other:2"]).ok();
    host.docker(&["create", "busybox"]).ok();
    let tree = host.berth(&["images", "--tree"]).ok();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let tree: Vec<_> = tree.lines().map(words).collect();
    let id = |name: &str| host.docker(&["inspect", "-f", "{{slice .Id 7 19}}", name]).ok();
    assert_eq!(tree[0].join(" "), "IMAGE ID DISK USAGE EXTRA");
    assert_eq!(
        (tree[1].len(), &tree[1][0], &tree[2][0]),
        (1, &"other:1".to_owned(), &"other:2".to_owned()),
        "{tree:?}"
    );
    assert_eq!((tree[2].len(), &tree[2][1]), (3, &id("other:1")), "{tree:?}");
    let used = [&tree[3][0], &tree[3][1], &tree[3][3]];
    assert_eq!(used, [&"busybox:latest".to_owned(), &id("busybox"), &"U".to_owned()], "a container has it: {tree:?}");
    host.berth(&["rmi", "--platform", &ours, "other:2"]).ok();
    assert_eq!(host.docker(&["images", "-q", "other:2"]).ok(), "");
}

#[test]
fn an_error_of_the_network_ends_with_its_last_cause() {
    let (_world, host) = started();
    host.sh("mkdir /run/ctx && printf 'FROM scratch\\nADD http://127.0.0.1:1/file /\\n' > /run/ctx/Dockerfile").ok();
    host.sh("printf 'FROM 127.0.0.1:1/nonesuch\\n' > /run/ctx/From").ok();
    // There, and nobody listens.
    drop(std::os::unix::net::UnixListener::bind(host.directory().join("run/silent.sock")).expect("a socket"));
    host.docker(&["tag", "busybox", "127.0.0.1:1/busybox"]).ok();
    let refused = "Connection refused";
    for (arguments, code, place, cause) in [
        (&["pull", "127.0.0.1:1/nonesuch"][..], 1, "127.0.0.1:1", refused),
        (&["push", "127.0.0.1:1/busybox"], 1, "127.0.0.1:1", refused),
        (&["run", "127.0.0.1:1/nonesuch"], 125, "127.0.0.1:1", refused),
        (&["login", "-u", "ann", "-p", "secret", "127.0.0.1:1"], 1, "127.0.0.1:1", refused),
        (&["search", "127.0.0.1:1/nonesuch"], 1, "127.0.0.1:1", refused),
        (&["import", "http://127.0.0.1:1/archive"], 1, "127.0.0.1:1", refused),
        (&["build", "/run/ctx"], 1, "127.0.0.1:1", refused),
        (&["build", "-f", "/run/ctx/From", "/run/ctx"], 1, "127.0.0.1:1", refused),
        (&["-H", "/run/silent.sock", "ps"], 1, "/run/silent.sock", "nobody listens on it"),
        (&["-H", "unix:///run/nonesuch.sock", "ps"], 1, "/run/nonesuch.sock", "there is no such socket"),
        (&["--netd-socket", "/run/silent.sock", "net", "ls"], 1, "/run/silent.sock", "nobody listens on it"),
    ] {
        let said = host.berth(arguments).fails_with(code);
        let why: Vec<&str> = said.lines().filter(|line| line.starts_with("berth: ")).collect();
        let [why] = why[..] else { panic!("{arguments:?} says why once: {said}") };
        assert!(why.contains(place), "{arguments:?}: {why}");
        // What to do may follow, of a daemon that doesn't answer.
        let last = why.split("; ").next().unwrap_or(why).trim_end_matches(" (os error 111)");
        assert!(last.ends_with(cause) && !last["berth: ".len()..].contains("berth: "), "{arguments:?}: {why}");
    }
}

//! `run` and its flags, seen from inside the container; every case by the docker client, some by ours as well.

use berth_tests::{Host, started};

/// What a container prints, by either client.
#[track_caller]
fn prints(host: &Host, flags: &[&str], command: &[&str], expected: &str) {
    let mut arguments = vec!["run", "--rm"];
    arguments.extend_from_slice(flags);
    arguments.push("busybox");
    arguments.extend_from_slice(command);
    assert_eq!(host.docker(&arguments).ok(), expected, "docker {arguments:?}");
    assert_eq!(host.berth(&arguments).ok(), expected, "berth {arguments:?}");
}

#[test]
fn flags_about_the_process() {
    let (_world, host) = started();
    prints(&host, &["-e", "A=1", "-e", "B=two words"], &["sh", "-c", "echo $A $B"], "1 two words");
    host.sh("printf 'C=3\\n# no\\nD=4\\n' > /run/env").ok();
    prints(&host, &["--env-file", "/run/env"], &["sh", "-c", "echo $C$D"], "34");
    prints(&host, &["-w", "/var/www"], &["pwd"], "/var/www");
    prints(&host, &["-w", "/made/for/it"], &["pwd"], "/made/for/it");
    prints(&host, &["-u", "guest"], &["id"], "uid=1000(guest) gid=1000(guest) groups=10(wheel),1000(guest)");
    prints(&host, &["-u", "1234:99"], &["id"], "uid=1234 gid=99 groups=99");
    prints(&host, &["--entrypoint", "echo"], &["hello"], "hello");
    prints(&host, &["--hostname", "ahost"], &["hostname"], "ahost");
    let names = ["sh", "-c", "hostname && tail -n 1 /etc/hosts | cut -f 2"];
    prints(&host, &["--hostname", "web.example.test"], &names, "web.example.test\nweb.example.test web");
    prints(&host, &["--hostname", "web", "--domainname", "lan"], &names, "web\nweb.lan web");
    prints(&host, &["--ulimit", "nofile=100:200"], &["sh", "-c", "ulimit -n; ulimit -Hn"], "100\n200");
    // Fewer than are open until the program starts.
    prints(&host, &["--ulimit", "nofile=5:5"], &["sh", "-c", "ulimit -n"], "5");
    prints(
        &host,
        &["--init"],
        &["sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline | grep -o -- '-- .*\\|init' | head -n 1 | grep -c ."],
        "1",
    );
    prints(&host, &["-l", "a=b"], &["true"], "");
}

#[test]
fn flags_about_files() {
    let (_world, host) = started();
    host.sh("mkdir -p /run/shared && echo from the host > /run/shared/file").ok();
    prints(&host, &["-v", "/run/shared:/data"], &["cat", "/data/file"], "from the host");
    prints(
        &host,
        &["--mount", "type=bind,source=/run/shared,target=/data,readonly"],
        &["sh", "-c", "touch /data/x 2>&1 || true"],
        "touch: /data/x: Read-only file system",
    );
    prints(&host, &["-v", "/run/shared:/data:ro"], &["sh", "-c", "touch /data/x 2>/dev/null || echo no"], "no");
    prints(
        &host,
        &["--tmpfs", "/scratch:size=1m"],
        &["sh", "-c", "grep ' /scratch ' /proc/mounts | cut -d' ' -f1,3"],
        "tmpfs tmpfs",
    );
    // How mounts in it spread is seen by who makes mount namespaces in the container.
    let look = "grep ' /scratch ' /proc/self/mountinfo | grep -o 'shared\\|unbindable' || echo private";
    for (option, expected) in
        [("shared", "shared"), ("rshared,rprivate", "private"), ("rslave", "private"), ("unbindable", "unbindable")]
    {
        prints(&host, &["--tmpfs", &format!("/scratch:{option}")], &["sh", "-c", look], expected);
        prints(
            &host,
            &["--tmpfs", &format!("/dev/shm:{option}")],
            &["sh", "-c", &look.replace("scratch", "dev.shm")],
            expected,
        );
    }
    prints(
        &host,
        &["--mount", "type=tmpfs,target=/scratch,tmpfs-size=4096"],
        &["sh", "-c", "dd if=/dev/zero of=/scratch/x bs=8192 count=1 2>/dev/null || echo full"],
        "full",
    );
    prints(
        &host,
        &["--read-only", "--tmpfs", "/tmp"],
        &["sh", "-c", "touch /x 2>/dev/null || touch /tmp/x && echo ok"],
        "ok",
    );
    prints(&host, &["-v", "/run/made-by-run:/data"], &["sh", "-c", "echo kept > /data/file && cat /data/file"], "kept");
    assert_eq!(host.sh("cat /run/made-by-run/file").ok(), "kept");
    let said = host
        .docker(&["run", "--rm", "--mount", "type=bind,source=/nowhere,target=/x", "busybox", "true"])
        .fails_with(125);
    assert!(said.contains("/nowhere"), "{said}");
}

#[test]
fn exit_codes() {
    let (_world, host) = started();
    let cases =
        [(vec!["true"], 0), (vec!["sh", "-c", "exit 7"], 7), (vec!["nonesuch"], 127), (vec!["/etc/passwd"], 126)];
    for (command, code) in cases {
        let mut arguments = vec!["run", "--rm", "busybox"];
        arguments.extend(command);
        assert_eq!(host.docker(&arguments).code, code, "docker {arguments:?}");
        assert_eq!(host.berth(&arguments).code, code, "berth {arguments:?}");
    }
    for client in [
        host.docker(&["run", "--rm", "nonesuch:latest", "true"]),
        host.berth(&["run", "--rm", "nonesuch:latest", "true"]),
    ] {
        assert!(client.clone().fails_with(125).contains("nonesuch"), "{client:?}");
    }
    assert_eq!(host.docker(&["ps", "-aq"]).ok(), "", "a container that never started stayed behind --rm");
}

#[test]
fn input_and_output() {
    let (_world, host) = started();
    let pipe = |client: &str| {
        format!("printf 'one\\ntwo\\n' | {client} run --rm -i busybox sh -c 'cat; echo err >&2' 2>/run/err")
    };
    assert_eq!(
        host.sh(&format!("export DOCKER_HOST=unix:///run/berth/berth.sock; {}", pipe("docker"))).ok(),
        "one\ntwo"
    );
    assert_eq!(host.sh("cat /run/err").ok(), "err");
    let berth = berth_tests::world::binary("berth");
    assert_eq!(host.sh(&pipe(&berth.to_string_lossy())).ok(), "one\ntwo");
    assert_eq!(host.sh("cat /run/err").ok(), "err");
    // A burst, and every byte of it in the output and in the log.
    let burst = ["run", "--name", "burst", "busybox", "sh", "-c", "seq 1 200000"];
    let output = host.docker(&burst).ok();
    assert_eq!(output.lines().count(), 200_000);
    assert_eq!(host.docker(&["logs", "burst"]).ok(), output);
    assert_eq!(host.berth(&["logs", "--tail", "2", "burst"]).ok(), "199999\n200000");
}

#[test]
fn a_terminal() {
    let (_world, host) = started();
    let berth = berth_tests::world::binary("berth");
    for client in ["docker", &berth.to_string_lossy()] {
        let mut terminal = host.terminal(&format!(
            "{client} run --rm -it busybox sh -c 'tty; trap \"echo caught; exit 3\" INT; stty size; \
             while :; do sleep 0.1; done'"
        ));
        terminal.wait_for("/dev/pts/0").wait_for("24 80");
        // Ctrl-C reaches the program in the container.
        terminal.enter("\x03").wait_for("caught");
        assert_eq!(terminal.end().code, 3, "{client}");
    }
    // A client notices a new size of its window some time after its start; what it asks for then is this.
    let program = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done";
    host.docker(&["run", "-dit", "--name", "window", "busybox", "sh", "-c", program]).ok();
    host.wait_for_log("window", "ready");
    let resize = |name: &str| {
        host.http("/run/berth/berth.sock", "POST", &format!("/containers/{name}/resize?h=33&w=101"), None).0
    };
    assert_eq!(resize("window"), 200);
    host.wait_for_log("window", "33 101");
    // Without a terminal it changes nothing, and without a process there is nobody to ask.
    host.docker(&["run", "-d", "--name", "blind", "busybox", "sleep", "1000"]).ok();
    assert_eq!(resize("blind"), 200);
    host.docker(&["rm", "-f", "window"]).ok();
    host.docker(&["kill", "blind"]).ok();
    host.docker(&["wait", "blind"]).ok();
    assert_eq!((resize("window"), resize("blind")), (404, 409));
}

#[test]
fn detaching_leaves_the_container() {
    let (_world, host) = started();
    let berth = berth_tests::world::binary("berth");
    for (client, name) in [("docker", "kept"), (&*berth.to_string_lossy(), "held")] {
        let mut terminal = host.terminal(&format!("{client} run --name {name} -it busybox sh"));
        terminal.wait_for("/ # ").enter("echo mar''ker\n").wait_for("marker").enter("\x10\x11");
        terminal.end().ok();
        assert_eq!(host.docker(&["inspect", "-f", "{{.State.Running}}", name]).ok(), "true");
        assert!(host.docker(&["logs", name]).ok().contains("marker"));
        // It is taken up again where it was left, and ends with its shell.
        let mut terminal = host.terminal(&format!("{client} attach {name}"));
        terminal.enter("echo ba''ck\n").wait_for("back").enter("exit 4\n");
        assert_eq!(terminal.end().code, 4, "{client}");
        assert_eq!(host.docker(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name]).ok(), "exited 4");
    }
}

#[test]
fn exposed_ports_by_capital_p() {
    let (_world, host) = started();
    host.serve("web", &["-P", "--expose", "80", "--expose", "81/udp"]);
    let ports = host.docker(&["port", "web"]).ok();
    assert!(ports.contains("80/tcp -> 0.0.0.0:") && ports.contains("81/udp -> 0.0.0.0:"), "{ports}");
    let port = ports.lines().find_map(|line| line.strip_prefix("80/tcp -> 0.0.0.0:")).expect("a port").to_owned();
    assert_eq!(host.fetch(&format!("http://127.0.0.1:{port}")).ok(), "Hello from berth");
}

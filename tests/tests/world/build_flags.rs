//! What `build` is asked for beside its Dockerfile, by the docker client's classic builder API and by ours: registries,
//! platforms, bounds and networks.

use std::fs;

use berth_tests::{Host, Outcome, registry, started, until_is, world::binary};

/// A build context of nothing but a Dockerfile.
fn context(host: &Host, name: &str, dockerfile: &str) -> String {
    let directory = host.directory().join("lib").join(name);
    fs::create_dir_all(&directory).expect("a context");
    fs::write(directory.join("Dockerfile"), dockerfile).expect("a context");
    format!("/var/lib/{name}")
}

const CLIENTS: [&str; 2] = ["docker", "berth"];

/// A build by one of the clients, with a person's configuration below `config`.
fn build_as(host: &Host, client: &str, config: &str, arguments: &[&str]) -> Outcome {
    let mut command = match client {
        "docker" => host.docker_command(),
        _ => host.command(&binary("berth").to_string_lossy()),
    };
    command.env("DOCKER_BUILDKIT", "0").env("DOCKER_CONFIG", config);
    Outcome::of(command.arg("build").args(arguments))
}

fn build(host: &Host, client: &str, arguments: &[&str]) -> Outcome {
    build_as(host, client, "/nonexistent", arguments)
}

/// Starts a registry that has the image of a layout that the host has.
fn with_made(host: &Host, port: u16, credentials: &str, others: &str) -> String {
    registry::layout(host);
    registry::start(host, port, "", others);
    let name = format!("127.0.0.1:{port}/team/made");
    put(host, "made", &format!("{credentials} docker://{name}:1"));
    name
}

/// Puts an image of the layout into a registry.
fn put(host: &Host, tag: &str, to: &str) {
    let layout = host.directory().join("src").display().to_string();
    host.sh(&format!("skopeo copy -q --dest-tls-verify=false oci:{layout}:{tag} {to}")).ok();
}

#[test]
fn stages_begin_with_images_that_only_who_may_gets() {
    let (_world, host) = started();
    let directory = host.directory().join("registry-5001");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("htpasswd"), registry::HTPASSWD).expect("a file");
    let auth = "auth: {htpasswd: {realm: tests, path: DIR/htpasswd}}\n";
    let made = with_made(&host, 5001, "--dest-creds ann:secret", auth);
    let config = host.directory().join("config");
    fs::create_dir_all(&config).expect("a directory");
    // ann:secret
    fs::write(config.join("config.json"), r#"{"auths": {"127.0.0.1:5001": {"auth": "YW5uOnNlY3JldA=="}}}"#)
        .expect("a file");
    let config = config.display().to_string();
    let path = context(&host, "closed", &format!("FROM {made}:1\nRUN cp /second /third\n"));
    let images = host.docker(&["images", "-aq"]).ok();
    for client in CLIENTS {
        let said = build(&host, client, &["-t", "mine", &path]).fails_with(1);
        let why = format!("pull access denied for {made}, repository does not exist");
        assert!(said.contains(&format!("Dockerfile:1: FROM {made}:1")) && said.contains(&why), "{client}: {said}");
        assert_eq!(host.docker(&["images", "-aq"]).ok(), images, "nothing half-there");
        let file = format!("/run/{client}.id");
        let said = build_as(&host, client, &config, &["--iidfile", &file, "-t", "mine", &path]).ok();
        assert!(
            said.contains(&format!("Pulling {made}:1\n")) && said.contains("\nDigest: sha256:"),
            "{client}: {said}"
        );
        assert_eq!(host.docker(&["run", "--rm", "mine", "cat", "/third"]).ok(), "second");
        let id = host.docker(&["inspect", "-f", "{{.Id}}", "mine"]).ok();
        assert_eq!(host.sh(&format!("cat {file}")).ok(), id, "{client}");
        host.docker(&["rmi", "mine", &format!("{made}:1")]).ok();
        host.berth(&["builder", "prune", "-af"]).ok();
    }
}

#[test]
fn images_here_are_asked_for_again_with_pull_only() {
    let (_world, host) = started();
    let made = with_made(&host, 5000, "", "");
    let path = context(&host, "ctx", &format!("FROM {made}:1\nRUN cp /second /third\n"));
    host.sh(&format!(
        "cd {} && umoci config --image src:made --tag newer --config.label version=newer",
        host.directory().display()
    ))
    .ok();
    let version = || host.docker(&["inspect", "-f", "{{.Config.Labels.version}}", "mine"]).ok();
    for client in CLIENTS {
        put(&host, "made", &format!("docker://{made}:1"));
        build(&host, client, &["--pull", "-t", "mine", &path]).ok();
        assert_eq!(version(), "<no value>", "{client}");
        put(&host, "newer", &format!("docker://{made}:1"));
        let said = build(&host, client, &["-t", "mine", &path]).ok();
        assert!(!said.contains("Pulling") && said.contains("Using cache"), "{client}: {said}");
        assert_eq!(version(), "<no value>", "{client}");
        let said = build(&host, client, &["--pull", "-t", "mine", &path]).ok();
        assert!(said.contains(&format!("Pulling {made}:1\n")), "{client}: {said}");
        assert_eq!(version(), "newer", "{client}");
    }
    // A stage is no image, and is asked for nowhere.
    let path = context(&host, "stages", &format!("FROM {made}:1 AS base\nFROM base\nENV A=1\n"));
    assert_eq!(build(&host, "docker", &["--pull", &path]).ok().matches("Pulling").count(), 1);
}

#[test]
fn images_are_built_for_the_platform_that_is_asked_for() {
    let (_world, host) = started();
    let made = with_made(&host, 5000, "", "");
    registry::put_index(&host);
    let architecture = || host.docker(&["inspect", "-f", "{{.Os}}/{{.Architecture}}", "mine"]).ok();
    let plain = context(&host, "plain", &format!("FROM {made}:all\nLABEL a=b\n"));
    let fixed = context(&host, "fixed", &format!("FROM --platform=linux/arm64 {made}:all\nLABEL a=b\n"));
    let arg = "FROM --platform=$BUILDPLATFORM NAME AS tools\nFROM NAME\nARG TARGETARCH BUILDARCH\n\
               COPY --from=tools /second /from\nLABEL of=$BUILDARCH for=$TARGETARCH\n";
    let both = context(&host, "both", &arg.replace("NAME", &format!("{made}:all")));
    for client in CLIENTS {
        let built = |arguments: &[&str]| {
            build(&host, client, &[&["-t", "mine"], arguments].concat()).ok();
            architecture()
        };
        assert_eq!(built(&[&plain]), "linux/amd64", "{client}");
        assert_eq!(built(&["--platform", "linux/arm64", &plain]), "linux/arm64", "{client}");
        assert_eq!(built(&[&plain]), "linux/arm64", "{client}: as it is here");
        assert_eq!(built(&["--platform", "linux/amd64", &plain]), "linux/amd64", "{client}");
        assert_eq!(built(&[&fixed]), "linux/arm64", "{client}");
        assert_eq!(built(&["--platform", "linux/amd64", &fixed]), "linux/arm64", "{client}: FROM knows better");
        assert_eq!(built(&["--platform", "linux/arm64", &both]), "linux/arm64", "{client}");
        let labels = host.docker(&["inspect", "-f", "{{.Config.Labels.of}} {{.Config.Labels.for}}", "mine"]).ok();
        assert_eq!(labels, "amd64 arm64", "{client}");
        let said = build(&host, client, &["--platform", "linux/s390x", &plain]).fails_with(1);
        let why = "no matching manifest for linux/s390x in the manifest list entries";
        assert!(said.contains(&format!("Dockerfile:1: FROM {made}:all")) && said.contains(why), "{client}: {said}");
        let said = build(&host, client, &["--platform", "a/b/c/d", &plain]).fails_with(1);
        assert!(said.contains("a/b/c/d"), "{client}: {said}");
    }
}

#[test]
fn steps_run_within_the_bounds_of_their_build() {
    let (_world, host) = started();
    // Of either generation of cgroups, in kilobytes where it is memory.
    let look = "find() { for file in \"$@\"; do test -e $file && cat $file && return; done; echo none $1; }; \
                find /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; \
                find /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max | cut -d ' ' -f 1; \
                grep Cpus_allowed_list /proc/self/status | cut -f 2; ulimit -n; ulimit -Hn; \
                df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2";
    let path = context(&host, "bounds", &format!("FROM busybox\nRUN ({look}) > /seen\nCMD [\"cat\", \"/seen\"]\n"));
    for client in CLIENTS {
        let flags = ["--memory=64m", "--memory-swap=64m", "--cpu-period=50000", "--cpu-quota=20000"];
        let others = ["--cpu-shares=512", "--cpuset-cpus=0", "--ulimit=nofile=100:200", "--shm-size=8m"];
        let arguments = [&flags[..], &others, &["--no-cache", "-t", "bounds", &path]].concat();
        build(&host, client, &arguments).ok();
        let seen = host.docker(&["run", "--rm", "bounds"]).ok();
        assert_eq!(seen, format!("{}\n20000\n0\n100\n200\n8192", 64 << 20), "{client}");
        // The bounds are those of the build, and no step that is known runs again because of them.
        assert!(build(&host, client, &["--memory=32m", &path]).ok().contains("Using cache"), "{client}");
        let fat = context(&host, "fat", "FROM busybox\nRUN x=a; while :; do x=$x$x; done\n");
        let said = build(&host, client, &["--memory=16m", "--memory-swap=16m", &fat]).fails_with(137);
        assert!(said.contains("Dockerfile:2") && said.contains("returned a non-zero code: 137"), "{client}: {said}");
        for (flag, complaint) in [("--memory=1k", "6MB"), ("--cpuset-cpus=99999", "99999")] {
            let said = build(&host, client, &[flag, &path]).fails_with(1);
            assert!(said.contains(complaint) && !said.contains("Step 1"), "{client} {flag}: {said}");
        }
    }
}

#[test]
fn steps_are_on_the_network_of_their_build() {
    let (_world, host) = started();
    host.docker(&["network", "create", "--subnet", "10.7.0.0/24", "mine"]).ok();
    host.serve("web", &["--network", "mine", "--ip", "10.7.0.9"]);
    let look = "(ip -4 -o address show | grep -v ' lo ' | sed -E 's/.* inet ([0-9.]+).*/\\1/')";
    let fetch = berth_tests::host::fetch_script("http://10.7.0.9/");
    let addresses =
        context(&host, "addresses", &format!("FROM busybox\nRUN {look} > /seen\nCMD [\"cat\", \"/seen\"]\n"));
    let page = context(&host, "page", &format!("FROM busybox\nRUN ({fetch}) > /seen\nCMD [\"cat\", \"/seen\"]\n"));
    let seen = || host.docker(&["run", "--rm", "seen"]).ok();
    for client in CLIENTS {
        let built = |network: &str, context: &str| {
            build(&host, client, &["--no-cache", "--network", network, "-t", "seen", context])
        };
        built("none", &addresses).ok();
        assert_eq!(seen(), "", "{client}");
        built("host", &addresses).ok();
        assert!(seen().lines().any(|address| address == host.address()), "{client}: {}", seen());
        built("mine", &addresses).ok();
        assert!(seen().starts_with("10.7.0."), "{client}: {}", seen());
        built("mine", &page).ok();
        assert_eq!(seen(), "Hello from berth", "{client}");
        built("container:web", &addresses).ok();
        assert_eq!(seen(), "10.7.0.9", "{client}");
        built("default", &page).fails_with(1);
        let said = built("nowhere", &addresses).fails_with(1);
        assert!(said.contains("network nowhere not found"), "{client}: {said}");
    }
    let used = host.docker(&["network", "inspect", "-f", "{{len .Containers}}", "mine"]).ok();
    assert_eq!(used, "1", "steps leave nothing on it");
}

#[test]
fn a_prune_of_what_is_unused_leaves_what_images_were_built_by() {
    let (_world, host) = started();
    let path =
        context(&host, "ctx", "FROM busybox\nENV A=1\nRUN echo made > /made\nEXPOSE 80\nCMD [\"cat\", \"/made\"]\n");
    build(&host, "docker", &["-t", "kept", &path]).ok();
    build(&host, "docker", &["-t", "gone", "--label", "a=b", &path]).ok();
    host.docker(&["rmi", "gone"]).ok();
    let pruned = host.berth(&["builder", "prune", "-f"]).ok();
    assert_eq!(pruned.lines().filter(|line| line.len() == 12).count(), 1, "only the label's step goes: {pruned}");
    let said = build(&host, "docker", &["-t", "again", &path]).ok();
    assert_eq!(said.matches("Using cache").count(), 4, "{said}");
    host.docker(&["rmi", "kept", "again"]).ok();
    host.docker(&["builder", "prune", "-f"]).ok();
    let said = build(&host, "docker", &[&path]).ok();
    assert_eq!(said.matches("Using cache").count(), 0, "{said}");
}

#[test]
fn a_daemon_that_dies_in_a_step_leaves_nothing_of_it() {
    let (_world, mut host) = started();
    let path = context(&host, "ctx", "FROM busybox\nRUN echo one > /one\nRUN echo begun && sleep 1000\n");
    host.sh("mkfifo /run/said").ok();
    let mut client = host.docker_command();
    let mut client = client
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", &path])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("docker");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(client.stdout.take().expect("a pipe")));
    assert!(lines.map_while(Result::ok).any(|line| line == "begun"), "the step runs");
    host.kill_berthd();
    client.wait().expect("docker");
    host.start_berthd();
    let left = "find /var/lib/berth/images/tmp /var/lib/berth/images/snapshots /var/lib/berth/containers -mindepth 1; \
                find /run/berth/containers /run/berth/netns -mindepth 1 ! -name .rootfs 2> /dev/null; pgrep -f '^slee[p] 1000'";
    until_is("something is left", &String::new(), || host.sh(left).stdout);
    assert_eq!(host.sh("ls /var/lib/berth/images/layers | wc -l").ok(), "1", "no layer is left of it");
    let fixed = context(&host, "ctx", "FROM busybox\nRUN echo one > /one\nRUN echo begun\nCMD [\"cat\", \"/one\"]\n");
    build(&host, "docker", &["-t", "fixed", &fixed]).ok();
    assert_eq!(host.docker(&["run", "--rm", "fixed"]).ok(), "one");
}

//! Images from a registry: Debian's `docker-registry`, on the host itself.

use std::{io::Read as _, process::Stdio};

use berth_tests::{Host, World, registry, world::binary};

/// A host with its daemons and a registry on port 5000 that has `team/made:1`.
fn with_registry() -> (World, Host) {
    let mut world = World::new();
    let mut host = world.host();
    // The registry is a mirror of Docker Hub as well.
    host.berthd_flag("--registry-mirror=http://127.0.0.1:5000").start();
    registry::layout(&host);
    registry::start(&host, 5000, "", "");
    let layout = host.directory().join("src");
    host.sh(&format!(
        "skopeo copy -q --dest-tls-verify=false oci:{}:made docker://127.0.0.1:5000/team/made:1",
        layout.display()
    ))
    .ok();
    (world, host)
}

#[test]
fn docker_and_berth_pull_and_run_what_is_missing() {
    let (_world, host) = with_registry();
    const NAME: &str = "127.0.0.1:5000/team/made:1";
    let said = host.docker(&["pull", NAME]).ok();
    assert!(said.starts_with("1: Pulling from team/made\n"), "{said}");
    assert_eq!(said.matches(": Pull complete").count(), 2, "{said}");
    assert!(said.contains("\nDigest: sha256:"), "{said}");
    assert!(said.ends_with(&format!("Status: Downloaded newer image for {NAME}\n{NAME}")), "{said}");
    let again = host.berth(&["pull", NAME]).ok();
    assert_eq!(again.matches(": Already exists").count(), 2, "{again}");
    assert!(again.ends_with(&format!("Status: Image is up to date for {NAME}\n{NAME}")), "{again}");
    let digests = host.docker(&["image", "inspect", "-f", "{{index .RepoDigests 0}}", NAME]).ok();
    assert!(digests.starts_with("127.0.0.1:5000/team/made@sha256:"), "{digests}");
    for client in ["docker", "berth"] {
        host.docker(&["rmi", NAME]).ok();
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        let outcome = ask(&["run", "--rm", NAME, "cat", "/second"]);
        assert!(outcome.stderr.starts_with(&format!("Unable to find image '{NAME}' locally\n")), "{outcome:?}");
        assert_eq!(outcome.ok(), "second", "{client}");
        assert_eq!(ask(&["pull", "-q", NAME]).ok(), NAME, "{client}");
        assert_eq!(ask(&["run", "--rm", "--pull", "always", "-q", NAME, "cat", "/second"]).ok(), "second", "{client}");
        let missing = "127.0.0.1:5000/team/none:1";
        let refusal = ask(&["pull", missing]).fails_with(1);
        assert!(refusal.contains(&format!("manifest for {missing} not found: manifest unknown")), "{refusal}");
        ask(&["run", "--rm", "--pull", "never", missing]).fails_with(125);
    }
    host.docker(&["rmi", NAME]).ok();
    // Seen by a person, each layer has a line of its own that changes.
    let shown = host.terminal(&format!("{} pull {NAME}", binary("berth").display())).end();
    assert!(shown.stdout.contains("Pull complete"), "{shown:?}");
    // docker tells a terminal of every step that there is; through a pipe it tells of the last alone.
    host.docker(&["rmi", NAME]).ok();
    let shown = host.terminal(&format!("docker pull {NAME}")).end();
    assert!(shown.stdout.contains("Pull complete"), "{shown:?}");
    assert!(
        !shown.stdout.contains("Verifying") && !shown.stdout.contains("Extracting"),
        "that is done while it downloads: {shown:?}"
    );
}

#[test]
fn the_event_of_a_pull_has_the_labels_of_its_image() {
    let (_world, host) = with_registry();
    host.sh(&format!(
        "cd {} && umoci config --image src:made --tag labelled --config.label tier=web && \
         skopeo copy -q --dest-tls-verify=false oci:src:labelled docker://127.0.0.1:5000/team/made:labelled",
        host.directory().display()
    ))
    .ok();
    for tag in ["labelled", "1"] {
        host.docker(&["pull", &format!("127.0.0.1:5000/team/made:{tag}")]).ok();
    }
    let until = host.sh("date +%s.%N").ok();
    let told = |filter: &str| {
        let format = "{{.ID}} {{.From}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.Actor.Attributes.tier}}";
        let events = ["events", "--since", "1h", "--until", &until, "--filter", "event=pull", "--filter", filter];
        host.docker(&[&events[..], &["--format", format]].concat()).ok()
    };
    let name = |tag: &str| format!("127.0.0.1:5000/team/made:{tag}");
    // Docker knows what was pulled by its name, not by its id.
    let labelled = format!("{0}  {0} 127.0.0.1:5000/team/made web", name("labelled"));
    let plain = format!("{0}  {0} 127.0.0.1:5000/team/made <no value>", name("1"));
    let both = format!("{labelled}\n{plain}");
    for (filter, events) in [
        ("label=tier=web", &labelled),
        ("label=tier", &labelled),
        ("label=tier=db", &String::new()),
        (&format!("image={}", name("labelled")), &labelled),
        (&format!("image={}", name("1")), &plain),
        ("image=127.0.0.1:5000/team/made", &both),
        ("image=127.0.0.1:5000/team/other", &String::new()),
        ("type=image", &both),
    ] {
        assert_eq!(&told(filter), events, "{filter}");
    }
}

/// Copies `team/made:1` within the registry.
fn copy(host: &Host, to: &str) {
    host.sh(&format!(
        "skopeo copy -q --src-tls-verify=false --dest-tls-verify=false \
         docker://127.0.0.1:5000/team/made:1 docker://127.0.0.1:5000/{to}"
    ))
    .ok();
}

#[test]
fn short_names_are_docker_hubs_which_has_mirrors() {
    let (_world, host) = with_registry();
    copy(&host, "library/made:latest");
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        let said = ask(&["pull", "made"]).ok();
        assert!(said.starts_with("Using default tag: latest\nlatest: Pulling from library/made\n"), "{client}: {said}");
        let end = "\nStatus: Downloaded newer image for made:latest\ndocker.io/library/made:latest";
        assert!(said.ends_with(end), "{client}: {said}");
        assert_eq!(ask(&["run", "--rm", "made"]).ok(), "second", "{client}");
        ask(&["rmi", "made"]).ok();
    }
}

#[test]
fn platforms_and_digests() {
    let (_world, host) = with_registry();
    let index = registry::put_index(&host);
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        for name in ["127.0.0.1:5000/team/made:all".to_owned(), format!("127.0.0.1:5000/team/made@sha256:{index}")] {
            for (flags, expected) in [(&["--platform", "linux/arm64"][..], "arm64"), (&[], "amd64")] {
                let arguments: Vec<&str> = ["pull"].iter().chain(flags).copied().chain([name.as_str()]).collect();
                let said = ask(&arguments).ok();
                assert!(said.contains(&format!("Digest: sha256:{index}")), "{client}: {said}");
                let architecture = host.docker(&["image", "inspect", "-f", "{{.Architecture}}", &name]).ok();
                assert_eq!(architecture, expected, "{client} {name}");
            }
            let said = ask(&["pull", "--platform", "linux/s390x", &name]).fails_with(1);
            assert!(said.contains("no matching manifest for linux/s390x in the manifest list entries"), "{said}");
            ask(&["rmi", "-f", &name]).ok();
        }
        // Where there is one alone, which may be taken for that of whoever asks.
        let said = ask(&["pull", "--platform", "linux/s390x", "127.0.0.1:5000/team/made:1"]).fails_with(1);
        assert!(said.contains("linux/s390x"), "{said}");
    }
    assert_eq!(host.docker(&["images", "-q", "127.0.0.1:5000/team/made"]).ok(), "");
}

#[test]
fn all_tags() {
    let (_world, host) = with_registry();
    copy(&host, "every/one:1");
    copy(&host, "every/one:2");
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        let said = ask(&["pull", "-a", "127.0.0.1:5000/every/one"]).ok();
        assert!(said.contains("1: Pulling from every/one") && said.contains("2: Pulling from every/one"), "{said}");
        let listed = host.docker(&["images", "--format", "{{.Tag}}", "127.0.0.1:5000/every/one"]).ok();
        assert_eq!(listed.lines().count(), 2, "{client}: {listed}");
        ask(&["rmi", "127.0.0.1:5000/every/one:1", "127.0.0.1:5000/every/one:2"]).ok();
    }
}

#[test]
fn a_client_that_goes_away_ends_its_pull() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd().start_berthd();
    let listener = host.listen(5000);
    // The client itself and not what enters the host's namespaces for it.
    let socket = host.directory().join("run/berth/berth.sock");
    let mut client = std::process::Command::new("docker")
        .args(["pull", "127.0.0.1:5000/never/comes"])
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .env("DOCKER_CONFIG", "/nonexistent")
        .stdout(Stdio::null())
        .spawn()
        .expect("docker");
    let mut asked = loop {
        let (mut connection, _) = listener.accept().expect("berthd");
        let mut beginning = [0; 4];
        // Others say hello in TLS.
        if connection.read_exact(&mut beginning).is_ok() && &beginning == b"GET " {
            break connection;
        }
    };
    client.kill().expect("it runs");
    client.wait().expect("it ends");
    asked.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a deadline");
    // The rest of the question, and the end, long before a registry's silence would end it.
    asked.read_to_end(&mut Vec::new()).expect("berthd hangs up");
}

//! Images from a registry: Debian's `docker-registry`, on the host itself.

use berth_tests::{Host, World, registry, world::binary};

/// A host with its daemons and a registry on port 5000 that has `team/made:1`.
fn with_registry() -> (World, Host) {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
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
}

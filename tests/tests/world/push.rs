//! Images given to a registry by docker and berth, and had again by others.

use berth_tests::{
    Host, World, registry,
    world::{binary, look},
};

/// A host with its daemons, a registry on port 5000 and an image `made` of two layers.
fn with_registry() -> (World, Host) {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    registry::layout(&host);
    registry::start(&host, 5000, "", "");
    let archive = host.directory().join("made.tar");
    look(&format!(
        "skopeo copy -q oci:{}:made docker-archive:{}:made:latest",
        host.directory().join("src").display(),
        archive.display()
    ))
    .ok();
    host.docker(&["load", "-i", &archive.to_string_lossy()]).ok();
    (world, host)
}

fn id(host: &Host, name: &str) -> String {
    host.docker(&["image", "inspect", "-f", "{{.Id}}", name]).ok()
}

/// What a second client finds there: the manifest's digest and the image's id.
fn seen_by_skopeo(host: &Host, name: &str) -> (String, String) {
    let inspect = |what: &str| host.sh(&format!("skopeo inspect --tls-verify=false {what} docker://{name}")).ok();
    (
        inspect("--format '{{.Digest}}'"),
        host.sh(&format!(
            "skopeo inspect --tls-verify=false --config --raw docker://{name} | sha256sum | cut -d' ' -f1"
        ))
        .ok(),
    )
}

#[test]
fn docker_and_berth_push_and_others_pull_the_same() {
    let (_world, host) = with_registry();
    let made = id(&host, "made");
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        let name = format!("127.0.0.1:5000/{client}/made");
        ask(&["tag", "made", &name]).ok();
        let said = ask(&["push", &name]).ok();
        let head = format!("Using default tag: latest\nThe push refers to repository [{name}]\n");
        assert!(said.starts_with(&head), "{said}");
        // The second client's layers are the first one's.
        let outcome = if client == "docker" { ": Pushed" } else { ": Mounted from docker/made" };
        assert_eq!(said.matches(outcome).count(), 2, "{said}");
        let (digest, config) = seen_by_skopeo(&host, &format!("{name}:latest"));
        assert!(said.contains(&format!("\nlatest: digest: {digest} size: ")), "{said} {digest}");
        assert_eq!(format!("sha256:{config}"), made, "the image is the same");
        let known = host.docker(&["image", "inspect", "-f", "{{join .RepoDigests \" \"}}", "made"]).ok();
        assert!(known.contains(&format!("{name}@{digest}")), "{known}");
        let again = ask(&["push", &name]).ok();
        assert_eq!(again.matches(": Layer already exists").count(), 2, "{again}");
        assert!(again.contains(&digest), "{again}");
        assert_eq!(ask(&["push", "-q", &name]).ok(), format!("{name}:latest"));
    }
    let podman = format!("podman --root {0}/p --runroot {0}/pr --storage-driver vfs", host.directory().display());
    let pulled = host.sh(&format!("{podman} pull -q --tls-verify=false 127.0.0.1:5000/docker/made")).ok();
    assert_eq!(format!("sha256:{pulled}"), made);
    // Seen by a person, each layer has a line of its own that changes.
    host.docker(&["import", &berth_tests::image::busybox().to_string_lossy(), "127.0.0.1:5000/seen"]).ok();
    let shown = host.terminal(&format!("{} push 127.0.0.1:5000/seen", binary("berth").display())).end();
    assert!(shown.stdout.contains("Pushed") && shown.stdout.contains("MiB"), "{shown:?}");
}

#[test]
fn what_was_pulled_is_pushed_back_as_it_was() {
    let (_world, host) = with_registry();
    let name = "127.0.0.1:5000/from/here:1";
    let layout = host.directory().join("src");
    host.sh(&format!("skopeo copy -q --dest-tls-verify=false oci:{}:made docker://{name}", layout.display())).ok();
    host.docker(&["pull", "-q", name]).ok();
    let target = "127.0.0.1:5000/to/there:1";
    host.docker(&["tag", name, target]).ok();
    let said = host.berth(&["push", target]).ok();
    assert_eq!(said.matches(": Mounted from from/here").count(), 2, "{said}");
    assert_eq!(seen_by_skopeo(&host, target), seen_by_skopeo(&host, name), "the same manifest");
}

#[test]
fn all_tags_a_platform_and_nothing_at_all() {
    let (_world, host) = with_registry();
    const NAME: &str = "127.0.0.1:5000/many";
    for tag in ["one", "two"] {
        host.docker(&["tag", "made", &format!("{NAME}:{tag}")]).ok();
    }
    let said = host.docker(&["push", "-a", NAME]).ok();
    assert!(said.contains("one: digest: sha256:") && said.contains("two: digest: sha256:"), "{said}");
    assert!(host.berth(&["push", "--all-tags", NAME]).ok().contains("two: digest: sha256:"));
    let tags = host.fetch("http://127.0.0.1:5000/v2/many/tags/list").ok();
    assert_eq!(tags, r#"{"name":"many","tags":["one","two"]}"#);
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        let refusal = |arguments: &[&str]| ask(arguments).fails_with(1);
        let said = refusal(&["push", "-a", &format!("{NAME}:one")]);
        assert!(said.ends_with("tag can't be used with --all-tags/-a"), "{said}");
        let missing = format!("{NAME}:three");
        let said = refusal(&["push", &missing]);
        assert!(said.ends_with(&format!("tag does not exist: {missing}")), "{said}");
        let said = refusal(&["push", "-a", "127.0.0.1:5000/none"]);
        assert!(said.ends_with("An image does not exist locally with the tag: 127.0.0.1:5000/none"), "{said}");
        let one = format!("{NAME}:one");
        ask(&["push", "-q", "--platform", "linux/amd64", &one]).ok();
        let said = refusal(&["push", "--platform", "linux/s390x", &one]);
        assert!(said.contains("does not match the specified platform (linux/s390x)"), "{said}");
    }
}

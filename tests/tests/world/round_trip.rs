//! Images as files, from our store to other tools and back: what has the same digest is the same.

use berth_tests::{Host, World, world::binary, world::look};

/// A host with the images `made/one:1` and `made/two:2`, which share a layer, and a directory with their OCI layout in `src`.
fn started() -> (World, Host, String) {
    let (world, host) = berth_tests::started();
    let directory = host.directory().join("files");
    std::fs::create_dir(&directory).expect("made");
    let archive = berth_tests::image::busybox();
    let directory = directory.to_string_lossy().into_owned();
    look(&format!(
        "cd {directory} && umoci init --layout src && umoci new --image src:one && umoci unpack --image src:one bundle && \
         tar -xf {0} -C bundle/rootfs && umoci repack --refresh-bundle --image src:one bundle && \
         umoci tag --image src:one two && umoci unpack --image src:two other && \
         echo 2 > other/rootfs/two && rm -r other/rootfs/var/www && umoci repack --image src:two other && \
         umoci config --image src:two --config.cmd cat --config.cmd /two --config.label made=yes && \
         skopeo copy -q oci:src:one docker-archive:one.tar:made/one:1 && skopeo copy -q oci:src:two oci-archive:two.tar:made/two:2",
        archive.display(),
    ))
    .ok();
    host.docker(&["load", "-i", &format!("{directory}/one.tar")]).ok();
    host.berth(&["load", "-i", &format!("{directory}/two.tar")]).ok();
    (world, host, directory)
}

/// The id of an image and its layers, which are all digests.
fn digests(host: &Host, name: &str) -> String {
    host.docker(&["image", "inspect", "-f", "{{.Id}}{{range .RootFS.Layers}} {{.}}{{end}}", name]).ok()
}

/// The same of what a tool sees.
fn seen(source: &str) -> String {
    look(&format!(
        "id=$(skopeo inspect --config --raw {source} | sha256sum | cut -d' ' -f1) && \
         echo sha256:$id $(skopeo inspect --config --raw {source} | jq -r '.rootfs.diff_ids[]')"
    ))
    .ok()
}

fn podman(directory: &str, arguments: &str) -> String {
    let storage = format!("--root {directory}/p --runroot {directory}/pr --storage-driver vfs");
    look(&format!("cd {directory} && podman {storage} {arguments}")).ok()
}

#[test]
fn others_take_what_we_write() {
    let (_world, host, directory) = started();
    let archive = format!("{directory}/both.tar");
    host.berth(&["save", "-o", &archive, "made/one:1", "made/two:2"]).ok();
    for (name, tag) in [("made/one:1", "1"), ("made/two:2", "2")] {
        let ours = digests(&host, name);
        assert_eq!(seen(&format!("docker-archive:{archive}:{name}")), ours, "as a docker-archive");
        look(&format!("mkdir -p {directory}/layout && tar -xf {archive} -C {directory}/layout")).ok();
        assert_eq!(seen(&format!("oci:{directory}/layout:{tag}")), ours, "as an OCI layout");
    }
    let loaded = podman(&directory, "load -q -i both.tar");
    assert!(loaded.contains("made/one:1") && loaded.contains("made/two:2"), "{loaded}");
    for name in ["made/one:1", "made/two:2"] {
        let id = podman(&directory, &format!("image inspect -f sha256:{{{{.Id}}}} {name}"));
        assert_eq!(digests(&host, name).split(' ').next(), Some(id.as_str()), "podman");
    }
    let storage = format!("--root {directory}/b --runroot {directory}/br --storage-driver vfs");
    let pulled = look(&format!("buildah {storage} pull -q docker-archive:{archive}:made/two:2")).ok();
    let pulled = format!("sha256:{}", pulled.trim_start_matches("sha256:"));
    assert_eq!(digests(&host, "made/two:2").split(' ').next(), Some(pulled.as_str()), "buildah");
    look(&format!("cd {directory} && umoci unpack --image layout:2 unpacked")).ok();
    let read = |path: &str| std::fs::read_to_string(format!("{directory}/unpacked/rootfs/{path}")).ok();
    assert_eq!((read("two").as_deref(), read("var/www/index.html")), (Some("2\n"), None), "umoci");
}

#[test]
fn we_take_what_others_write() {
    let (_world, host, directory) = started();
    let (one, two) = (digests(&host, "made/one:1"), digests(&host, "made/two:2"));
    host.docker(&["save", "-o", &format!("{directory}/both.tar"), "made/one:1", "made/two:2"]).ok();
    podman(&directory, "load -q -i both.tar");
    podman(&directory, "save -q -m -o podman.tar made/one:1 made/two:2");
    podman(&directory, "save -q --format oci-archive -o podman-oci.tar made/two:2");
    let storage = "--root b --runroot br --storage-driver vfs";
    look(&format!(
        "cd {directory} && buildah {storage} pull -q docker-archive:both.tar:made/two:2 && \
         buildah {storage} push -q --format docker made/two:2 docker-archive:buildah.tar:made/two:2 && \
         buildah {storage} push -q --format oci made/two:2 oci-archive:buildah-oci.tar:made/two:2 && \
         tar -cf umoci.tar -C src . && zstd -q umoci.tar -o umoci.tar.zst"
    ))
    .ok();
    // Answers the names that it has then.
    let load = |file: &str| {
        for name in host.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok().lines() {
            if !name.starts_with("busybox") {
                host.docker(&["rmi", "-f", name]).ok();
            }
        }
        let said = host.docker(&["load", "-i", &format!("{directory}/{file}")]).ok();
        said.lines().filter_map(|line| Some(line.strip_prefix("Loaded image: ")?.to_owned())).collect::<Vec<_>>()
    };
    let names = load("podman.tar");
    let found: Vec<String> = names.iter().map(|name| digests(&host, name)).collect();
    assert_eq!(found, [one, two.clone()], "podman, {names:?}");
    // Whoever turns an image's documents into another format gives it another id; the layers are the same.
    let layers = |digests: &str| digests.split_once(' ').map(|(_, layers)| layers.to_owned());
    for (file, source) in [
        ("podman-oci.tar", format!("oci-archive:{directory}/podman-oci.tar")),
        ("buildah.tar", format!("docker-archive:{directory}/buildah.tar")),
        ("buildah-oci.tar", format!("oci-archive:{directory}/buildah-oci.tar")),
    ] {
        let names = load(file);
        let found = digests(&host, &names[0]);
        assert_eq!(found, seen(&source), "{file}");
        assert_eq!(layers(&found), layers(&two), "{file}");
    }
    assert_eq!(load("umoci.tar.zst"), ["one:latest", "two:latest"]);
    assert_eq!(digests(&host, "two"), seen(&format!("oci:{directory}/src:two")), "umoci, compressed with zstd");
    assert_eq!(host.docker(&["run", "--rm", "two"]).ok(), "2");
}

#[test]
fn through_pipes_and_for_platforms() {
    let (_world, host, directory) = started();
    let (one, two) = (digests(&host, "made/one:1"), digests(&host, "made/two:2"));
    let berth = binary("berth");
    let berth = berth.display();
    let said = host
        .sh(&format!(
            "export DOCKER_HOST=unix:///run/berth/berth.sock && docker save made/one made/two > {directory}/pipe.tar && \
             {berth} save made/one:1 made/two:2 | cmp - {directory}/pipe.tar && docker rmi made/one:1 made/two:2 >/dev/null && \
             {berth} load < {directory}/pipe.tar && docker rmi made/one:1 made/two:2 >/dev/null && docker load -q < {directory}/pipe.tar"
        ))
        .ok();
    assert_eq!(said.matches("Loaded image: made/two:2").count(), 2, "{said}");
    assert_eq!((digests(&host, "made/one:1"), digests(&host, "made/two:2")), (one, two));
    // One image for each of two platforms, under one name.
    look(&format!(
        "cd {directory} && cp -r src multi && umoci new --image multi:arm && umoci config --image multi:arm --architecture arm64 && \
         skopeo copy -q oci:multi:arm dir:arm && \
         jq '.manifests |= [ .[] | select(.annotations[\"org.opencontainers.image.ref.name\"] | . == \"two\" or . == \"arm\") | \
             .platform = (if .annotations[\"org.opencontainers.image.ref.name\"] == \"arm\" then {{os: \"linux\", architecture: \"arm64\"}} \
             else {{os: \"linux\", architecture: \"amd64\"}} end) | .annotations[\"org.opencontainers.image.ref.name\"] = \"multi:1\" ]' \
             multi/index.json > index.json && mv index.json multi/index.json && tar -cf multi.tar -C multi ."
    ))
    .ok();
    let multi = format!("{directory}/multi.tar");
    let architecture = || host.docker(&["image", "inspect", "-f", "{{.Architecture}}", "multi:1"]).ok();
    host.docker(&["load", "-i", &multi]).ok();
    assert_eq!(architecture(), "amd64");
    for client in ["docker", "berth"] {
        let ask = |arguments: &[&str]| if client == "docker" { host.docker(arguments) } else { host.berth(arguments) };
        ask(&["load", "--platform", "linux/arm64", "-i", &multi]).ok();
        assert_eq!(architecture(), "arm64", "{client}");
        ask(&["load", "--platform", "linux/amd64", "-i", &multi]).ok();
        assert_eq!(architecture(), "amd64", "{client}");
        let refusal = ask(&["load", "--platform", "linux/s390x", "-i", &multi]).fails_with(1);
        assert!(refusal.contains("no image for linux/s390x"), "{refusal}");
        let out = format!("{directory}/{client}.tar");
        ask(&["save", "--platform", "linux/amd64", "-o", &out, "multi:1"]).ok();
        let refusal = ask(&["save", "--platform", "linux/arm64", "-o", &format!("{out}.no"), "multi:1"]).fails_with(1);
        assert!(refusal.contains("does not match the specified platform (linux/arm64)"), "{refusal}");
        assert!(!std::fs::exists(format!("{out}.no")).expect("a directory"), "{client} left half a file");
    }
}

//! Images from archives that other tools made, and what happens with broken ones.

use std::path::Path;

use berth_tests::{
    Host, Outcome, started,
    world::{binary, look},
};

/// An OCI layout with one image of two layers, made by umoci out of busybox.
fn layout(directory: &Path) {
    let archive = berth_tests::image::busybox();
    look(&format!(
        "cd {0} && umoci init --layout src && umoci new --image src:made && umoci unpack --image src:made bundle && \
         tar -xf {1} -C bundle/rootfs && umoci repack --image src:made bundle && \
         rm bundle/rootfs/var/www/index.html && mkdir bundle/rootfs/second && ln bundle/rootfs/bin/busybox bundle/rootfs/second/hard && \
         chmod 4755 bundle/rootfs/second/hard && umoci repack --image src:made bundle && \
         umoci config --image src:made --config.cmd /bin/sh --config.env PATH=/bin --config.label made=yes",
        directory.display(),
        archive.display()
    ))
    .ok();
}

#[test]
fn archives_of_other_tools() {
    let (world, host) = started();
    let directory = world.directory().join("h1");
    layout(&directory);
    look(&format!(
        "cd {} && skopeo copy -q oci:src:made docker-archive:docker.tar:made/docker:1 && \
         skopeo copy -q oci:src:made oci-archive:oci.tar:made/oci:1 && gzip -k docker.tar",
        directory.display()
    ))
    .ok();
    for (file, name) in [("docker.tar", "made/docker:1"), ("docker.tar.gz", "made/docker:1")] {
        let said = host.docker(&["load", "-i", &directory.join(file).to_string_lossy()]).ok();
        assert!(said.contains(&format!("Loaded image: {name}")), "{said}");
        let look = "ls /var/www; ls -l /second/hard | cut -c 1-10; ls /second";
        assert_eq!(host.docker(&["run", "--rm", name, "sh", "-c", look]).ok(), "cgi-bin\n-rwsr-xr-x\nhard");
        host.docker(&["rmi", name]).ok();
    }
    let said = host.berth(&["load", "-i", &directory.join("oci.tar").to_string_lossy()]).ok();
    assert!(said.contains("Loaded image"), "{said}");
}

/// Attributes that Linux doesn't know, and such as an overlayfs leaves: whoever unpacks the archive has the files.
#[test]
fn archives_made_on_a_mac() {
    let (_world, host) = started();
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["one", "directory/two"] {
        let attributes: [(&str, &[u8]); 4] = [
            ("SCHILY.xattr.com.apple.provenance", b"\x01\x02\0"),
            ("SCHILY.xattr.user.overlay.origin", b"x"),
            ("SCHILY.xattr.security.capability", b""),
            ("LIBARCHIVE.xattr.com.apple.provenance", b"AQI="),
        ];
        archive.append_pax_extensions(attributes).expect("written");
        let mut header = tar::Header::new_ustar();
        header.set_size(4);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, name, &b"mac\n"[..]).expect("written");
    }
    let archive = archive.into_inner().expect("finished");
    std::fs::write(host.directory().join("mac.tar"), archive).expect("written");
    let at = host.directory().join("mac.tar").display().to_string();
    let sh = |script: &str| host.sh(&format!("export DOCKER_HOST=unix:///run/berth/berth.sock && {script}")).ok();
    let has_files = |image: &str, at: &str| {
        let made = host.docker(&["create", image, "true"]).ok();
        let read = |name: &str| format!("docker cp {made}:{at}/{name} - | tar -xO");
        assert_eq!(sh(&format!("{} && {}", read("directory/two"), read("one"))), "mac\nmac", "{image}");
    };
    host.docker(&["import", &at, "imported"]).ok();
    has_files("imported", "");
    // What is loaded is an archive of archives.
    sh("docker save -o /run/saved.tar imported && docker rm -f $(docker ps -aq) && docker rmi imported");
    host.docker(&["load", "-i", "/run/saved.tar"]).ok();
    has_files("imported", "");
    sh(&format!(
        "mkdir /run/context && cp {at} /run/context/mac.tar && cd /run/context && \
         printf 'FROM busybox\\nADD mac.tar /added/\\n' > Dockerfile && DOCKER_BUILDKIT=0 docker build -t added ."
    ));
    has_files("added", "/added");
    host.docker(&["create", "--name", "into", "busybox"]).ok();
    sh(&format!("docker cp - into:/tmp < {at} && docker commit into copied"));
    has_files("copied", "/tmp");
}

#[test]
fn import_tag_history_rmi() {
    let (_world, host) = started();
    let archive = berth_tests::image::busybox();
    let archive = archive.to_string_lossy();
    let id = host
        .berth(&[
            "import",
            "--change",
            "CMD [\"httpd\", \"-f\", \"-p\", \"80\", \"-h\", \"/var/www\"]",
            "--change",
            "EXPOSE 80",
            "--change",
            "ENV A=b",
            "--change",
            "LABEL one=two",
            "--message",
            "made",
            &archive,
            "friendlyname",
        ])
        .ok();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(
        host.docker(&["inspect", "-f", "{{json .Config.Cmd}} {{.Config.Env}} {{.Config.Labels.one}}", "friendlyname"])
            .ok(),
        "[\"httpd\",\"-f\",\"-p\",\"80\",\"-h\",\"/var/www\"] [A=b] two"
    );
    for client in [Host::docker as fn(&Host, &[&str]) -> Outcome, Host::berth] {
        client(&host, &["import", "--platform", "linux/s390x", &archive, "elsewhere"]).ok();
        let platform = host.docker(&["inspect", "-f", "{{.Os}}/{{.Architecture}}", "elsewhere"]).ok();
        assert_eq!(platform, "linux/s390x");
        host.docker(&["rmi", "elsewhere"]).ok();
    }
    host.docker(&["tag", "friendlyname", "other:v2"]).ok();
    assert!(host.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok().contains("other:v2"));
    assert!(host.docker(&["history", "other:v2"]).ok().lines().count() >= 2);
    host.docker(&["run", "-d", "--name", "user", "other:v2"]).ok();
    assert!(host.docker(&["rmi", "friendlyname"]).ok().contains("Untagged: friendlyname:latest"));
    let said = host.docker(&["rmi", "other:v2"]).fails_with(1);
    assert!(said.contains("user") || said.contains("container"), "{said}");
    host.docker(&["rm", "-f", "user"]).ok();
    assert!(host.docker(&["rmi", "other:v2"]).ok().contains("Deleted: sha256:"));
    host.docker(&["inspect", "other:v2"]).fails_with(1);
}

#[test]
fn broken_archives_change_nothing() {
    let (world, host) = started();
    let directory = world.directory().join("h1");
    layout(&directory);
    look(&format!("cd {} && skopeo copy -q oci:src:made docker-archive:ok.tar:made:1 && head -c 300000 ok.tar > short.tar && \
        mkdir x && tar -xf ok.tar -C x && cd x && for f in *.tar; do printf x >> $f; done && tar -cf ../wrong.tar * && echo hello > ../text.tar",
        directory.display())).ok();
    let before = host.docker(&["images", "-aq"]).ok();
    for file in ["short.tar", "wrong.tar", "text.tar"] {
        let said = host.docker(&["load", "-i", &directory.join(file).to_string_lossy()]);
        assert_ne!(said.code, 0, "{file}: {said:?}");
        assert_eq!(host.docker(&["images", "-aq"]).ok(), before, "{file} changed something");
    }
    assert_eq!(host.sh("ls /var/lib/berth/images/tmp 2>/dev/null | wc -l").ok(), "0");
}

#[test]
fn progress_is_shown_to_people_only() {
    let (world, host) = started();
    let directory = world.directory().join("h1");
    layout(&directory);
    look(&format!("cd {} && skopeo copy -q oci:src:made oci-archive:oci.tar:made/oci:1", directory.display())).ok();
    let rootfs = berth_tests::image::busybox().to_string_lossy().into_owned();
    let archive = directory.join("oci.tar").to_string_lossy().into_owned();
    let commands = [(vec!["load", "-i", &archive], "Loaded image: "), (vec!["import", &rootfs, "made"], "sha256:")];
    for (arguments, result) in commands {
        let berth = binary("berth");
        let shown = host.terminal(&format!("{} {}", berth.display(), arguments.join(" "))).end().ok();
        assert!(shown.contains(" MiB/") && shown.contains("unpacking"), "{shown:?}");
        // Taken away again, from one line: one that didn't fit would take the cursor up. What came of it stands alone.
        assert!(!shown.contains("\x1b[1A"), "wider than 80 columns: {shown:?}");
        let last = shown.trim_end().rsplit(['\r', '\n']).next().unwrap_or_default();
        assert!(last.trim_start_matches("\x1b[2K").starts_with(result), "{shown:?}");
        let piped = host.berth(&arguments);
        assert_eq!((piped.code, piped.stderr.as_str(), piped.stdout.lines().count()), (0, "", 1), "{piped:?}");
    }
    let quiet = format!("{} load -q -i {archive}", binary("berth").display());
    assert!(!host.terminal(&quiet).end().ok().contains("MiB"));
}

#[test]
fn saved_archives_are_what_was_loaded() {
    let (world, host) = started();
    let directory = world.directory().join("h1");
    layout(&directory);
    look(&format!("cd {} && skopeo copy -q oci:src:made docker-archive:docker.tar:made/docker:1", directory.display()))
        .ok();
    host.docker(&["load", "-i", &directory.join("docker.tar").to_string_lossy()]).ok();
    host.docker(&["tag", "made/docker:1", "made/docker:2"]).ok();
    let id = host.docker(&["inspect", "-f", "{{.Id}}", "made/docker:1"]).ok();
    let (by_docker, by_berth) = (directory.join("by-docker.tar"), directory.join("by-berth.tar"));
    host.docker(&["save", "-o", &by_docker.to_string_lossy(), "made/docker", "busybox"]).ok();
    host.berth(&["save", "-o", &by_berth.to_string_lossy(), "made/docker", "busybox"]).ok();
    look(&format!("cmp {} {}", by_docker.display(), by_berth.display())).ok();
    host.docker(&["rmi", "made/docker:1", "made/docker:2"]).ok();
    let said = host.berth(&["load", "-i", &by_docker.to_string_lossy()]).ok();
    assert!(said.contains("Loaded image: made/docker:2"), "{said}");
    assert_eq!(host.docker(&["inspect", "-f", "{{.Id}}", "made/docker:1"]).ok(), id);
    // podman stands for all who have their own reader.
    look(&format!(
        "podman --root {0}/p --runroot {0}/pr --storage-driver vfs load -q -i {1}",
        directory.display(),
        by_berth.display()
    ))
    .ok();
    let refusal = host.terminal(&format!("{} save busybox", binary("berth").display())).end();
    assert!(refusal.stdout.contains("standard output is a terminal"), "{refusal:?}");
}

#[test]
fn a_root_file_system_is_fetched() {
    let (_world, host) = started();
    host.sh("mkdir -p /run/www/root/bin && cp /bin/busybox /run/www/root/bin && tar -czf /run/www/x.tar.gz -C /run/www/root .").ok();
    host.sh("cd /run/www && (setsid busybox httpd -f -p 127.0.0.1:8000 -h . > /dev/null 2>&1 &)").ok();
    let wait =
        "curl -sS --retry 50 --retry-delay 1 --retry-connrefused --noproxy '*' -o /dev/null http://127.0.0.1:8000/";
    host.sh(wait).ok();
    let url = "http://127.0.0.1:8000/x.tar.gz";
    for client in [Host::docker as fn(&Host, &[&str]) -> Outcome, Host::berth] {
        let said = client(&host, &["import", "-c", "CMD [\"/bin/busybox\", \"echo\", \"fetched\"]", url, "far:1"]).ok();
        assert!(said.lines().last().is_some_and(|line| line.starts_with("sha256:")), "{said}");
        assert_eq!(client(&host, &["run", "--rm", "far:1"]).ok(), "fetched");
        assert_eq!(host.docker(&["inspect", "-f", "{{.Comment}}", "far:1"]).ok(), format!("Imported from {url}"));
        let said = client(&host, &["import", "http://127.0.0.1:8000/none", "none"]).fails_with(1);
        assert!(said.contains("can't fetch http://127.0.0.1:8000/none: the server answered 404"), "{said}");
        let said = client(&host, &["import", "http://127.0.0.1:1/x", "none"]).fails_with(1);
        assert!(said.contains("can't fetch http://127.0.0.1:1/x:") && said.contains("refused"), "{said}");
    }
    let (status, said) = host.http("/run/berth/berth.sock", "POST", "/images/create?fromSrc=ftp://a/b", None);
    assert_eq!(status, 400, "{said}");
    assert_eq!(host.sh("ls -A /var/lib/berth/images/tmp").ok(), "");
}

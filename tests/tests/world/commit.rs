//! `commit`: an image of a container that can do what any other can.

use berth_tests::{started, world::look};

#[test]
fn changes_become_a_layer() {
    let (_world, host) = started();
    let script = "rm /var/www/index.html; rm -rf /var/www/cgi-bin; mkdir /var/www/cgi-bin; echo new > /root/new; \
        ln /root/new /root/hard; chmod 1777 /root; chown 5:6 /root/new; echo x > /memory/x; echo ready; exec sleep 1000";
    host.docker(&["run", "-d", "--name", "cc", "--tmpfs", "/memory", "-e", "A=b", "busybox", "sh", "-c", script]).ok();
    host.wait_for_log("cc", "ready");
    let arguments = [
        "commit",
        "-a",
        "Somebody <s@example.org>",
        "-m",
        "said",
        "-c",
        "CMD [\"cat\", \"/root/new\"]",
        "-c",
        "LABEL one=two",
        "-c",
        "ENV PATH=/x:$PATH B=${A}c",
        "-c",
        "ONBUILD some thing $X",
        "cc",
        "made:1",
    ];
    let id = host.docker(&arguments).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    let told = ["--filter", "event=pause", "--filter", "event=unpause", "--filter", "event=commit"];
    let now = host.sh("date +%s.%N").ok();
    let events = ["events", "--since", "1h", "--until", &now, "--format", "{{.Action}}"];
    assert_eq!(host.docker(&[&events[..], &told].concat()).ok(), "pause\nunpause\ncommit");
    assert_eq!(host.docker(&["inspect", "-f", "{{.State.Status}}", "cc"]).ok(), "running");
    assert_eq!(host.docker(&["run", "--rm", "made:1"]).ok(), "new");
    let look_inside = "ls -A /var/www /var/www/cgi-bin; stat -c '%a %u:%g %h' /root /root/new; echo $A; ls /memory";
    let said = host.docker(&["run", "--rm", "made:1", "sh", "-c", look_inside]).ok();
    assert_eq!(said, "/var/www:\ncgi-bin\n\n/var/www/cgi-bin:\n1777 0:0 1\n644 5:6 2\nb");
    let format = "{{.Id}} {{.Author}} {{.Comment}} {{json .Config.Cmd}} {{.Config.Labels.one}} {{len .RootFS.Layers}}";
    let inspected = host.docker(&["image", "inspect", "-f", format, "made:1"]).ok();
    assert_eq!(inspected, format!("{id} Somebody <s@example.org> said [\"cat\",\"/root/new\"] two 2"));
    let format = "{{.Parent}} {{json .Config.OnBuild}}\n{{join .Config.Env \"\\n\"}}";
    let inspected = host.docker(&["image", "inspect", "-f", format, "made:1"]).ok();
    let base = host.docker(&["image", "inspect", "-f", "{{.Id}}", "busybox"]).ok();
    assert!(inspected.starts_with(&format!("{base} [\"some thing $X\"]\n")), "{inspected}");
    assert!(inspected.contains("\nB=bc") && inspected.contains("\nPATH=/x:/"), "{inspected}");
    let history = host.docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "made:1"]).ok();
    assert!(history.starts_with(&format!("sh -c {script}|said\n")), "{history}");
    // Others take it for the image that it is, and its layers keep their digests on the way.
    let archive = host.directory().join("made.tar");
    host.docker(&["save", "-o", &archive.to_string_lossy(), "made:1"]).ok();
    let config =
        look(&format!("skopeo inspect --config --raw docker-archive:{}:made:1 | sha256sum", archive.display())).ok();
    assert_eq!(format!("sha256:{}", config.split(' ').next().unwrap_or_default()), id);
    host.docker(&["rmi", "made:1"]).ok();
    assert!(host.docker(&["load", "-i", &archive.to_string_lossy()]).ok().contains("Loaded image: made:1"));
    assert_eq!(host.docker(&["image", "inspect", "-f", "{{.Id}}", "made:1"]).ok(), id);
}

#[test]
fn of_stopped_paused_and_unchanged_containers() {
    let (_world, host) = started();
    host.docker(&["create", "--name", "cc", "busybox", "sh", "-c", "echo 1 >> /root/count"]).ok();
    let layers = |image: &str| host.docker(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", image]).ok();
    let id = host.berth(&["commit", "cc", "unchanged"]).ok();
    assert_eq!(layers(&id), "1", "nothing makes no layer");
    assert_eq!(host.docker(&["history", "-q", "unchanged"]).ok().lines().count(), 2);
    host.docker(&["start", "-a", "cc"]).ok();
    let id = host.berth(&["commit", "-m", "first", "-c", "WORKDIR /root", "cc"]).ok();
    assert_eq!(host.docker(&["run", "--rm", &id, "cat", "count"]).ok(), "1");
    assert!(host.docker(&["images", "-f", "dangling=true", "-q", "--no-trunc"]).ok().contains(&id), "it has no name");
    host.docker(&["run", "-d", "--name", "paused", &id, "sleep", "1000"]).ok();
    host.docker(&["pause", "paused"]).ok();
    host.berth(&["commit", "paused", "made:2"]).ok();
    assert_eq!(host.docker(&["inspect", "-f", "{{.State.Status}}", "paused"]).ok(), "paused", "as it was");
    // What stands on an image keeps it from being removed, and its layers with it.
    let refusal = host.docker(&["rmi", &id]).fails_with(1);
    assert!(refusal.contains("container"), "{refusal}");
    for wrong in [&["commit", "nobody"][..], &["commit", "cc", "Upper:1"], &["commit", "-c", "RUN x", "cc"]] {
        host.docker(wrong).fails_with(1);
        host.berth(wrong).fails_with(1);
    }
}

#[test]
fn a_berthd_that_dies_over_it_leaves_a_container_that_goes_on() {
    let (_world, mut host) = started();
    let script = "dd if=/dev/zero of=/root/large bs=1M count=400 2>/dev/null; echo ready; while :; do echo tick; sleep 0.1; done";
    host.docker(&["run", "-d", "--name", "cc", "busybox", "sh", "-c", script]).ok();
    host.wait_for_log("cc", "ready");
    let mut events = host.docker_command();
    let mut events = events
        .args(["events", "--since", "0", "--filter", "event=pause", "--format", "{{.Action}}"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("docker");
    let mut commit = host.docker_command();
    let mut commit =
        commit.args(["commit", "cc", "never"]).stderr(std::process::Stdio::null()).spawn().expect("docker");
    let mut word = [0; 6];
    std::io::Read::read_exact(events.stdout.as_mut().expect("a pipe"), &mut word).expect("the pause is told");
    host.kill_berthd();
    commit.wait().expect("its end");
    events.wait().expect("its end");
    host.start_berthd();
    assert_eq!(host.docker(&["inspect", "-f", "{{.State.Status}}", "cc"]).ok(), "running");
    assert_eq!(host.docker(&["images", "-q", "never"]).ok(), "");
    assert_eq!(host.sh("ls /var/lib/berth/images/tmp | wc -l").ok(), "0");
    host.docker(&["exec", "cc", "true"]).ok();
}

//! Builds, and what is left of them.

use std::process::Stdio;

use berth_tests::{Host, until, world::binary};

use super::{Question, ask_all};

pub(super) const ASKED: &[Question] = &[
    (&["A `.dockerignore` holds also for a context that comes as a tar"], a_dockerignore_in_a_tar_counts),
    (&["leaves the build cache alone"], a_prune_by_labels_leaves_the_build_cache),
    (&["Steps' containers are in no list"], steps_are_in_no_list),
];

#[test]
fn what_is_said_of_builds_is_so() {
    ask_all(ASKED);
}

fn a_dockerignore_in_a_tar_counts(host: &mut Host) {
    let files = "mkdir /run/ignoring && cd /run/ignoring && echo '*.log' > .dockerignore && touch a.log kept && \
                 printf 'FROM busybox\\nCOPY . /all\\n' > Dockerfile";
    host.sh(files).ok();
    host.sh(&format!("tar -c -C /run/ignoring . | {} build -q -t ignoring -", binary("berth").display())).ok();
    let files = host.docker(&["run", "--rm", "ignoring", "ls", "/all"]).ok();
    assert!(files.contains("kept") && !files.contains("a.log"), "{files}");
    host.docker(&["rmi", "ignoring"]).ok();
    host.docker(&["builder", "prune", "-af"]).ok();
}

fn a_prune_by_labels_leaves_the_build_cache(host: &mut Host) {
    host.sh("mkdir -p /run/labelled && printf 'FROM busybox\\nRUN echo kept > /kept\\n' > /run/labelled/Dockerfile")
        .ok();
    host.berth(&["build", "-q", "-t", "built", "/run/labelled"]).ok();
    host.docker(&["rmi", "built"]).ok();
    let cache = |host: &Host| host.docker(&["system", "df", "--format", "{{.Type}} {{.TotalCount}}"]).ok();
    let before = cache(host);
    assert!(before.contains("Build Cache ") && !before.contains("Build Cache 0"), "{before}");
    host.docker(&["system", "prune", "-f", "--filter", "label=none"]).ok();
    assert_eq!(cache(host), before);
    host.docker(&["builder", "prune", "-af"]).ok();
    assert!(cache(host).contains("Build Cache 0"));
}

fn steps_are_in_no_list(host: &mut Host) {
    host.sh(
        "mkdir -p /run/steps && printf 'FROM busybox\\nRUN --network=host nc -l -p 4999\\n' > /run/steps/Dockerfile",
    )
    .ok();
    let mut build = host.command(&binary("berth").display().to_string());
    let mut build = build.args(["build", "-q", "/run/steps"]).stdout(Stdio::null()).spawn().expect("berth");
    until("the step", || host.sh("ss -ltn | grep -q :4999").code == 0);
    assert_eq!(host.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "web");
    host.sh("bash -c 'echo over > /dev/tcp/127.0.0.1/4999'").ok();
    assert!(build.wait().expect("berth ends").success());
    host.docker(&["image", "prune", "-f"]).ok();
    host.docker(&["builder", "prune", "-af"]).ok();
}

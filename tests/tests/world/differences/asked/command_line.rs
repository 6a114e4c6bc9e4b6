//! The command line.

use berth_tests::Host;

use super::{Question, ask_all};

pub(super) const ASKED: &[Question] = &[
    (&["what the engine says follows as `Error response from daemon: …`"], what_the_engine_says_follows),
    (&["A container called `add`, `rm` or `remove` is named to `port` by its id"], a_container_called_as_a_verb),
    (&["`man-pages`"], what_only_berth_has),
    (&["the docker client has; `start --checkpoint`"], what_only_docker_has),
];

#[test]
fn what_is_said_of_the_command_line_is_so() {
    ask_all(ASKED);
}

fn what_the_engine_says_follows(host: &mut Host) {
    for line in ["start nonesuch", "net connect nonesuch web", "volume rm nonesuch", "rmi nonesuch"] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let refusal = host.berth(&arguments).fails_with(1);
        assert!(
            refusal.starts_with("berth: Error response from daemon: ") && refusal.contains("nonesuch"),
            "{refusal}"
        );
    }
}

fn a_container_called_as_a_verb(host: &mut Host) {
    for name in ["add", "rm", "remove"] {
        let id = host.docker(&["run", "-d", "--name", name, "-p", "4000:80", "busybox", "sleep", "4711"]).ok();
        assert!(host.berth(&["port", &id]).ok().starts_with("80/tcp -> "));
        assert_ne!(host.berth(&["port", name]).code, 0);
        host.docker(&["rm", "-f", name]).ok();
    }
}

fn what_only_berth_has(host: &mut Host) {
    host.berth(&["net", "ps"]).ok();
    host.sh("mkdir /run/man").ok();
    host.berth(&["man-pages", "/run/man"]).ok();
    host.sh("ls /run/man/berth-run.1").ok();
    for theirs in [&["network", "ps"][..], &["man-pages", "/run/man"]] {
        let docker = host.docker(theirs);
        assert!(docker.code != 0 || docker.stdout.contains("Usage:"), "{docker:?}");
    }
}

fn what_only_docker_has(host: &mut Host) {
    for command in [
        "context",
        "manifest",
        "plugin",
        "trust",
        "checkpoint",
        "buildx",
        "compose",
        "swarm",
        "node",
        "service",
        "stack",
        "secret",
        "config",
    ] {
        let refusal = host.berth(&[command, "ls"]).fails_with(1);
        assert!(refusal.contains(&format!("berth: unknown command: berth {command}")), "{refusal}");
    }
    for line in [
        "start --checkpoint x web",
        "rm --link web",
        "run --use-api-socket busybox",
        "build --squash .",
        "builder prune --keep-storage 1",
        "run --disable-content-trust busybox",
        "pull --disable-content-trust busybox",
        "run --kernel-memory 1g busybox",
        "update --kernel-memory 1g web",
        "build --rm .",
        "build --force-rm .",
        "build --compress .",
        "volume create --availability active x",
        "run --cpu-count 1 busybox",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let refusal = host.berth(&arguments).fails_with(125);
        assert!(refusal.starts_with("berth: unknown flag: --"), "{line}: {refusal}");
    }
}

//! What a shell offers behind a half-typed command.

use std::process::Command;

use crate::fake_engine::{Answer, FakeEngine, Outcome};

/// An engine and a netd behind one socket, with something of each kind.
fn engine() -> FakeEngine {
    FakeEngine::new(|request| {
        let json = match request.path.as_str() {
            "containers/json" => {
                r#"[{"Id":"c1","Names":["/web"],"Status":"Up 2 hours"},{"Id":"c2","Names":["/wiki"]}]"#
            }
            "images/json" => r#"[{"Id":"sha256:1","RepoTags":["base:1","busybox:latest"]}]"#,
            "volumes" => r#"{"Volumes":[{"Name":"data","Driver":"local"}]}"#,
            "/v1/networks" => {
                r#"[{"id":"n1","name":"lab","driver":"bridge","scope":"local","created":"2026-01-02T15:04:05Z",
                "internal":false,"ipv4":true,"ipv6":false,"predefined":false,"pools":[],"options":{},"labels":{},
                "endpoints":[]}]"#
            }
            _ => return Answer::Reply(404, Vec::new()),
        };
        Answer::Reply(200, json.as_bytes().to_vec())
    })
}

/// What bash offers for the last of the words.
fn offered(engine: &FakeEngine, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <(berth completion bash)
        COMP_WORDS=(berth "$@"); COMP_CWORD=$#; COMP_TYPE=9
        _clap_complete_berth berth "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let directory = std::path::Path::new(env!("CARGO_BIN_EXE_berth")).parent().expect("a directory").display();
    let path = format!("{directory}:{}", std::env::var("PATH").expect("a search path"));
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash"]).args(words).env("PATH", path);
    let outcome = Outcome::from(
        bash.env("BERTH_HOST", engine.socket()).env("BERTH_NETD", engine.socket()).output().expect("bash runs"),
    );
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{words:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

/// The words of a command line, and what is offered for the last of them.
const OFFERED: &[(&[&str], &[&str])] = &[
    (&["start", "we"], &["web"]),
    (&["stop", "web", "w"], &["web", "wiki"]),
    (&["container", "rm", "-f", "wi"], &["wiki"]),
    (&["exec", "-it", "wi"], &["wiki"]),
    (&["run", "--rm", "b"], &["base:1", "busybox:latest"]),
    (&["run", "--network", "l"], &["lab"]),
    (&["run", "--volumes-from", "wi"], &["wiki"]),
    (&["rmi", "ba"], &["base:1"]),
    (&["tag", "ba"], &["base:1"]),
    (&["net", "connect", "l"], &["lab"]),
    (&["net", "connect", "lab", "we"], &["web"]),
    (&["volume", "rm", "d"], &["data"]),
    (&["inspect", "da"], &["data"]),
    (&["inspect", "la"], &["lab"]),
    // The word behind a container or an image is a command.
    (&["exec", "web", "wi"], &[]),
    (&["logs", "--tim"], &["--timestamps"]),
    (&["comp"], &["completion"]),
];

#[test]
fn bash_knows_containers_images_networks_and_volumes() {
    let engine = engine();
    for (words, expected) in OFFERED {
        let offered: Vec<String> = offered(&engine, words).into_iter().filter(|word| !word.is_empty()).collect();
        assert_eq!(offered, *expected, "{words:?}");
    }
}

#[test]
fn zsh_fish_and_elvish_ask_in_their_own_ways_and_know_the_same() {
    let engine = engine();
    // What stands between a word and what is said about it, where something is.
    for (shell, between, says_more) in [("zsh", ":", true), ("fish", "\t", true), ("elvish", "\t", false)] {
        let script = engine.run(&["completion", shell]);
        assert!(
            script.code == 0 && ["_BERTH_COMPLETE", shell].iter().all(|said| script.stdout.contains(said)),
            "{script:?}"
        );
        for (words, expected) in OFFERED {
            let mut berth = engine.berth(&[&["--", "berth"][..], words].concat());
            berth.env("_BERTH_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", words.len().to_string());
            berth.env("_CLAP_IFS", "\n").env("BERTH_NETD", engine.socket());
            let outcome = Outcome::from(berth.output().expect("berth runs"));
            assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{shell} {words:?}");
            let word = |line: &str| {
                // A colon of the word's own is marked.
                let kept = line.replace("\\:", "\0");
                kept.split(between).next().unwrap_or_default().replace('\0', ":")
            };
            let lines = outcome.stdout.lines().filter(|line| !line.is_empty());
            assert_eq!(lines.map(word).collect::<Vec<_>>(), *expected, "{shell} {words:?}: {}", outcome.stdout);
            let told = if words[0] == "start" && says_more { "Up 2 hours" } else { "" };
            assert!(outcome.stdout.contains(told), "{shell}: {}", outcome.stdout);
        }
    }
}

#[test]
fn without_daemons_there_is_nothing_to_offer_and_nothing_to_say() {
    let engine = FakeEngine::new(|_| Answer::Reply(500, Vec::new()));
    assert_eq!(offered(&engine, &["start", "we"]), [""]);
}

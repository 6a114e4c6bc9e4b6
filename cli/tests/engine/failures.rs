//! Whatever fails, whichever command it is: one line that begins with `berth: ` says why, with the status of Docker's client.

use std::os::unix::net::UnixListener;

use crate::fake_engine::{FakeEngine, Outcome};

/// What commands are given where a word for each that they need isn't enough.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("port add", &["web", "8080:80"]),
    ("port rm", &["web", "8080"]),
    ("container port add", &["web", "8080:80"]),
    ("container port rm", &["web", "8080"]),
    ("cp", &["web:/file", "-"]),
    ("container cp", &["web:/file", "-"]),
    ("build", &["."]),
    ("image build", &["."]),
    ("builder build", &["."]),
    ("update", &["-m", "64m", "web"]),
    ("container update", &["-m", "64m", "web"]),
    ("load", &["-i", "archive"]),
    ("image load", &["-i", "archive"]),
    ("import", &["archive"]),
    ("image import", &["archive"]),
    ("save", &["-o", "saved", "image"]),
    ("image save", &["-o", "saved", "image"]),
    ("export", &["-o", "exported", "web"]),
    ("container export", &["-o", "exported", "web"]),
    ("login", &["-u", "ann", "-p", "secret", "registry.example"]),
    ("container prune", &["-f"]),
    ("image prune", &["-f"]),
    ("volume prune", &["-f"]),
    ("builder prune", &["-f"]),
    ("net prune", &["-f"]),
    ("system prune", &["-f"]),
];

/// These ask nobody.
const ALONE: [&str; 3] = ["completion", "man-pages", "logout"];

/// Of these 125 says that it is their own failure, and none of what they run; of all others it is 1.
const RUNS: [&str; 2] = ["run", "container run"];

/// Every command that does something, as the help has them, each with the words that it needs.
fn commands(engine: &FakeEngine, path: &[&str]) -> Vec<(String, usize)> {
    let help = engine.run(&[path, &["--help"]].concat());
    assert_eq!(help.code, 0, "{help:?}");
    let list = help.stdout.split("\nOptions:").next().unwrap_or_default();
    let below: Vec<&str> = list.lines().filter_map(named).filter(|name| *name != "help").collect();
    let (_, usage) = help.stdout.split_once("Usage: ").expect("a usage");
    let line = usage.lines().next().expect("a line").split_whitespace();
    // `container exec` is shown as what is shorter to type, `exec`.
    let name = path.last().unwrap_or(&"berth");
    let words: Vec<&str> = line.skip_while(|word| word != name).skip(1).collect();
    let mut found = Vec::new();
    // Some do something by themselves, too.
    if !words.iter().any(|word| word.contains("COMMAND")) || below.is_empty() {
        let needed = words.iter().filter(|word| !word.starts_with('[') && **word != "...").count();
        found.push((path.join(" "), needed));
    }
    found.extend(below.into_iter().flat_map(|name| commands(engine, &[path, &[name]].concat())));
    found
}

/// The command that a line of a help text is about.
fn named(line: &str) -> Option<&str> {
    let (name, about) = line.strip_prefix("  ")?.split_once("  ")?;
    let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
    (!name.is_empty()
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(is_name)
        && !about.is_empty())
    .then_some(name)
}

/// The one line that says why, of a command that failed.
fn why(outcome: &Outcome) -> &str {
    let mut told = outcome.stderr.lines().filter(|line| line.starts_with("berth: "));
    let why = told.next().unwrap_or_default();
    let first = outcome.stderr.lines().find(|line| !line.starts_with("WARNING! "));
    assert_eq!(first, Some(why), "it comes first: {outcome:?}");
    assert_eq!((told.next(), why.matches("berth: ").count()), (None, 1), "it is told once: {outcome:?}");
    why
}

#[test]
fn every_command_has_one_prefix_and_the_status_that_is_expected() {
    let engine = FakeEngine::new(|_| unreachable!("nobody asks it"));
    // There, and nobody listens.
    let socket = engine.directory().join("silent.sock");
    drop(UnixListener::bind(&socket).expect("a socket"));
    for (file, text) in [("archive", ""), ("Dockerfile", "FROM scratch\n")] {
        std::fs::write(engine.directory().join(file), text).expect("a file");
    }
    let run = |arguments: &[&str]| {
        let mut berth = engine.berth(arguments);
        berth.env("BERTH_HOST", &socket).env("BERTH_NETD", &socket).env("DOCKER_CONFIG", engine.directory());
        Outcome::from(berth.output().expect("berth runs"))
    };
    let commands = commands(&engine, &[]);
    assert!(commands.len() > 70 && commands.contains(&("port".to_owned(), 1)), "{commands:?}");
    for (command, needed) in &commands {
        let path: Vec<&str> = command.split(' ').collect();
        let wrong = run(&[&path[..], &["--nonesuch"]].concat());
        assert_eq!((wrong.code, why(&wrong)), (125, "berth: unknown flag: --nonesuch"), "{command}");
        if ALONE.contains(&command.as_str()) {
            continue;
        }
        let given = ARGUMENTS.iter().find(|(known, _)| known == command);
        let given = given.map_or_else(|| vec!["word"; *needed], |(_, given)| given.to_vec());
        let failed = run(&[&path[..], &given].concat());
        let status = if RUNS.contains(&command.as_str()) { 125 } else { 1 };
        assert_eq!(failed.code, status, "{command}: {failed:?}");
        let why = why(&failed);
        assert!(why.contains("silent.sock"), "{command} names who doesn't answer: {why}");
        assert!(why.contains("Connection refused") || why.contains("nobody"), "{command} says what is wrong: {why}");
    }
}

//! docs/configuration.md and the daemons agree: its tables are made from their flags, and its examples are read by them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use berth_tests::{Outcome, World, world::binary};
use clap::{CommandFactory as _, Parser as _};

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md")
}

fn text() -> String {
    fs::read_to_string(document()).expect("docs/configuration.md")
}

/// A row for each key, of what the help of its flag says.
fn table(daemon: &clap::Command) -> String {
    let mut rows = vec!["| key | value | default | what it says |".to_owned(), "|---|---|---|---|".to_owned()];
    for key in settings::keys(daemon) {
        let argument = daemon.get_arguments().find(|argument| argument.get_long() == Some(&key.flag)).expect("a flag");
        let help = argument.get_help().expect("a help").to_string();
        let (meaning, default) = match help.split_once(" [default: ") {
            Some((meaning, default)) => (meaning, default.trim_end_matches(']')),
            None => (help.as_str(), ""),
        };
        let value = argument.get_value_names().and_then(|names| names.first()).expect("a value's name");
        let value = match (value.as_str(), key.is_list) {
            ("BOOL", _) => "`true` or `false`".to_owned(),
            (value, true) => format!("`[\"{value}\", …]`"),
            (value, false) => format!("`\"{value}\"`"),
        };
        let flag = if key.flag == key.name { String::new() } else { format!(" (`--{}`)", key.flag) };
        rows.push(format!("| `{}`{flag} | {value} | {default} | {meaning} |", key.name));
    }
    rows.join("\n")
}

#[test]
fn the_document_has_every_key_of_both_daemons() {
    let mut wanted = text();
    for daemon in [engine::config::Args::command(), netd::config::Flags::command()] {
        let (begin, end) = (format!("<!-- keys of {} -->\n", daemon.get_name()), "\n<!-- end -->");
        let (before, rest) = wanted.split_once(&begin).expect("a mark where the table begins");
        let (_, after) = rest.split_once(end).expect("a mark where the table ends");
        wanted = format!("{before}{begin}{}{end}{after}", table(&daemon));
    }
    if std::env::var_os("UPDATE_CONFIGURATION").is_some() {
        fs::write(document(), &wanted).expect("docs/configuration.md");
    }
    assert!(
        text() == wanted,
        "docs/configuration.md is stale: run `UPDATE_CONFIGURATION=1 cargo test -p berth-tests --test configuration` and commit it"
    );
}

#[test]
fn the_document_has_every_flag_without_a_key_and_every_variable() {
    let text = text();
    for daemon in [engine::config::Args::command(), netd::config::Flags::command()] {
        for argument in daemon.get_arguments() {
            let flag = format!("--{}", argument.get_long().expect("a flag"));
            let has_key = settings::keys(&daemon).iter().any(|key| argument.get_long() == Some(&key.flag));
            assert!(has_key || text.contains(&format!("`{flag}")), "{} has {flag}", daemon.get_name());
            if let Some(variable) = argument.get_env() {
                assert!(text.contains(&format!("`{}`", variable.to_string_lossy())), "{flag} has {variable:?}");
            }
        }
    }
}

#[test]
fn the_examples_are_files_that_the_daemons_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = text();
    let examples = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("an end"));
    let mut read = Vec::new();
    for example in examples {
        let name = example.lines().next().and_then(|line| line.strip_prefix("# /etc/berth/")).expect("a file's name");
        let path = directory.path().join(name);
        fs::write(&path, example).expect("a file");
        let path = path.to_str().expect("a path");
        match name {
            "berthd.toml" => drop(
                engine::config::Config::load(engine::config::Args::parse_from(["berthd", "--config", path]))
                    .unwrap_or_else(|error| panic!("{error}:\n{example}")),
            ),
            _ => drop(
                netd::config::Config::load(netd::config::Flags::parse_from(["netd", "--config", path]))
                    .unwrap_or_else(|error| panic!("{error}:\n{example}")),
            ),
        }
        read.push(name);
    }
    assert_eq!(read, ["berthd.toml", "netd.toml"]);
}

#[test]
fn a_file_in_the_old_style_is_refused_in_one_sentence_with_the_new_key() {
    // On a host of its own: a daemon that takes the file after all starts.
    let mut world = World::new();
    let host = world.host();
    let path = world.directory().join("old.toml");
    for (daemon, content, line, old, new) in [
        ("berthd", "root = '/r'\nregistry_mirrors = []", 2, "registry_mirrors", "registry-mirrors"),
        ("berthd", "start_netd = false", 1, "start_netd", "start-netd"),
        ("netd", "run_dir = '/r'", 1, "run_dir", "run-dir"),
    ] {
        fs::write(&path, content).expect("a file");
        let outcome = Outcome::of(host.command("timeout").arg("10").arg(binary(daemon)).arg("--config").arg(&path));
        let place = path.display();
        let sentence = format!(
            "{daemon}: line {line} of the configuration file {place}: {old:?} is called {new:?} now: rename it there"
        );
        assert_eq!(outcome.fails_with(1).trim_end(), sentence);
    }
}

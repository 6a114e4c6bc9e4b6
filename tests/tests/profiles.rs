//! With which settings cargo builds what is installed, and what the quickstart shows to a newcomer.

use std::path::Path;

use toml::{Table, Value};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The lines of a script in which cargo builds.
fn builds(script: &str) -> Vec<String> {
    let text = read(script);
    text.lines().map(str::trim).filter(|line| line.starts_with("cargo build")).map(str::to_owned).collect()
}

#[test]
fn what_is_installed_is_built_to_be_small_and_what_is_shown_to_be_there_soon() {
    let manifest: Table = read("Cargo.toml").parse().expect("TOML");
    let profile = |name: &str, key: &str| manifest["profile"][name].get(key).cloned();
    // Small code, of everything at once, in one piece, and no more symbols than a backtrace needs.
    assert_eq!(profile("release", "opt-level"), Some(Value::from("s")));
    assert_eq!(profile("release", "lto"), Some(Value::from("fat")));
    assert_eq!(profile("release", "codegen-units"), Some(Value::from(1)));
    assert_eq!(profile("release", "debug"), Some(Value::from(false)));
    assert_eq!(profile("release", "strip"), Some(Value::from("debuginfo")));
    let [installed] = &builds("scripts/install")[..] else { panic!("it builds once") };
    assert!(installed.contains(" --release "), "{installed}");

    // None of what makes that slow.
    assert_eq!(profile("quick", "inherits"), Some(Value::from("dev")));
    for slow in ["opt-level", "lto", "codegen-units"] {
        assert_eq!(profile("quick", slow), None, "{slow}");
        assert_eq!(profile("dev", slow), None, "{slow}");
    }
    assert_eq!(profile("quick", "debug"), Some(Value::from(false)));
    let [shown] = &builds("scripts/quickstart")[..] else { panic!("it builds once") };
    assert!(shown.contains(" --profile quick ") && shown.contains(" --exclude berth-tests"), "{shown}");
    // Cargo tells how far it is: nothing silences it or takes it elsewhere.
    for silent in [" -q", "--quiet", ">", "|"] {
        assert!(!shown.contains(silent), "{shown}");
    }
    assert!(!read("scripts/quickstart").contains("CARGO_TERM"), "cargo's own settings count");
}

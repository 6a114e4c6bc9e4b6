//! The arrows between our crates, and what holds for all of them: read from the manifests, not from memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Who may depend on whom; a crate that isn't here may not exist.
const ARROWS: [(&str, &[&str]); 18] = [
    ("cnm", &[]),
    ("kernel", &["cnm"]),
    ("drivers", &["cnm"]),
    ("netd", &["cnm", "kernel", "drivers", "netd-client", "settings", "sqlite"]),
    ("netd-client", &["cnm"]),
    ("runtime", &["users"]),
    ("libcgroups", &[]),
    ("dockerignore", &[]),
    ("users", &[]),
    ("settings", &[]),
    ("reason", &[]),
    ("plugin", &["reason"]),
    ("sqlite", &[]),
    ("images", &["reason", "sqlite"]),
    ("build", &["images", "dockerignore", "users"]),
    ("engine", &["runtime", "images", "build", "plugin", "netd-client", "cnm", "settings", "sqlite"]),
    ("cli", &["netd-client", "cnm", "dockerignore"]),
    (
        "berth-tests",
        &["cnm", "kernel", "drivers", "netd", "netd-client", "runtime", "images", "engine", "cli", "settings"],
    ),
];

/// Crates that may contain `unsafe`: what they program has no safe interface.
const MAY_BE_UNSAFE: [&str; 2] = ["kernel", "runtime"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn manifest(path: &Path) -> toml::Table {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each member's directory and manifest, by package name.
fn members() -> BTreeMap<String, (PathBuf, toml::Table)> {
    let workspace = manifest(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().expect("members");
    let directories = members.iter().map(|member| root().join(member.as_str().expect("a path")));
    directories
        .map(|directory| {
            let manifest = manifest(&directory.join("Cargo.toml"));
            (manifest["package"]["name"].as_str().expect("a name").to_owned(), (directory, manifest))
        })
        .collect()
}

#[test]
fn no_arrow_outside_the_table() {
    let members = members();
    let allowed: BTreeMap<_, _> = ARROWS.into_iter().collect();
    for (name, (_, manifest)) in &members {
        let may: BTreeSet<_> =
            allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} isn't in the table")).iter().collect();
        for section in ["dependencies", "build-dependencies"] {
            let dependencies = manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
            for dependency in dependencies.keys().filter(|dependency| members.contains_key(*dependency)) {
                assert!(may.contains(&dependency.as_str()), "{name} may not depend on {dependency}");
            }
        }
    }
    assert_eq!(members.len(), ARROWS.len(), "a crate of the table is missing");
}

#[test]
fn the_model_stays_pure() {
    let (_, manifest) = &members()["cnm"];
    let dependencies = manifest["dependencies"].as_table().expect("dependencies");
    for banned in ["tokio", "nix", "libc", "rand", "rustix", "tracing", "netlink-sys"] {
        assert!(!dependencies.contains_key(banned), "cnm may not depend on {banned}");
    }
}

#[test]
fn what_is_for_tests_is_in_no_program() {
    let is_for_tests =
        |feature: &toml::Value| feature.as_str().is_some_and(|feature| feature.rsplit('/').next() == Some("testing"));
    let whole = manifest(&root().join("Cargo.toml"));
    let members = members();
    let manifests = members.values().map(|(_, manifest)| manifest).chain([whole["workspace"].as_table().expect("it")]);
    let mut found = 0;
    for manifest in manifests {
        let table = |section: &str| manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        // Those of the tests may ask for it.
        for (dependency, asked) in ["dependencies", "build-dependencies"].into_iter().flat_map(table) {
            let features = asked.get("features").and_then(toml::Value::as_array).cloned().unwrap_or_default();
            assert!(!features.iter().any(is_for_tests), "{dependency} is asked for as in tests: {features:?}");
        }
        for (feature, brings) in table("features") {
            found += usize::from(feature == "testing");
            let brings = brings.as_array().expect("features");
            assert!(!brings.iter().any(is_for_tests), "the feature {feature} brings what is for tests");
        }
    }
    assert_eq!(found, 1, "what is for tests has another name, or is in other crates, too");
}

#[test]
fn unsafe_is_forbidden_where_the_design_forbids_it() {
    for (name, (directory, _)) in members() {
        if MAY_BE_UNSAFE.contains(&name.as_str()) {
            continue;
        }
        for entry in ["src/lib.rs", "src/main.rs"] {
            let path = directory.join(entry);
            if let Ok(text) = std::fs::read_to_string(&path) {
                assert!(text.contains("#![forbid(unsafe_code)]"), "{} doesn't forbid unsafe code", path.display());
            }
        }
    }
}

/// The Rust files below a directory, with their paths from there.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for path in std::fs::read_dir(&next).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                found.push((path.strip_prefix(directory).expect("below it").to_owned(), text));
            }
        }
    }
    found
}

#[test]
fn dockers_types_stand_behind_one_door_and_none_is_stored() {
    let sources = sources(&root().join("engine/src"));
    assert!(sources.len() > 100, "only {} sources of the engine were found", sources.len());
    for (path, text) in sources {
        let is_door = path == Path::new("wire/models.rs");
        assert!(is_door || !text.contains("bollard_stubs"), "{} names bollard_stubs", path.display());
        let is_kept = ["container", "volume", "exec", "store.rs"].iter().any(|kept| path.starts_with(kept));
        assert!(!is_kept || !text.contains("wire::"), "{} is kept, and names what goes over the wire", path.display());
    }
}

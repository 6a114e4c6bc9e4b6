//! The arrows between our crates, and what holds for all of them: read from the manifests, not from memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Who may depend on whom; a crate that isn't here may not exist.
const ARROWS: [(&str, &[&str]); 19] = [
    ("cnm", &[]),
    ("kernel", &["cnm"]),
    ("drivers", &["cnm"]),
    ("netd", &["cnm", "kernel", "drivers", "netd-client", "heap", "settings", "sqlite"]),
    ("netd-client", &["cnm"]),
    ("runtime", &["users"]),
    ("libcgroups", &[]),
    ("dockerignore", &[]),
    ("users", &[]),
    ("heap", &[]),
    ("settings", &[]),
    ("reason", &[]),
    ("plugin", &["reason"]),
    ("sqlite", &[]),
    ("images", &["reason", "sqlite"]),
    ("build", &["images", "dockerignore", "users"]),
    ("engine", &["runtime", "images", "build", "plugin", "netd-client", "cnm", "heap", "settings", "sqlite"]),
    ("cli", &["netd-client", "cnm", "dockerignore"]),
    (
        "berth-tests",
        &["cnm", "kernel", "drivers", "netd", "netd-client", "runtime", "images", "engine", "cli", "settings"],
    ),
];

/// The engine's layers, the highest first: what is in one may use what is beside it or below it. A module that isn't here may not
/// exist. ARCHITECTURE.md has the same table.
const LAYERS: [(&str, &[&str]); 7] = [
    ("daemon", &["app", "fuzzing", "keeper", "listen", "main", "serve"]),
    ("routes", &["route", "waiting"]),
    ("tasks", &["build", "supervisor"]),
    ("verbs", &["orchestrate"]),
    ("parts", &["engine", "netd"]),
    ("translation", &["stream", "translate", "version", "wire"]),
    (
        "model",
        &[
            "blocking",
            "config",
            "container",
            "detach",
            "error",
            "events",
            "exec",
            "file_deletion",
            "filters",
            "frame",
            "host",
            "image",
            "logs",
            "moment",
            "signal",
            "store",
            "volume",
        ],
    ),
];

/// Crates that may contain `unsafe`: what they program has no safe interface.
const MAY_BE_UNSAFE: [&str; 3] = ["kernel", "runtime", "heap"];

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

/// The engine's modules that a text names after `crate::`, be it in a path or in braces.
fn named_in(text: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut named = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            named.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        for piece in group.split_inclusive(['{', '}', ',']) {
            match depth {
                0 => named.insert(name(piece.trim_start())),
                -1 => break,
                _ => false,
            };
            depth += i32::from(piece.ends_with('{')) - i32::from(piece.ends_with('}'));
        }
    }
    named
}

/// Code of a file with the paths that lead out of its module (`super::x`) written from the crate's root.
fn from_the_root(path: &Path, code: &str) -> String {
    let is_directory = path.file_name().is_some_and(|name| name == "mod.rs");
    let depth = path.iter().count() - usize::from(is_directory);
    code.replace(&"super::".repeat(depth), "crate::")
}

/// The modules behind the names that lib.rs gives on.
fn given_on(lib: &str) -> BTreeMap<String, String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let uses = lib.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    uses.flat_map(|path| {
        let mut words = path.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_owned);
        let module = words.next().unwrap_or_default();
        words.map(move |word| (word, module.clone()))
    })
    .collect()
}

/// Whether a file, or a directory that it is in, is a module for tests only: those of a lower layer may look at what an upper one
/// makes of it.
fn is_of_tests(path: &Path, sources: &BTreeMap<PathBuf, String>) -> bool {
    path.ancestors().any(|part| {
        let (Some(directory), Some(module)) = (part.parent(), part.file_stem().and_then(|stem| stem.to_str())) else {
            return false;
        };
        let declaration = format!("mod {module};");
        let parents = [directory.join("mod.rs"), directory.with_extension("rs")];
        parents.iter().filter_map(|parent| sources.get(parent)).any(|text| {
            let mut lines = text.lines().zip(text.lines().skip(1));
            lines.any(|(first, second)| first == "#[cfg(test)]" && second.ends_with(&declaration))
        })
    })
}

/// Which of the engine's modules use which others, tests aside.
fn arrows_of_the_engine() -> BTreeMap<String, BTreeSet<String>> {
    let sources: BTreeMap<PathBuf, String> = sources(&root().join("engine/src")).into_iter().collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let module_of = |path: &Path| path.iter().next().map(|first| first.to_string_lossy().replace(".rs", ""));
    let modules: BTreeSet<String> = sources.keys().filter_map(|path| module_of(path)).collect();
    let given_on = given_on(&sources[Path::new("lib.rs")]);
    // What lib.rs names it declares.
    for (path, text) in sources.iter().filter(|(path, _)| *path != Path::new("lib.rs")) {
        if is_of_tests(path, &sources) {
            continue;
        }
        let begins_tests = |at: usize| text[at..].lines().nth(1).is_some_and(|line| line.ends_with("mod tests {"));
        let tests = text.match_indices("#[cfg(test)]").map(|(at, _)| at).find(|at| begins_tests(*at));
        let code = &text[..tests.unwrap_or(text.len())];
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let module = module_of(path).expect("a path");
        let named = named_in(&from_the_root(path, &code)).into_iter();
        let mut used: BTreeSet<String> = named.map(|name| given_on.get(&name).cloned().unwrap_or(name)).collect();
        used.retain(|name| *name != module && modules.contains(name));
        arrows.entry(module).or_default().extend(used);
    }
    arrows
}

#[test]
fn no_layer_of_the_engine_uses_one_above_it() {
    let arrows = arrows_of_the_engine();
    let height = |module: &str| {
        let layer = LAYERS.iter().rposition(|(_, modules)| modules.contains(&module));
        layer.unwrap_or_else(|| panic!("the engine's module {module} isn't in the table"))
    };
    for (module, used) in &arrows {
        for name in used {
            let (own, other) = (LAYERS[height(module)].0, LAYERS[height(name)].0);
            assert!(height(module) <= height(name), "{module} ({own}) may not use {name} ({other}), which is above it");
        }
    }
    let there: BTreeSet<&str> = arrows.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = LAYERS.iter().flat_map(|(_, modules)| modules.iter().copied()).collect();
    assert_eq!(there, listed, "a module of the table is missing");
    let documented = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (layer, modules) in LAYERS {
        let modules = modules.iter().map(|module| format!("`{module}`")).collect::<Vec<_>>().join(" ");
        let row = format!("| {layer} | {modules} |");
        assert!(documented.lines().any(|line| line.starts_with(&row)), "ARCHITECTURE.md has no row {row:?}");
    }
}

#[test]
fn no_modules_of_the_engine_use_each_other_in_a_circle() {
    let mut arrows = arrows_of_the_engine();
    // What can go wrong is said in one place, which knows how each module fails.
    arrows.insert("error".to_owned(), BTreeSet::new());
    while !arrows.is_empty() {
        let done: Vec<String> =
            arrows.iter().filter(|(_, used)| used.is_empty()).map(|(module, _)| module.clone()).collect();
        assert!(!done.is_empty(), "among these is a circle: {arrows:?}");
        arrows.retain(|module, _| !done.contains(module));
        arrows.values_mut().for_each(|used| used.retain(|name| !done.contains(name)));
    }
}

#[test]
fn names_of_modules_are_found_in_paths_and_in_braces() {
    let text = "use crate::one::{Two, three};\nuse crate::{four, five::{self, Six}, seven};\nlet x = crate::eight::y(); use nine;";
    let named = named_in(text);
    for module in ["one", "four", "five", "seven", "eight"] {
        assert!(named.contains(module), "{module}: {named:?}");
    }
    for other in ["three", "nine", "x"] {
        assert!(!named.contains(other), "{other}: {named:?}");
    }
}

#[test]
fn names_of_modules_are_found_behind_super_and_behind_what_is_given_on() {
    for (path, code) in [
        ("a.rs", "use super::one::Two;"),
        ("a/mod.rs", "fn x(y: super::one::Two) {}"),
        ("a/b.rs", "use super::three; use super::super::{four::Five, one};"),
    ] {
        let found = named_in(&from_the_root(Path::new(path), code));
        assert!(found.contains("one") && !found.contains("three"), "{path}: {found:?}");
    }
    let given = given_on("mod one;\npub use one::Two;\npub use three::four::{Five, six};\n");
    let given: Vec<_> = given.iter().map(|(name, module)| (name.as_str(), module.as_str())).collect();
    assert_eq!(given, [("Five", "three"), ("Two", "one"), ("four", "three"), ("six", "three")]);
}

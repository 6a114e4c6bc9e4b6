//! What we link may be linked: every crate in the lock file has a licence that MIT OR Apache-2.0 programs can live with.

use std::{collections::BTreeSet, path::Path, process::Command};

/// Licences (SPDX) that ask for no more than a notice, or leave our own files alone.
const ACCEPTED: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    // Copyleft for its own files only, which we do not change.
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Crates that name a licence file instead of an expression; each was read: rust-criu's is MIT's text.
const READ_BY_HAND: [&str; 1] = ["rust-criu"];

/// Whether an SPDX expression can be satisfied with accepted licences alone.
fn is_accepted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" OR ").any(|choice| {
        let choice = choice.trim().trim_start_matches('(');
        choice.split(" AND ").all(|part| ACCEPTED.contains(&part.trim().trim_matches(['(', ')'])))
    }) || expression.split(" AND ").all(|part| {
        part.trim_matches(['(', ')'])
            .split(" OR ")
            .any(|choice| ACCEPTED.contains(&choice.trim().trim_matches(['(', ')'])))
    })
}

#[test]
fn expressions() {
    assert!(is_accepted("MIT OR Apache-2.0"));
    assert!(is_accepted("MIT/Apache-2.0"));
    assert!(is_accepted("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(is_accepted("GPL-2.0-only OR MIT"));
    assert!(!is_accepted("GPL-2.0-only"));
    assert!(!is_accepted("MIT AND GPL-3.0-or-later"));
    assert!(!is_accepted("LGPL-2.1-only"));
}

#[test]
fn every_dependency_may_be_linked() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let used: BTreeSet<_> =
        metadata["resolve"]["nodes"].as_array().expect("nodes").iter().map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    let refused: Vec<_> = packages
        .iter()
        .filter(|package| used.contains(&package["id"].as_str()))
        .filter(|package| !package["license"].as_str().is_some_and(is_accepted))
        .filter(|package| !package["name"].as_str().is_some_and(|name| READ_BY_HAND.contains(&name)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

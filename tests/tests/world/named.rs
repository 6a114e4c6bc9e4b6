//! Tables of tests: what they name is there, and is a test.

use std::path::Path;

/// Sees to it that there is a test: its file, as seen from the top of the project, and its name.
///
/// # Panics
/// When there is none, or it isn't run.
#[track_caller]
pub(super) fn assert_is_test(named: &str) {
    let (file, name) = named.split_once(' ').unwrap_or_else(|| panic!("{named:?} is no file and a name"));
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let source = std::fs::read_to_string(top.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let found = source.split_once(&format!("fn {name}("));
    let (before, _) = found.unwrap_or_else(|| panic!("there is no test {name} in {file}"));
    let item = before.rsplit("\n\n").next().unwrap_or(before);
    let attributes: Vec<&str> = item.lines().map(str::trim).filter(|line| line.starts_with("#[")).collect();
    let is_test = |attribute: &&str| attribute.ends_with("test]") || attribute.contains("test(");
    assert!(attributes.iter().any(is_test), "{name} in {file} is no test");
    assert!(!attributes.iter().any(|attribute| attribute.starts_with("#[ignore")), "{name} in {file} is never run");
}

//! The table of escapes in docs/security.md: every test that it names is there.

use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true if path.ends_with("target") || path.ends_with(".git") => {}
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let page = std::fs::read_to_string(top.join("docs/security.md")).expect("the page");
    let mut files = Vec::new();
    sources(top, &mut files);
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).expect("a source")).collect();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() >= 3);
    let mut named = 0;
    for row in rows.filter(|row| !row.starts_with("| escape")) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().expect("a cell");
        let tests = cell.split('`').skip(1).step_by(2).filter(|word| word.contains('_') && !word.contains(['/', '.']));
        let before = named;
        for test in tests {
            named += 1;
            assert!(code.contains(&format!("fn {test}(")), "there is no test {test}");
        }
        assert!(named > before, "no test is named: {row}");
    }
    assert!(named > 50, "{named} tests are named");
}

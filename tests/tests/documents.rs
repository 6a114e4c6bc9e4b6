//! What the documents name is there: files and directories of this repository, and other documents.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The documents of the repository.
fn documents() -> Vec<PathBuf> {
    let markdown = |directory: PathBuf| {
        let entries = fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
    };
    [markdown(root()), markdown(root().join("docs")), markdown(root().join("docs/decisions"))].concat()
}

/// What stands between two marks, on one line each.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    let pieces = text.split(begin).skip(1).filter_map(|rest| rest.split_once(end));
    pieces.map(|(inner, _)| inner).filter(|inner| !inner.contains('\n')).collect()
}

/// Names in code that begin with a directory of the repository, or that can only be those of our files.
fn paths(text: &str) -> Vec<String> {
    let tops: Vec<String> = fs::read_dir(root())
        .expect("the workspace")
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let quoted = text.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|code| !code.contains(char::is_whitespace));
    // A directory that is gone must be noticed, too.
    let is_source = |code: &str| !code.starts_with('/') && code.contains('/') && code.ends_with(".rs");
    let is_below = |code: &str| code.split_once('/').is_some_and(|(top, _)| tops.iter().any(|known| known == top));
    let is_ours = |code: &&str| is_source(code) || is_below(code);
    paths.filter(is_ours).map(str::to_owned).collect()
}

#[test]
fn no_path_in_a_document_leads_nowhere() {
    let mut checked = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        let directory = document.parent().expect("it is in a directory");
        let links =
            between(&text, "](", ")").into_iter().filter(|link| !link.contains("://") && !link.starts_with('#'));
        let links = links.map(|link| directory.join(link.split('#').next().unwrap_or(link)));
        for path in links.chain(paths(&text).iter().map(|path| root().join(path))) {
            assert!(path.exists(), "{} names {}, which isn't there", document.display(), path.display());
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} paths were found: the marks have changed");
}

//! What the documents name is there: files and directories of this repository, other documents, and the words of the glossary.

use std::{
    collections::BTreeSet,
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

/// More words than these would be a language of our own.
const GLOSSARY_WORDS_MAX: usize = 30;

/// The words of the glossary with their meanings.
fn glossary() -> Vec<(String, String)> {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, rest) = architecture.split_once("## Words\n").expect("a section of words");
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    rows.map(|(word, meaning)| (word.to_owned(), meaning.to_owned())).collect()
}

/// A name in words: `LaneGuard` and `lane_guard` are both "lane guard".
fn in_words(name: &str) -> String {
    if !name.contains(char::is_lowercase) {
        return name.to_lowercase().replace('_', " ");
    }
    let mut words = String::new();
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && !words.ends_with(' ') && !words.is_empty()) {
            words.push(' ');
        }
        words.extend((character != '_').then(|| character.to_lowercase()).into_iter().flatten());
    }
    words
}

/// Names of types, their variants, functions, modules and constants that the sources below a directory define, in words.
fn defined_names(directory: &Path, names: &mut BTreeSet<String>) {
    const KEYWORDS: [&str; 8] = ["struct", "enum", "trait", "type", "fn", "mod", "const", "static"];
    for path in fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.path()) {
        let is_hidden = path.file_name().is_some_and(|name| name == "target" || name.as_encoded_bytes()[0] == b'.');
        if path.is_dir() && !is_hidden {
            defined_names(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
                let defined = words.windows(2).filter(|pair| KEYWORDS.contains(&pair[0]) && !pair[1].is_empty());
                names.extend(defined.map(|pair| in_words(pair[1])));
                let first = line.trim_start().split(['(', ',', ' ']).next().unwrap_or_default();
                names.extend(first.starts_with(char::is_uppercase).then(|| in_words(first)));
            }
        }
    }
}

#[test]
fn the_glossary_is_short_and_its_words_are_names_in_the_sources() {
    let glossary = glossary();
    assert!((1..=GLOSSARY_WORDS_MAX).contains(&glossary.len()), "{} words", glossary.len());
    assert!(glossary.is_sorted(), "it is in the order of the alphabet");
    let mut names = BTreeSet::new();
    defined_names(&root(), &mut names);
    for (word, meaning) in glossary {
        let is_part = |name: &String| format!(" {name} ").contains(&format!(" {word} "));
        let is_plural_part = |name: &String| format!(" {name} ").contains(&format!(" {word}s "));
        assert!(names.iter().any(|name| is_part(name) || is_plural_part(name)), "no name has the word {word}");
        assert!(meaning.ends_with('.') && !meaning.contains(". "), "{word} has one sentence: {meaning}");
    }
}

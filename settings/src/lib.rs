//! A daemon's configuration file: TOML whose keys are the daemon's flags, and one sentence about whatever it holds that
//! isn't understood.
#![forbid(unsafe_code)]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{ArgAction, Command};
use serde::de::DeserializeOwned;
use toml::{Spanned, de::DeTable};

/// A key of the file, and the flag that says the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The flag's name; where the flag may be given several times, its plural, which a list belongs to.
    pub name: String,
    /// The flag, without dashes in front.
    pub flag: String,
    /// Whether its value is a list, which the flag, given once or more, replaces.
    pub is_list: bool,
}

/// The keys of a daemon's file, which are its flags but those that a file can't say.
pub fn keys(flags: &Command) -> Vec<Key> {
    let says_where_the_file_is = |key: &Key| key.flag == "config";
    let keys = flags.get_arguments().filter(|argument| argument.get_action().takes_values()).filter_map(|argument| {
        Some(Key {
            name: argument.get_id().as_str().replace('_', "-"),
            flag: argument.get_long()?.to_owned(),
            is_list: matches!(argument.get_action(), ArgAction::Append),
        })
    });
    keys.filter(|key| !says_where_the_file_is(key)).collect()
}

/// Why a configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("reading the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It isn't TOML, or a value isn't what its key is for.
    #[error("line {line} of the configuration file {}: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// A key is written in a way that isn't ours any more.
    #[error(
        "line {line} of the configuration file {}: {old:?} is called {new:?} now: rename it there",
        path.display()
    )]
    OldKey {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// As written.
        old: String,
        /// As it should be.
        new: String,
    },
    /// There is no such key.
    #[error("line {line} of the configuration file {}: there is no setting {key:?}: {advice}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// As written.
        key: String,
        /// What could have been meant.
        advice: String,
    },
}

/// Reads the file that `--config` names, or the one at `default`, which may be absent.
///
/// # Errors
/// When the file can't be read, or holds what `flags` have no word for.
pub fn read<T: DeserializeOwned + Default>(config: Option<&Path>, default: &Path, flags: &Command) -> Result<T, Error> {
    let path = config.unwrap_or(default);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && config.is_none() => return Ok(T::default()),
        Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
    };
    parse(path, &text, &keys(flags))
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str, keys: &[Key]) -> Result<T, Error> {
    let wrong = |error: toml::de::Error| Error::Value {
        path: path.to_owned(),
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        problem: error.message().replace('\n', ", "),
    };
    let table = DeTable::parse(text).map_err(wrong)?;
    for (key, line) in in_order(&table, text) {
        check(path, key, line, keys)?;
    }
    toml::from_str(text).map_err(wrong)
}

/// The keys as they stand in the file: the first that is wrong is told.
fn in_order<'a>(table: &'a Spanned<DeTable<'_>>, text: &str) -> Vec<(&'a str, usize)> {
    let mut keys: Vec<_> = table.get_ref().keys().collect();
    keys.sort_by_key(|key| key.span().start);
    keys.into_iter().map(|key| (&**key.get_ref(), line_at(text, key.span().start))).collect()
}

fn check(path: &Path, key: &str, line: usize, keys: &[Key]) -> Result<(), Error> {
    if keys.iter().any(|known| known.name == key) {
        return Ok(());
    }
    let with_dashes = key.replace('_', "-");
    if let Some(known) = keys.iter().find(|known| known.name == with_dashes || known.flag == with_dashes) {
        return Err(Error::OldKey { path: path.to_owned(), line, old: key.to_owned(), new: known.name.clone() });
    }
    Err(Error::UnknownKey { path: path.to_owned(), line, key: key.to_owned(), advice: advice(&with_dashes, keys) })
}

fn advice(key: &str, keys: &[Key]) -> String {
    let names = || keys.iter().map(|known| known.name.as_str());
    let distances = names().map(|name| (strsim::damerau_levenshtein(key, name), name));
    match distances.min() {
        Some((distance, name)) if distance * 3 <= name.len() => format!("did you mean {name:?}?"),
        _ => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[arg(long)]
        config: Option<PathBuf>,
        #[arg(short, long)]
        verbose: bool,
        #[command(flatten)]
        settings: Settings,
    }

    #[derive(Debug, Default, PartialEq, clap::Args, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
    struct Settings {
        #[arg(long)]
        run_dir: Option<PathBuf>,
        #[arg(long)]
        start_netd: Option<bool>,
        #[arg(long = "registry-mirror")]
        registry_mirrors: Vec<String>,
    }

    fn parsed(text: &str) -> Result<Settings, String> {
        let keys = keys(&Flags::command());
        parse(Path::new("/etc/berth/x.toml"), text, &keys).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_the_flags() {
        let names: Vec<_> = keys(&Flags::command()).into_iter().map(|key| key.name).collect();
        assert_eq!(names, ["run-dir", "start-netd", "registry-mirrors"]);
        let settings = parsed("run-dir = '/r'\nstart-netd = false\nregistry-mirrors = ['a', 'b']").expect("settings");
        let mirrors = vec!["a".to_owned(), "b".to_owned()];
        let run_dir = Some("/r".into());
        assert_eq!(settings, Settings { run_dir, start_netd: Some(false), registry_mirrors: mirrors });
    }

    #[test]
    fn what_is_wrong_is_told_in_one_sentence_with_its_line() {
        for (text, sentence) in [
            ("run_dir = '/r'", "line 1 of FILE: \"run_dir\" is called \"run-dir\" now: rename it there"),
            (
                "run-dir = '/r'\n\nregistry_mirrors = []",
                "line 3 of FILE: \"registry_mirrors\" is called \"registry-mirrors\" now: rename it there",
            ),
            (
                "registry-mirror = []",
                "line 1 of FILE: \"registry-mirror\" is called \"registry-mirrors\" now: rename it there",
            ),
            ("# x\nrun-dri = ''", "line 2 of FILE: there is no setting \"run-dri\": did you mean \"run-dir\"?"),
            (
                "[dns]\nservers = []",
                "line 1 of FILE: there is no setting \"dns\": there are run-dir, start-netd, registry-mirrors",
            ),
            (
                "config = '/x'",
                "line 1 of FILE: there is no setting \"config\": there are run-dir, start-netd, registry-mirrors",
            ),
            ("\nstart-netd = 'no'", "line 2 of FILE: invalid type: string \"no\", expected a boolean"),
            ("registry-mirrors = 'a'", "line 1 of FILE: invalid type: string \"a\", expected a sequence"),
        ] {
            let expected = sentence.replace("FILE", "the configuration file /etc/berth/x.toml");
            assert_eq!(parsed(text).expect_err(text), expected);
        }
        for text in ["run-dir = /r", "run-dir", "run-dir = ''\nrun-dir = ''", "run-dir = '/r"] {
            let message = parsed(text).expect_err(text);
            assert!(message.starts_with("line ") && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn only_a_file_that_was_named_must_be_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let absent = directory.path().join("absent.toml");
        assert_eq!(read::<Settings>(None, &absent, &Flags::command()).expect("defaults"), Settings::default());
        let error = read::<Settings>(Some(&absent), &absent, &Flags::command()).expect_err("it was named");
        assert_eq!(error.to_string(), format!("reading the configuration file {}", absent.display()));
    }
}

//! `NAME=VALUE` in flags and files: environment variables, labels, options.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::LocalContext;
use super::error::{RequestError, flag};

/// Reads `NAME=VALUE` flags into a map; a name alone has an empty value, and the last of a name counts.
pub(crate) fn map(pairs: &[String]) -> HashMap<String, String> {
    pairs.iter().map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(owned).collect()
}

/// The same, in order of names.
pub(crate) fn sorted_map(pairs: &[String]) -> BTreeMap<String, String> {
    map(pairs).into_iter().collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The values of `--env` after the lines of every `--env-file`.
pub(crate) fn environment(
    values: &[String],
    files: &[String],
    local: &LocalContext<'_>,
) -> Result<Vec<String>, RequestError> {
    let mut all = Vec::new();
    for file in files {
        let lines = lines(Path::new(file), local)?;
        all.extend(lines.iter().filter_map(|line| inherit(line, local)));
    }
    for value in values {
        if value.is_empty() || value.starts_with('=') {
            return Err(flag("-e, --env", value, format_args!("invalid environment variable: {value}")));
        }
        // A name without a value that we don't have either is passed on: it unsets the image's.
        all.push(inherit(value, local).unwrap_or_else(|| value.clone()));
    }
    Ok(all)
}

/// The values of `--label` after the lines of every `--label-file`. A label without a value has an empty one: our
/// variables are for `--env` only.
pub(crate) fn labels(
    values: &[String],
    files: &[String],
    local: &LocalContext<'_>,
) -> Result<HashMap<String, String>, RequestError> {
    let mut all = Vec::new();
    for file in files {
        all.extend(lines(Path::new(file), local)?);
    }
    for value in values {
        check_label("-l, --label", value)?;
        all.push(value.clone());
    }
    Ok(map(&all))
}

/// A label has a name.
///
/// # Errors
/// Names the flag and the label that has none.
pub(crate) fn check_label(name: &'static str, label: &str) -> Result<(), RequestError> {
    match label.is_empty() || label.starts_with('=') {
        true => Err(flag(name, label, format_args!("invalid label '{label}': empty name"))),
        false => Ok(()),
    }
}

/// `NAME=VALUE`, with our own value where there is none; nothing when we have none either.
fn inherit(pair: &str, local: &LocalContext<'_>) -> Option<String> {
    if pair.contains('=') {
        return Some(pair.to_owned());
    }
    (local.variable)(pair).map(|value| format!("{pair}={value}"))
}

fn lines(path: &Path, local: &LocalContext<'_>) -> Result<Vec<String>, RequestError> {
    let text = (local.read_file)(path).map_err(|source| RequestError::Read { path: path.to_owned(), source })?;
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason: String| RequestError::Line { path: path.to_owned(), line: index + 1, reason };
        let name = line.split_once('=').map_or(line, |(name, _)| name);
        if name.is_empty() {
            return Err(wrong(format!("no variable name on line '{line}'")));
        }
        if name.contains(char::is_whitespace) {
            return Err(wrong(format!("variable '{name}' contains whitespaces")));
        }
        pairs.push(line.to_owned());
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::super::tests::local;
    use super::*;

    fn strings(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn files_come_before_flags_and_names_take_our_values() {
        let all = environment(&strings(&["A=1", "HOME", "UNSET", "B="]), &strings(&["env"]), &local());
        assert_eq!(
            all.unwrap(),
            ["FROM=file", "SPACED= value # kept", "HOME=/root", "A=1", "HOME=/root", "UNSET", "B="]
        );
    }

    #[test]
    fn wrong_forms() {
        for (values, files, expected) in [
            (&[""][..], &[][..], "invalid argument \"\" for \"-e, --env\" flag: invalid environment variable: "),
            (&["=x"], &[], "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x"),
            (&[], &["/nope"], "open /nope"),
            (&[], &["spaces"], "read spaces: line 2: variable 'A B' contains whitespaces"),
            (&[], &["nameless"], "read nameless: line 1: no variable name on line '=x'"),
        ] {
            let error = environment(&strings(values), &strings(files), &local()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let error = labels(&strings(&["=x"]), &[], &local()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid argument \"=x\" for \"-l, --label\" flag: invalid label '=x': empty name"
        );
    }

    #[test]
    fn labels_of_a_file_dont_take_our_values() {
        let all = labels(&[], &strings(&["env"]), &local()).unwrap();
        assert_eq!((all["FROM"].as_str(), all["HOME"].as_str(), all["UNSET"].as_str()), ("file", "", ""));
    }

    #[test]
    fn the_last_label_of_a_name_counts() {
        let all = labels(&strings(&["a=1", "b", "a=2"]), &[], &local()).unwrap();
        assert_eq!(all["a"], "2");
        assert_eq!(all["b"], "");
    }
}

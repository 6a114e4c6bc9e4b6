//! `--log-opt` of the json-file driver.

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::container::log::{Attributes, Tag};
use crate::container::spec::LogSpec;
use crate::error::{Error, Result};

pub(super) fn json_file(options: &BTreeMap<String, String>) -> Result<LogSpec> {
    let (mut max_size_bytes, mut max_files, mut compress) = (None, 1, false);
    let mut attributes = Attributes::default();
    for (option, value) in options {
        match option.as_str() {
            "max-size" => max_size_bytes = super::bytes(value, 1000)?,
            "max-file" => {
                max_files = value.parse().ok().filter(|files| *files > 0).ok_or_else(|| {
                    Error::invalid(format!("invalid value for max-file: {value:?}, must be at least 1"))
                })?;
            }
            "compress" => compress = truth(value)?,
            "labels" => attributes.labels = names(value),
            "labels-regex" => attributes.labels_regex = pattern(option, value)?,
            "env" => attributes.env = names(value),
            "env-regex" => attributes.env_regex = pattern(option, value)?,
            "tag" => attributes.tag = tag(value)?,
            other => return Err(Error::invalid(format!("unknown log opt '{other}' for json-file log driver"))),
        }
    }
    if compress && (max_files < 2 || max_size_bytes.is_none()) {
        return Err(Error::invalid("compress cannot be true when max-file is less than 2 or max-size is not set"));
    }
    Ok(LogSpec::JsonFile { max_size_bytes, max_files, compress, attributes })
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What must be a regular expression, if it isn't empty.
fn pattern(option: &str, text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    match Regex::new(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(error) => Err(Error::invalid(format!("invalid log opt {option}={text}: {error}"))),
    }
}

/// What must be a template of what containers have, if it isn't empty.
fn tag(text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    match Tag::example().render(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(error) => Err(Error::invalid(format!("invalid log opt tag={text}: {error}"))),
    }
}

/// As Go reads it.
fn truth(text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::invalid(format!("invalid value for compress: {text:?}, must be true or false"))),
    }
}

//! `--log-driver` and `--log-opt`.

use std::collections::BTreeMap;
use std::num::IntErrorKind;

use regex_lite::Regex;

use crate::container::log::{Attributes, Tag};
use crate::container::spec::LogSpec;
use crate::error::{Error, Result};
use crate::wire::models::HostConfigLogConfig;

/// Those of Docker's own that berth has no word for yet.
const DOCKERS_LOG_DRIVERS: [&str; 8] =
    ["awslogs", "fluentd", "gcplogs", "gelf", "journald", "local", "splunk", "syslog"];

/// What `mode=non-blocking` keeps of the output when nothing else is said.
const BUFFER_BYTES: u64 = 1_000_000;

pub(super) fn log(wanted: HostConfigLogConfig) -> Result<LogSpec> {
    let mut options: BTreeMap<String, String> = wanted.config.unwrap_or_default().into_iter().collect();
    match wanted.typ.as_deref().unwrap_or_default() {
        "" | "json-file" => {
            let buffer_bytes = buffer(&mut options)?;
            json_file(&options, buffer_bytes)
        }
        "none" => {
            // Nothing waits for a log that there isn't.
            buffer(&mut options)?;
            match options.keys().next() {
                None => Ok(LogSpec::None),
                Some(option) => Err(Error::invalid(format!("unknown log opt '{option}' for none log driver"))),
            }
        }
        other if DOCKERS_LOG_DRIVERS.contains(&other) => {
            Err(Error::not_implemented(format!("log driver {other:?} is not supported yet: use json-file or none")))
        }
        other => Err(Error::invalid(format!(
            "error looking up logging plugin {other}: plugin {other:?} not found: use json-file or none"
        ))),
    }
}

/// Takes the options out that every driver has: how much output waits, if the process doesn't.
fn buffer(options: &mut BTreeMap<String, String>) -> Result<Option<u64>> {
    let (mode, size) = (options.remove("mode"), options.remove("max-buffer-size"));
    match (mode.as_deref().unwrap_or_default(), size) {
        ("" | "blocking", None) => Ok(None),
        ("" | "blocking", Some(_)) => {
            Err(Error::invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'"))
        }
        ("non-blocking", None) => Ok(Some(BUFFER_BYTES)),
        ("non-blocking", Some(size)) => super::size(&size)
            .and_then(|bytes| bytes.ok_or_else(|| Error::invalid(format!("invalid size: '{size}'"))))
            .map_err(|error| Error::invalid(format!("error parsing option max-buffer-size: {}", error.message())))
            .map(Some),
        (other, _) => Err(Error::invalid(format!("logger: logging mode not supported: {other}"))),
    }
}

fn json_file(options: &BTreeMap<String, String>, buffer_bytes: Option<u64>) -> Result<LogSpec> {
    let (mut max_size_bytes, mut max_files, mut compress) = (None, 1, false);
    let mut attributes = Attributes::default();
    for (option, value) in options {
        match option.as_str() {
            "max-size" => max_size_bytes = super::bytes(value, 1000)?,
            "max-file" => max_files = files(value)?,
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
    Ok(LogSpec::JsonFile { max_size_bytes, max_files, compress, attributes, buffer_bytes })
}

/// How many files are kept: as many as there may be are no more than can be.
fn files(text: &str) -> Result<u32> {
    let invalid = |why| Error::invalid(format!("invalid value for max-file: {text:?}, must be {why}"));
    match text.parse::<i64>() {
        Ok(files) if files < 1 => Err(invalid("at least 1")),
        Ok(files) => Ok(u32::try_from(files).unwrap_or(u32::MAX)),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Ok(u32::MAX),
        Err(_) => Err(invalid("a number of files")),
    }
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

//! `--ulimit`: resource limits of processes, setrlimit(2).

use bollard_stubs::models::ResourcesUlimits;

use super::error::{RequestError, flag};

/// Names that getrlimit(2) knows, without their prefix `RLIMIT_`.
const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads one value of `--ulimit`: `NAME=SOFT[:HARD]`; -1 is no limit.
///
/// # Errors
/// Names the value and what is wrong with it.
pub(crate) fn parse(spec: &str) -> Result<ResourcesUlimits, RequestError> {
    read(spec).map_err(|reason| flag("--ulimit", spec, reason))
}

fn read(spec: &str) -> Result<ResourcesUlimits, String> {
    let (name, limits) = spec.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {spec}"))?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let (soft, hard) = match limits.split(':').collect::<Vec<_>>()[..] {
        [both] => (number(both)?, number(both)?),
        [soft, hard] => (number(soft)?, number(hard)?),
        _ => {
            return Err(format!("too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"));
        }
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok(ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) })
}

fn number(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(number) if number >= -1 => Ok(number),
        _ => Err(format!("'{text}' is neither a number nor -1 for no limit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (spec, expected) in [
            ("nofile=1024", Ok((1024, 1024))),
            ("nofile=1024:2048", Ok((1024, 2048))),
            ("core=-1", Ok((-1, -1))),
            ("core=5:-1", Ok((5, -1))),
            ("x", Err("invalid ulimit argument: x")),
            ("foo=1", Err("invalid ulimit type: foo")),
            ("nofile=x", Err("'x' is neither a number nor -1 for no limit")),
            ("nofile=", Err("'' is neither a number nor -1 for no limit")),
            ("nofile=-2", Err("'-2' is neither a number nor -1 for no limit")),
            ("nofile=10:5", Err("ulimit soft limit must be less than or equal to hard limit: 10 > 5")),
            ("nofile=-1:5", Err("ulimit soft limit must be less than or equal to hard limit: -1 > 5")),
            ("nofile=1:2:3", Err("too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`")),
        ] {
            let limits = read(spec).map(|limit| (limit.soft.unwrap(), limit.hard.unwrap()));
            assert_eq!(limits, expected.map_err(str::to_owned), "{spec}");
        }
    }
}

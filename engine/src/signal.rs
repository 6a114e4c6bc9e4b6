//! Signals as clients name them: `KILL`, `SIGKILL`, `9`, `RTMIN+3`.

use std::str::FromStr as _;

use nix::sys::signal::Signal;

use crate::error::{Error, Result};

/// SIGKILL, which no process can refuse.
pub const KILL: i32 = Signal::SIGKILL as i32;

const REAL_TIME_FIRST: i32 = 34;
const REAL_TIME_LAST: i32 = 64;

/// The number of a signal given by name or number.
pub fn parse(text: &str) -> Result<i32> {
    let invalid = || Error::invalid(format!("Invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=REAL_TIME_LAST).contains(&number) { Ok(number) } else { Err(invalid()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(number) = real_time(name) {
        return Ok(number);
    }
    match name {
        "CLD" => Ok(Signal::SIGCHLD as i32),
        "POLL" => Ok(Signal::SIGIO as i32),
        _ => Signal::from_str(&format!("SIG{name}")).map(|signal| signal as i32).map_err(|_| invalid()),
    }
}

/// glibc's numbers: the first two real-time signals are its own.
fn real_time(name: &str) -> Option<i32> {
    let (base, offset) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => (REAL_TIME_FIRST, 0),
        (Some(rest), _) => (REAL_TIME_FIRST, rest.strip_prefix('+')?.parse().ok()?),
        (_, Some("")) => (REAL_TIME_LAST, 0),
        (_, Some(rest)) => (REAL_TIME_LAST, -rest.strip_prefix('-')?.parse::<i32>().ok()?),
        _ => return None,
    };
    Some(base.checked_add(offset)?).filter(|number| (REAL_TIME_FIRST..=REAL_TIME_LAST).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let table = [
            ("KILL", Some(9)),
            ("SIGKILL", Some(9)),
            ("sigterm", Some(15)),
            ("9", Some(9)),
            ("64", Some(64)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("RTMAX", Some(64)),
            ("CLD", Some(17)),
            ("0", None),
            ("65", None),
            ("-9", None),
            ("", None),
            ("SIG", None),
            ("RTMIN+31", None),
            ("RTMIN-1", None),
            ("HUPP", None),
        ];
        for (text, number) in table {
            assert_eq!(parse(text).ok(), number, "{text}");
        }
        assert_eq!(parse("FOO").unwrap_err().message(), "Invalid signal: FOO");
    }
}

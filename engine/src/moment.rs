//! Moments as clients write them in `since` and `until`: Unix seconds, RFC 3339, local dates and times, ages.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// A text that names no moment.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid timestamp {text:?}: Unix seconds (1136073845.000000001), RFC 3339 (2006-01-02T15:04:05Z) or an age (1h30m) are expected"
)]
pub struct InvalidMoment {
    text: String,
}

/// Reads a moment; an age such as `10m` counts back from `now`.
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, InvalidMoment> {
    unix_seconds(text)
        .or_else(|| text.parse::<Timestamp>().ok())
        .or_else(|| local_time(text))
        .or_else(|| text.parse::<SignedDuration>().ok().and_then(|age| now.checked_sub(age).ok()))
        .ok_or_else(|| InvalidMoment { text: text.to_owned() })
}

/// Reads an optional query parameter, where clients send an empty text or `0` for "not given".
pub fn parse_optional(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, InvalidMoment> {
    text.filter(|text| !text.is_empty() && *text != "0").map(|text| parse(text, now)).transpose()
}

/// Resolves when the moment has come; never without one.
pub(crate) async fn reached(moment: Option<Timestamp>) {
    match moment.map(|moment| moment.duration_since(Timestamp::now())) {
        // A moment of the past has come already.
        Some(left) => tokio::time::sleep(left.try_into().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

/// `1136073845` or `1136073845.000000001`: the fraction counts decimal places, not nanoseconds.
fn unix_seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: i32 = format!("{fraction:0<9}").parse().ok()?;
    let nanoseconds = if whole.starts_with('-') { -nanoseconds } else { nanoseconds };
    Timestamp::new(seconds, nanoseconds).ok()
}

/// A date, or a date and time, without a zone: the host's.
fn local_time(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.parse().ok()?;
    Some(civil.to_zoned(TimeZone::system()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_are_read() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a timestamp");
        for (text, expected) in [
            ("1136073845", "2006-01-01T00:04:05Z"),
            ("1136073845.5", "2006-01-01T00:04:05.5Z"),
            ("1136073845.000000001", "2006-01-01T00:04:05.000000001Z"),
            ("2006-01-02T15:04:05Z", "2006-01-02T15:04:05Z"),
            ("2006-01-02T15:04:05.25+01:00", "2006-01-02T14:04:05.25Z"),
            ("1h30m", "2026-11-21T10:30:00Z"),
            ("10s", "2026-11-21T11:59:50Z"),
        ] {
            let expected: Timestamp = expected.parse().expect("a timestamp");
            assert_eq!(parse(text, now).expect(text), expected, "{text}");
        }
        let local = DateTime::constant(2020, 2, 3, 0, 0, 0, 0).to_zoned(TimeZone::system()).expect("a local time");
        assert_eq!(parse("2020-02-03", now).expect("a date"), local.timestamp());
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in ["yesterday", "12:00", "1.2.3", "1136073845.x", "99999999999999999999"] {
            let error = parse(text, Timestamp::UNIX_EPOCH).expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn absent_empty_and_zero_mean_not_given() {
        for text in [None, Some(""), Some("0")] {
            assert_eq!(parse_optional(text, Timestamp::UNIX_EPOCH).expect("nothing to refuse"), None);
        }
    }
}

//! Points in time as people write them: RFC 3339, seconds since 1970, or how long ago.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

/// Reads a time; a duration (`10m`, `1h30m`) counts back from `now`, a time without offset is in `zone`.
///
/// # Errors
/// Names the text that is no time.
pub(crate) fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "invalid time '{text}': give RFC 3339 (2026-01-02T15:04:05Z), seconds since 1970, or a duration ago (10m)"
        )
    };
    if let Some(ago) = go_duration(text) {
        return now.checked_sub(ago).map_err(|_| wrong());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    if let Some(timestamp) = unix_seconds(text) {
        return Ok(timestamp);
    }
    let civil = text.parse::<civil::DateTime>().map_err(|_| wrong())?;
    zone.to_timestamp(civil).map_err(|_| wrong())
}

/// Seconds with nanoseconds behind the point, as the API takes times.
pub(crate) fn to_query(timestamp: Timestamp) -> String {
    format!("{}.{:09}", timestamp.as_second(), timestamp.subsec_nanosecond())
}

fn unix_seconds(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

/// Go's notation: numbers with units, as in `1h30m` or `1.5s`.
pub(super) fn go_duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut total = SignedDuration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end =
            rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| digits + end);
        let unit = match &rest[digits..unit_end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &rest[unit_end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("10m", Some("2026-01-02T11:50:00Z")),
            ("1h30m", Some("2026-01-02T10:30:00Z")),
            ("1.5s", Some("2026-01-02T11:59:58.5Z")),
            ("0s", Some("2026-01-02T12:00:00Z")),
            ("2026-01-02T10:00:00+01:00", Some("2026-01-02T09:00:00Z")),
            ("2026-01-02T10:00:00", Some("2026-01-02T10:00:00Z")),
            ("2026-01-02", Some("2026-01-02T00:00:00Z")),
            ("1767351600", Some("2026-01-02T11:00:00Z")),
            ("1767351600.5", Some("2026-01-02T11:00:00.5Z")),
            ("", None),
            ("yesterday", None),
            ("10", Some("1970-01-01T00:00:10Z")),
            ("10x", None),
            ("1.2.3", None),
        ] {
            let parsed = parse(text, now, &TimeZone::UTC).ok().map(|timestamp| timestamp.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
        assert_eq!(to_query("1970-01-01T00:00:10.25Z".parse().unwrap()), "10.250000000");
    }
}

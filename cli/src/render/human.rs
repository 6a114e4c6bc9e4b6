//! Sizes, times and shares as Docker's CLI writes them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const DECIMAL_UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY_UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A size in decimal units with three digits that count: `4.27MB`.
pub(crate) fn size(bytes: i64) -> String {
    // Docker says nothing where there is nothing to say.
    if bytes < 0 {
        return "N/A".to_owned();
    }
    scaled(bytes as f64, 1000.0, &DECIMAL_UNITS, 3)
}

/// A size in decimal units with four digits that count.
pub(crate) fn precise_size(bytes: i64) -> String {
    scaled(bytes.max(0) as f64, 1000.0, &DECIMAL_UNITS, 4)
}

/// A size in binary units with four digits that count: `3.824MiB`.
pub(crate) fn binary_size(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &BINARY_UNITS, 4)
}

fn scaled(mut value: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// A number with that many digits that count, without zeros behind the point that say nothing.
fn significant(value: f64, digits: usize) -> String {
    let before_point = (value.abs().max(1.0).log10().floor() as usize) + 1;
    let text = format!("{value:.*}", digits.saturating_sub(before_point));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// How long something took or has lasted: `Less than a second`, `3 minutes`, `2 weeks`.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (duration.as_secs_f64() / 3600.0).round() as i64);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// How long ago, in words; nothing for a time that isn't known.
pub(crate) fn ago(unix_seconds: i64, now: Timestamp) -> String {
    match Timestamp::from_second(unix_seconds) {
        Ok(then) if unix_seconds > 0 => format!("{} ago", duration(now.duration_since(then))),
        _ => "N/A".to_owned(),
    }
}

/// A time as Go writes it: `2026-01-02 15:04:05 +0000 UTC`.
pub(crate) fn timestamp(unix_seconds: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_second(unix_seconds).unwrap_or_default();
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// A share in percent with two digits behind the point.
pub(crate) fn percent(share: f64) -> String {
    format!("{share:.2}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (4_270_000, "4.27MB"),
            (42_700_000, "42.7MB"),
            (427_000_000, "427MB"),
            (1_234_567_890, "1.23GB"),
            (-1, "N/A"),
        ] {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(precise_size(1_234_567_890), "1.235GB");
        assert_eq!(binary_size(4_009_754), "3.824MiB");
        assert_eq!(binary_size(0), "0B");
        assert_eq!(binary_size(1 << 30), "1GiB");
    }

    #[test]
    fn durations() {
        for (seconds, expected) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (180, "3 minutes"),
            (3600, "About an hour"),
            (3600 * 2, "2 hours"),
            (3600 * 47, "47 hours"),
            (3600 * 48, "2 days"),
            (3600 * 24 * 14, "2 weeks"),
            (3600 * 24 * 61, "2 months"),
            (3600 * 24 * 800, "2 years"),
        ] {
            assert_eq!(duration(SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(timestamp(1_767_366_245, &TimeZone::UTC), "2026-01-02 15:04:05 +0000 UTC");
        let now = Timestamp::from_second(1_767_366_245).unwrap();
        assert_eq!(ago(1_767_366_245 - 240, now), "4 minutes ago");
        assert_eq!(ago(0, now), "N/A");
    }
}

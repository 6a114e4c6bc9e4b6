//! Events, a line each.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::reply::Event;

/// An event as a line: time, type, action, whom it happened to, and what is known of them.
pub(crate) fn line(event: &Event, zone: &TimeZone) -> String {
    let nanoseconds = if event.time_nano == 0 { event.time * 1_000_000_000 } else { event.time_nano };
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default().to_zoned(zone.clone());
    let time = time.strftime("%Y-%m-%dT%H:%M:%S.%9f%:z");
    let attributes: Vec<String> =
        event.actor.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let attributes = if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) };
    format!("{time} {} {} {}{attributes}\n", event.kind, event.action, event.actor.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let event: Event = serde_json::from_value(serde_json::json!({
            "Type": "container", "Action": "die", "Actor": {"ID": "c0ffee", "Attributes": {"name": "web", "exitCode": "0"}},
            "scope": "local", "time": 1_767_366_245, "timeNano": 1_767_366_245_123_456_789_i64,
        }))
        .unwrap();
        assert_eq!(
            line(&event, &TimeZone::UTC),
            "2026-01-02T15:04:05.123456789+00:00 container die c0ffee (exitCode=0, name=web)\n"
        );
        let bare =
            Event { kind: "network".to_owned(), action: "create".to_owned(), time: 1_767_366_245, ..Event::default() };
        assert_eq!(line(&bare, &TimeZone::UTC), "2026-01-02T15:04:05.000000000+00:00 network create \n");
    }
}

//! `GET /events`

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use serde::{Deserialize, Serialize};

/// Query of `GET /events`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EventsQuery {
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) filters: Option<String>,
}

/// One event.
#[derive(Debug, Serialize)]
pub(crate) struct EventView<'a> {
    #[serde(flatten)]
    pub(crate) old: Option<OldView<'a>>,
    #[serde(rename = "Type")]
    pub(crate) subject: &'static str,
    #[serde(rename = "Action")]
    pub(crate) action: &'a str,
    #[serde(rename = "Actor")]
    pub(crate) actor: ActorView<'a>,
    pub(crate) scope: &'static str,
    pub(crate) time: i64,
    #[serde(rename = "timeNano")]
    pub(crate) time_nanoseconds: i64,
}

/// What it happened to.
#[derive(Debug, Serialize)]
pub(crate) struct ActorView<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
    #[serde(rename = "Attributes")]
    pub(crate) attributes: &'a BTreeMap<String, String>,
}

/// The same in the words of before API 1.22.
#[derive(Debug, Serialize)]
pub(crate) struct OldView<'a> {
    pub(crate) status: &'a str,
    pub(crate) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'a str>,
}

/// How one event follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A line each, called JSON as it always was.
    Json,
    /// A line each, called so.
    Lines,
    /// RFC 7464: a record separator before each.
    Sequence,
}

impl Framing {
    /// What the client likes best of what it accepts by name. Who accepts anything gets what there always was.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let listed = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let mut best = (0.0, Self::Json);
        for choice in listed.flat_map(|list| list.split(',')) {
            let mut parts = choice.split(';').map(str::trim);
            let framing = match parts.next().map(str::to_ascii_lowercase).as_deref() {
                Some("application/json") => Self::Json,
                Some("application/x-ndjson") => Self::Lines,
                Some("application/json-seq") => Self::Sequence,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if quality > best.0 {
                best = (quality, framing);
            }
        }
        best.1
    }

    /// The name of the whole stream.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Sequence => "application/json-seq",
        }
    }

    /// One event in the stream.
    pub(crate) fn frame(self, event: &EventView<'_>) -> Vec<u8> {
        let mut line = match self {
            Self::Json | Self::Lines => Vec::new(),
            Self::Sequence => vec![0x1e],
        };
        serde_json::to_writer(&mut line, event).expect("text and numbers have JSON forms");
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_names_how_it_reads_events() {
        let of = |accept: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().expect("a header"))]);
            Framing::negotiate(&headers).content_type()
        };
        for (accept, expected) in [
            ("*/*", "application/json"),
            ("text/html", "application/json"),
            ("application/x-ndjson", "application/x-ndjson"),
            ("Application/JSON-seq, */*;q=0.1", "application/json-seq"),
            ("application/json-seq;q=0.5, application/x-ndjson", "application/x-ndjson"),
            ("application/x-ndjson;q=0", "application/json"),
        ] {
            assert_eq!(of(accept), expected, "{accept}");
        }
        assert_eq!(Framing::negotiate(&HeaderMap::new()), Framing::Json);
    }
}

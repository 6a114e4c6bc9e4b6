//! `GET /events`

use std::collections::BTreeMap;

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

/// The same in the words of before API 1.22, which were kept for containers and images until 1.51.
#[derive(Debug, Serialize)]
pub(crate) struct OldView<'a> {
    pub(crate) status: &'a str,
    pub(crate) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'a str>,
}

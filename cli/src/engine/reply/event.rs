//! Events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::or_default;

/// A line of `GET /events`; shown as it is with `--format json`.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Event {
    #[serde(rename = "Type")]
    pub(crate) kind: String,
    pub(crate) action: String,
    pub(crate) actor: Actor,
    #[serde(rename = "scope")]
    pub(crate) scope: String,
    #[serde(rename = "time")]
    pub(crate) time: i64,
    #[serde(rename = "timeNano")]
    pub(crate) time_nano: i64,
}

/// Whom an [`Event`] happened to.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Actor {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) attributes: BTreeMap<String, String>,
}

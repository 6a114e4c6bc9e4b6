//! Queries of what streams: `attach`, `logs`, `stats`, `top`.

use serde::Deserialize;

use super::query::{flag, optional_flag};

/// Of `POST /containers/{id}/attach`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AttachQuery {
    #[serde(deserialize_with = "flag")]
    pub(crate) logs: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) stream: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) stdin: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) stdout: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) stderr: bool,
    pub(crate) detach_keys: String,
}

/// Of `GET /containers/{id}/logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LogsQuery {
    #[serde(deserialize_with = "flag")]
    pub(crate) follow: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) stdout: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) stderr: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) timestamps: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) details: bool,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) tail: String,
}

/// Of `GET /containers/{id}/stats`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct StatsQuery {
    /// Without an answer: for as long as the client listens.
    #[serde(deserialize_with = "optional_flag")]
    pub(crate) stream: Option<bool>,
    #[serde(deserialize_with = "flag")]
    pub(crate) one_shot: bool,
}

/// Of `GET /containers/{id}/top`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TopQuery {
    pub(crate) ps_args: String,
}

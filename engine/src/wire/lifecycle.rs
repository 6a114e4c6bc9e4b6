//! Queries of the verbs under `/containers/{id}`, and the reply of `wait`.

use serde::{Deserialize, Serialize};

use super::query::flag;

#[derive(Debug, Deserialize)]
pub(crate) struct StartQuery {
    #[serde(default)]
    pub(crate) checkpoint: String,
    #[serde(default, rename = "checkpoint-dir")]
    pub(crate) checkpoint_dir: String,
}

/// Of `stop` and `restart`.
#[derive(Debug, Deserialize)]
pub(crate) struct StopQuery {
    /// Seconds until the container is killed.
    #[serde(default)]
    pub(crate) t: Option<i64>,
    #[serde(default)]
    pub(crate) signal: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KillQuery {
    #[serde(default)]
    pub(crate) signal: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RenameQuery {
    #[serde(default)]
    pub(crate) name: String,
}

/// Rows and columns.
#[derive(Debug, Deserialize)]
pub(crate) struct ResizeQuery {
    pub(crate) h: u16,
    pub(crate) w: u16,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RemoveQuery {
    #[serde(default, deserialize_with = "flag")]
    pub(crate) force: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) v: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) link: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct WaitQuery {
    #[serde(default)]
    pub(crate) condition: String,
}

/// Reply of `POST /containers/{id}/wait`. Docker's has an `Error` too, for waits that failed themselves: these can't.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WaitReply {
    pub(crate) status_code: u8,
}

#[derive(Debug, Deserialize)]
pub(crate) struct InspectQuery {
    #[serde(default, deserialize_with = "flag")]
    pub(crate) size: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default, deserialize_with = "flag")]
    pub(crate) all: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) size: bool,
    /// The newest so many, running or not.
    #[serde(default)]
    pub(crate) limit: Option<i64>,
    #[serde(default)]
    pub(crate) filters: Option<String>,
}

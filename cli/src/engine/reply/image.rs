//! Replies about images: lists, registries, builds, and the progress of what takes long.

use serde::Deserialize;

use super::or_default;

/// An element of `GET /images/json`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageSummary {
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) repo_tags: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) repo_digests: Vec<String>,
    pub(crate) created: i64,
    pub(crate) size: i64,
    pub(crate) containers: i64,
    pub(crate) shared_size: i64,
}

/// An element of `GET /images/search`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct FoundRepository {
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) description: String,
    pub(crate) star_count: u64,
    pub(crate) is_official: bool,
}

/// An element of `GET /images/{name}/history`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HistoryItem {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) created_by: String,
    pub(crate) size: i64,
    pub(crate) comment: String,
}

/// An element of the reply to `DELETE /images/{name}`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageDeletion {
    pub(crate) untagged: Option<String>,
    pub(crate) deleted: Option<String>,
}

/// What `POST /auth` answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LoggedIn {
    pub(crate) status: String,
    pub(crate) identity_token: String,
}

/// A line of progress: `POST /images/load` and `/images/create`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Progress {
    pub(crate) stream: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) error: Option<String>,
    /// What the status is of, such as a layer.
    pub(crate) id: Option<String>,
    #[serde(rename = "progressDetail", deserialize_with = "or_default")]
    pub(crate) detail: ProgressDetail,
}

/// How far a step is, in bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProgressDetail {
    pub(crate) current: Option<u64>,
    pub(crate) total: Option<u64>,
}

/// A line of what a build says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BuildLine {
    pub(crate) stream: Option<String>,
    pub(crate) aux: Option<BuiltImage>,
    #[serde(rename = "errorDetail")]
    pub(crate) error_detail: Option<BuildFailure>,
}

/// What a build led to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BuiltImage {
    #[serde(rename = "ID")]
    pub(crate) id: String,
}

/// Why a build failed; the code is a step's exit status, if that is why.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BuildFailure {
    pub(crate) code: i64,
    pub(crate) message: String,
}

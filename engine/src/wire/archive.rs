//! What `cp`, `diff` and `commit` send and read.

use images::FileChange;
use serde::{Deserialize, Serialize};

use super::query::{flag, optional_flag};

/// Of `/containers/{id}/archive`.
#[derive(Debug, Deserialize)]
pub(crate) struct ArchiveQuery {
    #[serde(default)]
    pub(crate) path: String,
    /// A file isn't put in a directory's place, nor the other way round.
    #[serde(default, rename = "noOverwriteDirNonDir", deserialize_with = "flag")]
    pub(crate) no_overwrite_dir_non_dir: bool,
    /// Everything is to belong to the container's user.
    #[serde(default, rename = "copyUIDGID", deserialize_with = "flag")]
    pub(crate) copy_uid_gid: bool,
}

/// What `X-Docker-Container-Path-Stat` carries, as JSON in base64.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PathStat {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// In Go's bits.
    pub(crate) mode: u32,
    pub(crate) mtime: String,
    pub(crate) link_target: String,
}

/// Something that a container changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ChangeView {
    pub(crate) path: String,
    /// 0 changed, 1 added, 2 deleted.
    pub(crate) kind: u8,
}

impl From<FileChange> for ChangeView {
    fn from(change: FileChange) -> Self {
        Self { path: change.path.to_string_lossy().into_owned(), kind: change.kind as u8 }
    }
}

/// Of `POST /commit`; `changes` come as often as there are any and are read apart.
#[derive(Debug, Deserialize)]
pub(crate) struct CommitQuery {
    #[serde(default)]
    pub(crate) container: String,
    #[serde(default)]
    pub(crate) repo: String,
    #[serde(default)]
    pub(crate) tag: String,
    #[serde(default)]
    pub(crate) author: String,
    #[serde(default)]
    pub(crate) comment: String,
    #[serde(default, deserialize_with = "optional_flag")]
    pub(crate) pause: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CommitReply {
    pub(crate) id: String,
}

//! `/volumes`

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::query::flag;

/// Body of `POST /volumes/create`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CreateBody {
    pub(crate) name: String,
    pub(crate) driver: String,
    pub(crate) driver_opts: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Swarm's.
    pub(crate) cluster_volume_spec: Option<Value>,
}

/// Query of `GET /volumes` and `POST /volumes/prune`.
#[derive(Debug, Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    pub(crate) filters: Option<String>,
}

/// Query of `DELETE /volumes/{name}`.
#[derive(Debug, Deserialize)]
pub(crate) struct RemoveQuery {
    #[serde(default, deserialize_with = "flag")]
    pub(crate) force: bool,
}

/// A volume, in lists too.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct VolumeView {
    /// Plugins needn't say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    pub(crate) driver: String,
    /// `null` where there are none.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) mountpoint: String,
    pub(crate) name: String,
    pub(crate) options: Option<BTreeMap<String, String>>,
    pub(crate) scope: &'static str,
    /// What its plugin says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<BTreeMap<String, Value>>,
    /// In `GET /system/df` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage_data: Option<UsageView>,
}

/// How much of the disk a volume takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UsageView {
    /// Containers that have it.
    pub(crate) ref_count: usize,
    /// -1 where it isn't berthd's to count.
    pub(crate) size: i64,
}

/// Reply of `GET /volumes`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListView {
    pub(crate) volumes: Vec<VolumeView>,
    pub(crate) warnings: Option<Vec<String>>,
}

/// Reply of `POST /volumes/prune`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PruneView {
    pub(crate) volumes_deleted: Vec<String>,
    pub(crate) space_reclaimed: u64,
}

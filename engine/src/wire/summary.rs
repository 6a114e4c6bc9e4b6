//! One container in `GET /containers/json`, and the reply of `POST /containers/prune`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::endpoint::{EndpointView, PortView};

/// One container in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SummaryView {
    pub(crate) id: String,
    pub(crate) names: Vec<String>,
    pub(crate) image: String,
    #[serde(rename = "ImageID")]
    pub(crate) image_id: String,
    pub(crate) command: String,
    pub(crate) created: i64,
    pub(crate) ports: Vec<PortView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size_root_fs: Option<u64>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) state: &'static str,
    pub(crate) status: String,
    /// Since API 1.52.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<HealthView>,
    pub(crate) host_config: HostConfigView,
    pub(crate) network_settings: NetworkSettingsView,
    pub(crate) mounts: Vec<Value>,
}

/// How a container is; `none` without checks, and when nothing runs that could be checked.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthView {
    pub(crate) status: &'static str,
    pub(crate) failing_streak: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HostConfigView {
    pub(crate) network_mode: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NetworkSettingsView {
    pub(crate) networks: BTreeMap<String, EndpointView>,
}

/// Reply of `POST /containers/prune`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PruneReply {
    pub(crate) containers_deleted: Vec<String>,
    pub(crate) space_reclaimed: u64,
}

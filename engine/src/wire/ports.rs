//! Body and reply of `POST /berth/containers/{id}/ports`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::endpoint::BindingView;
use super::models::PortMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct PortsRequest {
    /// As `HostConfig.PortBindings` of a container's creation.
    #[serde(default)]
    pub(crate) add: Option<PortMap>,
    /// Ports of the host, as `[IP:]PORT[-END][/PROTOCOL]`.
    #[serde(default)]
    pub(crate) remove: Option<Vec<String>>,
}

/// As `NetworkSettings` of inspect.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PortsReply {
    pub(crate) ports: BTreeMap<String, Option<Vec<BindingView>>>,
}

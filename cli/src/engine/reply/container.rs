//! Replies about containers and what runs in them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::or_default;

/// `POST /containers/create`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Created {
    pub(crate) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
}

/// Of `GET /containers/{id}/changes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) kind: u8,
}

/// What the header `X-Docker-Container-Path-Stat` carries.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PathStat {
    pub(crate) size: u64,
    /// In Go's bits.
    pub(crate) mode: u32,
    pub(crate) link_target: String,
}

impl PathStat {
    pub(crate) fn is_directory(&self) -> bool {
        self.mode & (1 << 31) != 0
    }

    pub(crate) fn is_link(&self) -> bool {
        self.mode & (1 << 27) != 0
    }
}

/// `POST /containers/{id}/wait`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Waited {
    pub(crate) status_code: i64,
    #[serde(default)]
    pub(crate) error: Option<WaitError>,
}

/// Why waiting failed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WaitError {
    #[serde(default)]
    pub(crate) message: String,
}

/// `GET /containers/{id}/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerDetails {
    pub(crate) id: String,
    pub(crate) state: ContainerState,
    pub(crate) config: ContainerConfig,
    pub(crate) host_config: ContainerHostConfig,
    pub(crate) network_settings: ContainerNetworkSettings,
}

/// Part of [`ContainerDetails`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerState {
    pub(crate) running: bool,
    pub(crate) paused: bool,
    pub(crate) restarting: bool,
}

/// Part of [`ContainerDetails`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerConfig {
    pub(crate) tty: bool,
    pub(crate) open_stdin: bool,
}

/// Part of [`ContainerDetails`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerHostConfig {
    pub(crate) auto_remove: bool,
}

/// Part of [`ContainerDetails`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerNetworkSettings {
    /// `port/protocol` → where it is published; null for a port that is only exposed.
    #[serde(deserialize_with = "or_default")]
    pub(crate) ports: PublishedPorts,
}

/// Where a container's ports are published, by `port/protocol`.
pub(crate) type PublishedPorts = BTreeMap<String, Option<Vec<PortBinding>>>;

/// Where a port is published.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PortBinding {
    pub(crate) host_ip: String,
    pub(crate) host_port: String,
}

/// An element of `GET /containers/json`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerSummary {
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) names: Vec<String>,
    pub(crate) image: String,
    #[serde(rename = "ImageID")]
    pub(crate) image_id: String,
    pub(crate) command: String,
    pub(crate) created: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) ports: Vec<PortSummary>,
    pub(crate) size_rw: i64,
    pub(crate) size_root_fs: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) state: String,
    pub(crate) status: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) network_settings: SummaryNetworks,
    #[serde(deserialize_with = "or_default")]
    pub(crate) mounts: Vec<SummaryMount>,
}

/// A port in a [`ContainerSummary`].
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PortSummary {
    #[serde(rename = "IP")]
    pub(crate) ip: String,
    pub(crate) private_port: u16,
    pub(crate) public_port: u16,
    #[serde(rename = "Type")]
    pub(crate) protocol: String,
}

/// The networks in a [`ContainerSummary`], by name.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SummaryNetworks {
    #[serde(deserialize_with = "or_default")]
    pub(crate) networks: BTreeMap<String, serde::de::IgnoredAny>,
}

/// A mount in a [`ContainerSummary`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SummaryMount {
    #[serde(rename = "Type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) source: String,
}

/// `GET /containers/{id}/top`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Top {
    pub(crate) titles: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) processes: Vec<Vec<String>>,
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ExecDetails {
    pub(crate) running: bool,
    pub(crate) exit_code: Option<i64>,
}

/// Reply of `POST /containers/{id}/update`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Updated {
    #[serde(deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
}

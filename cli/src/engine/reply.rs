//! Replies of the engine, as far as berth reads them. A field that is absent or null is empty: engines differ.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Null is as good as absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `POST /containers/create`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Created {
    pub(crate) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
}

/// Replies that only name something new.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Identified {
    pub(crate) id: String,
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
    pub(crate) ports: BTreeMap<String, Option<Vec<PortBinding>>>,
}

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

/// What `POST /auth` answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct LoggedIn {
    pub(crate) status: String,
    pub(crate) identity_token: String,
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

/// `POST /build/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct CachePrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) caches_deleted: Vec<String>,
    pub(crate) space_reclaimed: i64,
}

/// How far a step is, in bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProgressDetail {
    pub(crate) current: Option<u64>,
    pub(crate) total: Option<u64>,
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

/// `GET /system/df`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DiskUsage {
    pub(crate) layers_size: i64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) images: Vec<ImageSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) containers: Vec<ContainerSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) volumes: Vec<VolumeSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) build_cache: Vec<BuildCacheSummary>,
}

/// Reply of `POST /containers/{id}/update`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Updated {
    #[serde(deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
}

/// Reply of `GET /volumes`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeList {
    #[serde(deserialize_with = "or_default")]
    pub(crate) volumes: Vec<VolumeSummary>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) warnings: Vec<String>,
}

/// Reply of `POST /containers/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ContainerPrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) containers_deleted: Vec<String>,
    pub(crate) space_reclaimed: i64,
}

/// Reply of `POST /images/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImagePrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) images_deleted: Vec<ImageDeletion>,
    pub(crate) space_reclaimed: i64,
}

/// Reply of `POST /networks/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkPrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) networks_deleted: Vec<String>,
}

/// Reply of `POST /volumes/prune`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumePrune {
    #[serde(deserialize_with = "or_default")]
    pub(crate) volumes_deleted: Vec<String>,
    pub(crate) space_reclaimed: i64,
}

/// A volume in [`VolumeList`] and [`DiskUsage`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeSummary {
    pub(crate) name: String,
    pub(crate) driver: String,
    pub(crate) mountpoint: String,
    pub(crate) scope: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) usage_data: VolumeUsage,
}

/// Part of [`VolumeSummary`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeUsage {
    pub(crate) size: i64,
    pub(crate) ref_count: i64,
}

/// A piece of the build cache in [`DiskUsage`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct BuildCacheSummary {
    pub(crate) size: i64,
    pub(crate) in_use: bool,
    pub(crate) shared: bool,
}

/// A line of `GET /containers/{id}/stats`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) cpu_stats: CpuStats,
    pub(crate) precpu_stats: CpuStats,
    pub(crate) memory_stats: MemoryStats,
    pub(crate) pids_stats: PidsStats,
    #[serde(deserialize_with = "or_default")]
    pub(crate) networks: BTreeMap<String, NetworkStats>,
    pub(crate) blkio_stats: BlockStats,
}

/// Part of [`Stats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct CpuStats {
    pub(crate) cpu_usage: CpuUsage,
    pub(crate) system_cpu_usage: u64,
    pub(crate) online_cpus: u32,
}

/// Part of [`CpuStats`]; nanoseconds.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct CpuUsage {
    pub(crate) total_usage: u64,
}

/// Part of [`Stats`]; bytes.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct MemoryStats {
    pub(crate) usage: u64,
    pub(crate) limit: u64,
    #[serde(deserialize_with = "or_default")]
    pub(crate) stats: BTreeMap<String, u64>,
}

/// Part of [`Stats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct PidsStats {
    pub(crate) current: u64,
}

/// Part of [`Stats`], of one interface.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct NetworkStats {
    pub(crate) rx_bytes: u64,
    pub(crate) tx_bytes: u64,
}

/// Part of [`Stats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct BlockStats {
    #[serde(deserialize_with = "or_default")]
    pub(crate) io_service_bytes_recursive: Vec<BlockEntry>,
}

/// Part of [`BlockStats`].
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct BlockEntry {
    pub(crate) op: String,
    pub(crate) value: u64,
}

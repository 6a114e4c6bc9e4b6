//! What a container runs and within which bounds, everything validated and every default filled in.

use std::collections::BTreeMap;

use runtime::spec::{Device, Namespaces, Process, Resources};
use serde::{Deserialize, Serialize};

use super::health::HealthSpec;
use super::log::Attributes;
use super::mount::MountPoint;
use super::network::NetworkSpec;
use super::restart::RestartPolicy;

/// What a container runs and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Its first process; execs take over what they aren't told.
    pub process: Process,
    /// Which of its streams the request that made it wanted (shown by inspect, used by clients).
    pub attach: AttachDefaults,
    /// Host name.
    pub hostname: String,
    /// NIS domain name.
    pub domainname: String,
    /// Mounts beyond the default ones.
    pub mounts: Vec<MountPoint>,
    /// Whether its root file system is read-only.
    pub readonly_rootfs: bool,
    /// Size of `/dev/shm`.
    pub shm_size_bytes: u64,
    /// Which namespaces it has of its own.
    pub namespaces: Namespaces,
    /// Limits and weights.
    pub resources: Resources,
    /// Devices beyond the default ones.
    pub devices: Vec<Device>,
    /// All devices, nothing hidden.
    pub privileged: bool,
    /// Kernel settings of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Paths hidden from it.
    pub masked_paths: Vec<String>,
    /// Paths it can't write to.
    pub readonly_paths: Vec<String>,
    /// How eagerly the kernel kills it when memory is short.
    pub oom_score_adj: Option<i16>,
    /// Run below a pid 1 of ours.
    pub init: bool,
    /// The cgroup that its own is made in; the daemon's default without it.
    pub cgroup_parent: Option<String>,
    /// Where its output is kept.
    pub log: LogSpec,
    /// Its networking, but for the endpoints.
    pub network: NetworkSpec,
    /// How it is asked to end.
    pub stop: StopSpec,
    /// Labels, the image's among them.
    pub labels: BTreeMap<String, String>,
    /// Remove it when it has ended.
    pub auto_remove: bool,
    /// Start it again when it has ended.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How it is found out to be well.
    #[serde(default)]
    pub health: Option<HealthSpec>,
}

/// Streams that the creating client meant to attach to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachDefaults {
    /// Standard input.
    pub stdin: bool,
    /// Output.
    pub stdout: bool,
    /// Errors.
    pub stderr: bool,
}

/// Where output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "driver")]
pub enum LogSpec {
    /// Nowhere: `docker logs` has nothing to show.
    None,
    /// Docker's JSON lines, in the container's directory.
    JsonFile {
        /// Begin a new file when this one would grow larger.
        max_size_bytes: Option<u64>,
        /// How many files are kept in all.
        max_files: u32,
        /// Compress the older ones.
        #[serde(default)]
        compress: bool,
        /// What each record says of the container.
        #[serde(default)]
        attributes: Attributes,
        /// How much output waits for the disk before it is left out (`mode=non-blocking`); without it the process waits.
        #[serde(default)]
        buffer_bytes: Option<u64>,
    },
}

/// How a container is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSpec {
    /// Sent first.
    pub signal: i32,
    /// Then it is killed; never if negative.
    pub timeout_seconds: i64,
}

impl Default for StopSpec {
    fn default() -> Self {
        Self { signal: 15, timeout_seconds: 10 }
    }
}

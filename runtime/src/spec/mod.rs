//! The specification of a container, validated and in our own types: what the engine translates a request into, what the
//! shim works from, and what is stored beside the container. The network namespace isn't in it; it is given when the
//! container is released to run (see [`Network`]).

mod id;
mod mount;
mod place;
mod process;
mod resources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use id::Id;
pub use mount::{BindPropagation, Mount, MountKind};
pub use place::{KernelPlace, check_places, refuse_place};
pub use process::{Process, Rlimit, RlimitKind, Stdin, TerminalSize, UserSpec};
pub use resources::{BlkioWeightDevice, Device, DeviceKind, DeviceRule, Resources, ThrottleDevice};

/// A container, complete but for its network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Names the container's directory, cgroup and sockets.
    pub id: Id,
    /// Where its files come from.
    pub rootfs: Rootfs,
    /// Its first process.
    pub process: Process,
    /// Host name; used when the UTS namespace is its own.
    pub hostname: String,
    /// NIS domain name; used when the UTS namespace is its own.
    pub domainname: String,
    /// Mounts beyond the default ones, in the order in which they are made. A mount on a default one's destination
    /// replaces it.
    pub mounts: Vec<Mount>,
    /// Size of `/dev/shm`.
    pub shm_size_bytes: u64,
    /// Which namespaces it has of its own.
    pub namespaces: Namespaces,
    /// Limits and weights.
    pub resources: Resources,
    /// Devices beyond the default ones.
    pub devices: Vec<Device>,
    /// All of the host's devices, everything writable, `/sys` and cgroups included.
    pub privileged: bool,
    /// Kernel settings of its own namespaces, such as `net.ipv4.ip_unprivileged_port_start`.
    pub sysctls: BTreeMap<String, String>,
    /// Paths hidden from it; [`crate::defaults::masked_paths`] has Docker's list.
    pub masked_paths: Vec<String>,
    /// Paths it can't write to; [`crate::defaults::readonly_paths`] has Docker's list.
    pub readonly_paths: Vec<String>,
    /// How eagerly the kernel kills it when memory is short, -1000 to 1000.
    pub oom_score_adj: Option<i16>,
    /// Run the process below a pid 1 of ours, which forwards signals and reaps.
    pub init: bool,
    /// The cgroup that the container's own is made in, as a path from the root of each hierarchy.
    pub cgroup_parent: PathBuf,
    /// Where its output is kept.
    pub log: Log,
}

/// An overlay of read-only layers below one writable one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Read-only directories, the topmost first; at least one.
    pub lower: Vec<PathBuf>,
    /// Directory that takes the changes.
    pub upper: PathBuf,
    /// Empty directory on the same filesystem as `upper`, which overlayfs wants.
    pub work: PathBuf,
    /// Mount it read-only for the container.
    pub readonly: bool,
    /// What is written isn't wanted after a power cut: nothing waits for it to be on the disk, not even the end of the
    /// container, with which the kernel would write all of the filesystem out (overlayfs's `volatile`).
    #[serde(default)]
    pub volatile: bool,
}

/// Which namespaces are the container's own. It always has its own mount namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Process ids.
    pub pid: PidNamespace,
    /// System V IPC, POSIX message queues and `/dev/shm`.
    pub ipc: IpcNamespace,
    /// Host name.
    pub uts: OwnOrHost,
    /// View of the cgroup tree.
    pub cgroup: OwnOrHost,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self { pid: PidNamespace::Own, ipc: IpcNamespace::Private, uts: OwnOrHost::Own, cgroup: OwnOrHost::Host }
    }
}

/// A namespace that is either new or the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnOrHost {
    /// New, for this container.
    Own,
    /// The host's.
    Host,
}

/// The pid namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PidNamespace {
    /// New, for this container.
    Own,
    /// The host's.
    Host,
    /// That of another running container here.
    Container(Id),
}

/// The IPC namespace and `/dev/shm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpcNamespace {
    /// New, and nobody else may join it.
    Private,
    /// New, and other containers may join it.
    Shareable,
    /// The host's.
    Host,
    /// That of another running container here, which is [`IpcNamespace::Shareable`].
    Container(Id),
}

impl IpcNamespace {
    /// Whether other containers may join it, given where the container has mounts of its own: what it has on `/dev/shm` then
    /// is somebody else's.
    pub fn is_shareable<'a>(&self, mut mounted_on: impl Iterator<Item = &'a Path>) -> bool {
        match self {
            Self::Private => false,
            Self::Host => true,
            Self::Shareable | Self::Container(_) => {
                mounted_on.all(|path| path != Path::new("/dev") && path != Path::new("/dev/shm"))
            }
        }
    }
}

/// The network that a container is released into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// A namespace pinned at this path (or `/proc/PID/ns/net`).
    Namespace(PathBuf),
    /// The host's.
    Host,
}

/// Where output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "driver")]
pub enum Log {
    /// Nowhere.
    None,
    /// One JSON object a line, as Docker's `json-file`.
    JsonFile {
        /// The current file; older ones have `.1`, `.2`, … appended, and `.gz` when they are compressed.
        path: PathBuf,
        /// Begin a new file when this one would grow larger.
        max_size_bytes: Option<u64>,
        /// How many files are kept in all, at least 1.
        max_files: u32,
        /// Compress the older ones.
        compress: bool,
        /// What each record says of the container.
        attributes: BTreeMap<String, String>,
        /// Output waits for the disk in a buffer of so many bytes, and is left out of the log where that is full; without
        /// it the process waits.
        #[serde(default)]
        buffer_bytes: Option<u64>,
    },
}

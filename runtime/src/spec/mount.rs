//! One mount of a container.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path inside the container; made if it isn't there.
    pub destination: PathBuf,
    /// The container can't write to it.
    pub readonly: bool,
    /// What is mounted.
    #[serde(flatten)]
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum MountKind {
    /// A directory or file of the host, which must exist.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// Whether mounts made later cross over.
        propagation: BindPropagation,
        /// Leave out what is mounted below `source`.
        non_recursive: bool,
    },
    /// Memory.
    Tmpfs {
        /// Largest size; the kernel's default (half of memory) without it.
        size_bytes: Option<u64>,
        /// Permissions of its root.
        mode: Option<u32>,
        /// Further mount options such as `noexec`, `uid=1000`; `nosuid`, `nodev` and `noexec` are not implied.
        options: Vec<String>,
    },
}

/// Mount propagation of a bind. `shared` and `rshared` can't be had: the container's mounts live in the shim's own
/// mount namespace, which is a slave of the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BindPropagation {
    /// Nothing crosses, at any depth.
    #[default]
    Rprivate,
    /// Nothing crosses.
    Private,
    /// What the host mounts below appears in the container, at any depth.
    Rslave,
    /// What the host mounts below appears in the container.
    Slave,
}

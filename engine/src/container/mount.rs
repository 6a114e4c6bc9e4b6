//! What is mounted into a container, as inspect shows it and as the runtime makes it.

use std::path::{Path, PathBuf};

use runtime::spec::{BindPropagation, Mount, MountKind};
use serde::{Deserialize, Serialize};

/// Something mounted into a container at the user's or the image's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// Absolute path inside the container.
    pub destination: PathBuf,
    /// The container can't write to it.
    pub readonly: bool,
    /// Options as they were written (`ro,z`), for inspect.
    pub mode: String,
    /// What is mounted.
    pub kind: MountPointKind,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum MountPointKind {
    /// A directory or file of the host.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// Whether mounts made later cross over.
        propagation: BindPropagation,
        /// Leave out what is mounted below `source`.
        non_recursive: bool,
        /// Make `source` if it isn't there (`-v`, not `--mount`).
        create_source: bool,
    },
    /// A directory of berthd's for this container alone, removed with it on `rm -v` and `--rm`.
    AnonymousVolume {
        /// 64 hexadecimal digits.
        name: String,
    },
    /// Memory.
    Tmpfs {
        /// Largest size.
        size_bytes: Option<u64>,
        /// Permissions of its root.
        permissions: Option<u32>,
        /// Further options.
        options: Vec<String>,
    },
}

impl MountPoint {
    /// The mount for the runtime; `volumes` is where anonymous volumes are.
    pub fn to_runtime(&self, volumes: &Path) -> Mount {
        let kind = match &self.kind {
            MountPointKind::Bind { source, propagation, non_recursive, .. } => {
                MountKind::Bind { source: source.clone(), propagation: *propagation, non_recursive: *non_recursive }
            }
            MountPointKind::AnonymousVolume { name } => MountKind::Bind {
                source: volume_data(volumes, name),
                propagation: BindPropagation::Rprivate,
                non_recursive: false,
            },
            MountPointKind::Tmpfs { size_bytes, permissions, options } => {
                MountKind::Tmpfs { size_bytes: *size_bytes, mode: *permissions, options: options.clone() }
            }
        };
        Mount { destination: self.destination.clone(), readonly: self.readonly, kind }
    }

    /// The name of the anonymous volume, if it is one.
    pub fn volume(&self) -> Option<&str> {
        match &self.kind {
            MountPointKind::AnonymousVolume { name } => Some(name),
            MountPointKind::Bind { .. } | MountPointKind::Tmpfs { .. } => None,
        }
    }
}

/// Where an anonymous volume's files are.
pub fn volume_data(volumes: &Path, name: &str) -> PathBuf {
    volumes.join(name).join("_data")
}

//! What is mounted into a container, as inspect shows it and as the runtime makes it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use runtime::spec::{BindPropagation, Id, Mount, MountKind};
use serde::{Deserialize, Serialize};

use crate::volume::VolumeName;

/// Something mounted into a container at the user's or the image's wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// Absolute path inside the container.
    pub destination: PathBuf,
    /// The container can't write to it.
    pub readonly: bool,
    /// Options as they were written (`ro,z`), for inspect. `--tmpfs` always has some, `--mount type=tmpfs` none.
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
    /// A volume.
    #[serde(alias = "anonymous_volume")]
    Volume {
        /// Its name.
        name: VolumeName,
        /// The name was drawn: it goes with the container on `rm -v` and `--rm`.
        // Records of a berthd that knew no others don't say.
        #[serde(default = "always")]
        anonymous: bool,
        /// Don't fill it with what the image has at that place.
        #[serde(default)]
        no_copy: bool,
        /// Only this directory or file of it.
        #[serde(default)]
        subpath: Option<PathBuf>,
        /// The container that it is another one's mount of (`--volumes-from`): what fills it is that one's image.
        #[serde(default)]
        of: Option<Id>,
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

/// Where the volumes of a container that is to run are on the host, by their places inside.
pub type VolumeSources = BTreeMap<PathBuf, PathBuf>;

impl MountPoint {
    /// The mount for the runtime; a volume without a source is left out.
    pub fn to_runtime(&self, volumes: &VolumeSources) -> Option<Mount> {
        let kind = match &self.kind {
            MountPointKind::Bind { source, propagation, non_recursive, .. } => {
                MountKind::Bind { source: source.clone(), propagation: *propagation, non_recursive: *non_recursive }
            }
            MountPointKind::Volume { .. } => MountKind::Bind {
                source: volumes.get(&self.destination)?.clone(),
                propagation: BindPropagation::Rprivate,
                non_recursive: false,
            },
            MountPointKind::Tmpfs { size_bytes, permissions, options } => {
                MountKind::Tmpfs { size_bytes: *size_bytes, mode: *permissions, options: options.clone() }
            }
        };
        Some(Mount { destination: self.destination.clone(), readonly: self.readonly, kind })
    }

    /// Whether it is what `--tmpfs` mounts: clients know of that by `HostConfig.Tmpfs`, and it stays the container's own.
    pub fn is_of_tmpfs_flag(&self) -> bool {
        matches!(self.kind, MountPointKind::Tmpfs { .. }) && !self.mode.is_empty()
    }

    /// The name of the volume, if it is one.
    pub fn volume(&self) -> Option<&VolumeName> {
        match &self.kind {
            MountPointKind::Volume { name, .. } => Some(name),
            MountPointKind::Bind { .. } | MountPointKind::Tmpfs { .. } => None,
        }
    }

    /// Whether it is a volume that nobody named.
    pub fn is_anonymous_volume(&self) -> bool {
        matches!(self.kind, MountPointKind::Volume { anonymous: true, .. })
    }
}

fn always() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_before_there_were_names_are_read() {
        let record =
            r#"{"destination":"/data","readonly":false,"mode":"","kind":{"kind":"anonymous_volume","name":"abcd"}}"#;
        let mount: MountPoint = serde_json::from_str(record).unwrap();
        assert!(mount.is_anonymous_volume() && mount.volume().is_some_and(|name| name.as_str() == "abcd"));
        let again: MountPoint = serde_json::from_str(&serde_json::to_string(&mount).unwrap()).unwrap();
        assert_eq!(again, mount);
    }
}

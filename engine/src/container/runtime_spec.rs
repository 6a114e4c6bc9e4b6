//! The runtime's specification of a container: the spec, plus the paths on this host.

use std::path::{Path, PathBuf};

use images::Rootfs;
use runtime::ContainerSpec;
use runtime::spec::{self, BindPropagation, Log, Mount, MountKind};

use super::Container;
use super::mount::VolumeSources;
use super::spec::LogSpec;

/// Where things of a container are on this host.
#[derive(Debug, Clone)]
pub struct HostPaths {
    /// The directory whose files stand in for those of `/etc`: its own, or that of the container whose network it shares.
    pub etc: PathBuf,
    /// Its log file.
    pub log: PathBuf,
    /// Where its volumes are.
    pub volumes: VolumeSources,
    /// The cgroup of containers that name none.
    pub cgroup_parent: String,
}

/// The files that stand in for those of `/etc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcFiles {
    /// `/etc/hosts`
    pub hosts: PathBuf,
    /// `/etc/hostname`
    pub hostname: PathBuf,
    /// `/etc/resolv.conf`
    pub resolv_conf: PathBuf,
}

/// The files in a container's directory that stand in for those of `/etc`.
pub fn etc_files(directory: &Path) -> EtcFiles {
    EtcFiles {
        hosts: directory.join("hosts"),
        hostname: directory.join("hostname"),
        resolv_conf: directory.join("resolv.conf"),
    }
}

/// What the runtime is told.
pub fn runtime_spec(container: &Container, rootfs: Rootfs, host_paths: &HostPaths) -> ContainerSpec {
    let spec = &container.spec;
    ContainerSpec {
        id: container.id.clone(),
        rootfs: spec::Rootfs {
            lower: rootfs.lowers,
            upper: rootfs.upper,
            work: rootfs.work,
            readonly: spec.readonly_rootfs,
            volatile: spec.auto_remove,
        },
        process: spec.process.clone(),
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        mounts: mounts(container, host_paths),
        shm_size_bytes: spec.shm_size_bytes,
        namespaces: spec.namespaces.clone(),
        resources: spec.resources.clone(),
        devices: spec.devices.clone(),
        privileged: spec.privileged,
        sysctls: spec.sysctls.clone(),
        masked_paths: spec.masked_paths.clone(),
        readonly_paths: spec.readonly_paths.clone(),
        oom_score_adj: spec.oom_score_adj,
        init: spec.init,
        cgroup_parent: spec.cgroup_parent.as_deref().unwrap_or(&host_paths.cgroup_parent).into(),
        log: match &spec.log {
            LogSpec::None => Log::None,
            LogSpec::JsonFile { max_size_bytes, max_files, compress, attributes, buffer_bytes } => Log::JsonFile {
                path: host_paths.log.clone(),
                max_size_bytes: *max_size_bytes,
                max_files: *max_files,
                compress: *compress,
                attributes: attributes.of(container),
                buffer_bytes: *buffer_bytes,
            },
        },
    }
}

/// The files over `/etc`, unless the user mounts something there, and then the user's mounts, parents before children.
fn mounts(container: &Container, host_paths: &HostPaths) -> Vec<Mount> {
    let files = etc_files(&host_paths.etc);
    let over_etc =
        [("/etc/resolv.conf", files.resolv_conf), ("/etc/hostname", files.hostname), ("/etc/hosts", files.hosts)];
    let mut user: Vec<&super::mount::MountPoint> = container.spec.mounts.iter().collect();
    user.sort_by_key(|mount| mount.destination.components().count());
    let taken = |path: &str| user.iter().any(|mount| mount.destination == Path::new(path));
    let own = over_etc.into_iter().filter(|(destination, _)| !taken(destination)).map(|(destination, source)| Mount {
        destination: destination.into(),
        readonly: container.spec.readonly_rootfs,
        kind: MountKind::Bind { source, propagation: BindPropagation::Rprivate, non_recursive: false },
    });
    own.chain(user.iter().filter_map(|mount| mount.to_runtime(&host_paths.volumes))).collect()
}

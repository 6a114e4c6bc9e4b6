//! From a specification to the OCI runtime configuration that libcontainer works from; pure.
//!
//! What libcontainer would do late, slowly or not alike for run and exec is left out of it and done by ourselves:
//! cgroups and their mounts, capabilities, seccomp, `no_new_privs`, the working directory, the environment, the OOM score
//! and resource limits.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime as oci;

use crate::ContainerSpec;
use crate::cgroup::CONTAINER_ROOT;
use crate::mounting::tmpfs_propagation;
use crate::shim::late_mounts::is_late;
use crate::spec::{
    BindPropagation, Device, DeviceKind, IpcNamespace, KernelPlace, Mount, MountKind, Namespaces, OwnOrHost,
    PidNamespace, Process,
};
use crate::user::ResolvedUser;

/// What the shim found out before the configuration can be written.
#[derive(Debug, Clone)]
pub(crate) struct OciContext {
    /// Where the root filesystem is mounted.
    pub(crate) rootfs: PathBuf,
    /// The first process's user in numbers.
    pub(crate) user: ResolvedUser,
    /// The network namespace to join; `None` is the host's.
    pub(crate) network: Option<PathBuf>,
    /// Where the `/proc` is mounted of the container whose pid namespace will be joined.
    pub(crate) joined_proc: Option<PathBuf>,
    /// First process of the container whose IPC namespace is joined.
    pub(crate) ipc_of: Option<i32>,
    /// Whether `/sys/fs/cgroup` is a directory in which the executor mounts a hierarchy each (v1).
    pub(crate) cgroup_directory: bool,
    /// All of the host's devices, when the container is privileged.
    pub(crate) host_devices: Vec<Device>,
}

/// Where the program for `--init` is inside a container.
pub(crate) const INIT_PATH: &str = "/sbin/berth-init";

/// The configuration of a container's first process.
pub(crate) fn container(spec: &ContainerSpec, context: &OciContext) -> Result<oci::Spec, OciSpecError> {
    let mut linux = oci::LinuxBuilder::default()
        .namespaces(namespaces(&spec.namespaces, context)?)
        .masked_paths(spec.masked_paths.clone())
        .readonly_paths(spec.readonly_paths.clone())
        .sysctl(spec.sysctls.clone().into_iter().collect::<std::collections::HashMap<_, _>>())
        .build()?;
    let devices: Vec<&Device> = context.host_devices.iter().chain(&spec.devices).collect();
    linux.set_devices(Some(devices.into_iter().map(device).collect::<Result<_, _>>()?));
    linux.set_resources(None);
    let root = oci::RootBuilder::default().path(&context.rootfs).readonly(spec.rootfs.readonly).build()?;
    let mut config = oci::SpecBuilder::default()
        .version("1.0.2")
        .root(root)
        .process(process(&spec.process, &context.user)?)
        .mounts(mounts(spec, context)?)
        .linux(linux)
        .build()?;
    let own_uts = spec.namespaces.uts == OwnOrHost::Own;
    config.set_hostname(own_uts.then(|| spec.hostname.clone()));
    config.set_domainname((own_uts && !spec.domainname.is_empty()).then(|| spec.domainname.clone()));
    Ok(config)
}

/// A process, except for what our executor sees to.
pub(crate) fn process(process: &Process, user: &ResolvedUser) -> Result<oci::Process, OciSpecError> {
    let home = format!("HOME={}", user.home);
    let user = oci::UserBuilder::default()
        .uid(user.uid)
        .gid(user.gid)
        .additional_gids(user.additional_gids.clone())
        .build()?;
    let mut result = oci::ProcessBuilder::default()
        .args(process.args.clone())
        // The executor passes the real environment on. Without HOME in this one, libcontainer would ask glibc for the
        // user, which loads whatever modules the image's nsswitch.conf names, into a process with all capabilities.
        .env(vec![home])
        // The executor makes the directory if need be and goes there.
        .cwd("/")
        .user(user)
        .terminal(process.terminal.is_some())
        // The executor sets them; left out, there would be a default for open files.
        .rlimits(Vec::new())
        .build()?;
    // All capabilities are kept until the executor has installed the filter and drops them. `Some(false)` would make
    // libcontainer 0.7 fail.
    result.set_capabilities(None).set_no_new_privileges(None);
    Ok(result)
}

fn namespaces(wanted: &Namespaces, context: &OciContext) -> Result<Vec<oci::LinuxNamespace>, OciSpecError> {
    use oci::LinuxNamespaceType as Type;
    let joined = |typ, path: PathBuf| oci::LinuxNamespaceBuilder::default().typ(typ).path(path).build();
    let of = |pid: i32, name: &str| PathBuf::from(format!("/proc/{pid}/ns/{name}"));
    let mut result = vec![namespace(Type::Mount)?];
    if let Some(network) = &context.network {
        result.push(joined(Type::Network, network.clone())?);
    }
    // Another container's is joined in the end.
    if wanted.pid == PidNamespace::Own {
        result.push(namespace(Type::Pid)?);
    }
    match (&wanted.ipc, context.ipc_of) {
        (IpcNamespace::Private | IpcNamespace::Shareable, _) => result.push(namespace(Type::Ipc)?),
        (IpcNamespace::Container(_), Some(pid)) => result.push(joined(Type::Ipc, of(pid, "ipc"))?),
        (IpcNamespace::Container(_), None) | (IpcNamespace::Host, _) => {}
    }
    if wanted.uts == OwnOrHost::Own {
        result.push(namespace(Type::Uts)?);
    }
    // A cgroup namespace is the executor's to make: the process must be in its cgroup before.
    Ok(result)
}

fn namespace(typ: oci::LinuxNamespaceType) -> Result<oci::LinuxNamespace, OciSpecError> {
    oci::LinuxNamespaceBuilder::default().typ(typ).build()
}

/// What libcontainer is to mount: what every container has, and what takes the place of that or lies within it.
fn mounts(spec: &ContainerSpec, context: &OciContext) -> Result<Vec<oci::Mount>, OciSpecError> {
    let mut asked: Vec<&Mount> = spec.mounts.iter().filter(|mount| is_of_library(mount)).collect();
    // A mount hides what was mounted below its place before, so parents go first.
    asked.sort_by_key(|mount| mount.destination.components().count());
    let mut mounts = default_mounts(spec, context)?;
    let late_cgroups = |mount: &Mount| is_late(mount) && mount.destination == Path::new(CONTAINER_ROOT);
    if spec.mounts.iter().any(late_cgroups) {
        mounts.retain(|default| default.destination() != Path::new(CONTAINER_ROOT));
    }
    for mount in asked {
        let mount = asked_mount(mount)?;
        match mounts.iter_mut().find(|default| default.destination() == mount.destination()) {
            Some(default) => *default = mount,
            None => mounts.push(mount),
        }
    }
    Ok(mounts)
}

/// Whether an asked mount is for libcontainer: in the kernel's file systems, before paths in them are hidden, and memory in
/// `/dev`, before devices are made.
pub(crate) fn is_of_library(mount: &Mount) -> bool {
    let in_dev = mount.destination.starts_with("/dev") && matches!(mount.kind, MountKind::Tmpfs { .. });
    in_dev || (KernelPlace::of(&mount.destination).is_some() && !is_late(mount))
}

fn default_mounts(spec: &ContainerSpec, context: &OciContext) -> Result<Vec<oci::Mount>, OciSpecError> {
    let write_protected = if spec.privileged { "rw" } else { "ro" };
    let shm_size = format!("size={}", spec.shm_size_bytes);
    let mut mounts = vec![
        match &context.joined_proc {
            None => mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"])?,
            Some(proc) => mount("/proc", "bind", &proc.to_string_lossy(), &["bind", "nosuid", "noexec", "nodev"])?,
        },
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        )?,
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", write_protected])?,
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"])?,
    ];
    // What is somebody else's is mounted by the executor.
    if matches!(spec.namespaces.ipc, IpcNamespace::Private | IpcNamespace::Shareable) {
        mounts.push(mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm_size])?);
    }
    if context.cgroup_directory {
        mounts.push(mount(CONTAINER_ROOT, "tmpfs", "cgroup", &["nosuid", "noexec", "nodev", "mode=755"])?);
    }
    Ok(mounts)
}

fn asked_mount(asked: &Mount) -> Result<oci::Mount, OciSpecError> {
    let destination = asked.destination.to_string_lossy();
    match &asked.kind {
        MountKind::Bind { source, propagation, non_recursive } => {
            let bind = if *non_recursive { "bind" } else { "rbind" };
            let propagation = match propagation {
                BindPropagation::Rprivate => "rprivate",
                BindPropagation::Private => "private",
                BindPropagation::Rslave => "rslave",
                BindPropagation::Slave => "slave",
            };
            // Since Docker 25, what is mounted below a read-only bind is read-only too.
            let access = match (asked.readonly, *non_recursive) {
                (true, true) => "ro",
                (true, false) => "rro",
                (false, _) => "rw",
            };
            mount(&destination, "bind", &source.to_string_lossy(), &[bind, propagation, access])
        }
        MountKind::Tmpfs { size_bytes, mode, options } => {
            // A /dev without devices is of no use, to libcontainer neither.
            let is_dev = asked.destination == Path::new("/dev");
            let is_its_own = |option: &&String| tmpfs_propagation(option).is_none() && (!is_dev || *option != "nodev");
            let mut all: Vec<String> = options.iter().filter(is_its_own).cloned().collect();
            all.extend(size_bytes.map(|size| format!("size={size}")));
            all.extend(mode.map(|mode| format!("mode={mode:o}")));
            all.extend(asked.readonly.then(|| "ro".to_owned()));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            mount(&destination, "tmpfs", "tmpfs", &all)
        }
    }
}

fn mount(destination: &str, typ: &str, source: &str, options: &[&str]) -> Result<oci::Mount, OciSpecError> {
    oci::MountBuilder::default()
        .destination(destination)
        .typ(typ)
        .source(source)
        .options(options.iter().map(|&option| option.to_owned()).collect::<Vec<_>>())
        .build()
}

fn device(device: &Device) -> Result<oci::LinuxDevice, OciSpecError> {
    let typ = match device.kind {
        DeviceKind::Block => oci::LinuxDeviceType::B,
        DeviceKind::Character => oci::LinuxDeviceType::C,
    };
    oci::LinuxDeviceBuilder::default()
        .path(Path::new(&device.path))
        .typ(typ)
        .major(i64::from(device.major))
        .minor(i64::from(device.minor))
        .file_mode(device.mode)
        .uid(device.uid)
        .gid(device.gid)
        .build()
}

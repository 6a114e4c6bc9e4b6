//! The mounts of a container before libcontainer takes over, all in the shim's own mount namespace.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, SFlag, fstatat};
use rustix::fs::XattrFlags;

use super::late_mounts::{LateMounts, is_late};
use super::mount_fd::{move_mount, open_tree};
use crate::cgroup::{CONTAINER_ROOT, Cgroup, CgroupMount};
use crate::in_root::DIRECTORY;
use crate::mounting;
use crate::oci::{self, INIT_PATH};
use crate::spec::{BindPropagation, Device, DeviceKind, KernelPlace, Mount, MountKind, Rootfs, check_places};
use crate::{ContainerSpec, Error, Result};

/// The attribute of a working directory that says in which boot it was last mounted `volatile`.
const BOOT: &str = "trusted.berth.boot";

/// Options of a mount are one page for the kernel; longer ones need the newer interface.
const OPTION_BYTES: usize = 4000;

/// The host's mount namespace, to come back to.
#[derive(Debug)]
pub(crate) struct HostMounts(OwnedFd);

impl HostMounts {
    /// Leaves for a mount namespace of the shim's own. It is a slave of the host's: what is mounted in it stays in it,
    /// and what the host unmounts doesn't stay pinned by it.
    pub(crate) fn leave() -> Result<Self> {
        let host = fs::File::open("/proc/self/ns/mnt").map_err(Error::io("open the host's mount namespace"))?;
        unshare(CloneFlags::CLONE_NEWNS).map_err(Error::io("make a mount namespace"))?;
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
            .map_err(Error::io("make the mount namespace a slave of the host's"))?;
        Ok(Self(host.into()))
    }

    /// Goes back; with no process left in it, the shim's own namespace is gone, and all its mounts.
    pub(super) fn enter(&self) -> Result<()> {
        setns(&self.0, CloneFlags::CLONE_NEWNS).map_err(Error::io("go back to the host's mount namespace"))
    }
}

/// Mounts the root filesystem on `target`. When there are many layers, short links to them are made in the directory `links`.
pub(crate) fn mount_rootfs(rootfs: &Rootfs, target: &Path, links: &Path) -> Result<()> {
    let action = || format!("mount the root filesystem on {}", target.display());
    fs::create_dir_all(target).map_err(Error::io(action()))?;
    let short = overlay_options(rootfs, |_, path| Ok(path.to_owned())).map_err(Error::io(action()))?;
    forget_volatile_mount(&rootfs.work).map_err(Error::io(action()))?;
    if short.len() <= OPTION_BYTES {
        return mount_overlay(rootfs, target, &short).map_err(Error::io(action()));
    }
    // Many layers: short links to them, in a directory of our own, keep the options below a page.
    fs::create_dir_all(links).map_err(Error::io(action()))?;
    let link = |number: usize, path: &Path| {
        let link = links.join(number.to_string());
        std::os::unix::fs::symlink(path, &link)?;
        Ok(PathBuf::from(number.to_string()))
    };
    let before = std::env::current_dir().map_err(Error::io(action()))?;
    let mounted = std::env::set_current_dir(links)
        .and_then(|()| overlay_options(rootfs, link))
        .and_then(|options| mount_overlay(rootfs, target, &options));
    std::env::set_current_dir(before).and(mounted).map_err(Error::io(action()))
}

fn mount_overlay(rootfs: &Rootfs, target: &Path, options: &str) -> io::Result<()> {
    let mount = |options: &str| mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(options));
    if rootfs.volatile && rustix::fs::setxattr(&rootfs.work, BOOT, &boot_id()?, XattrFlags::empty()).is_ok() {
        match mount(&format!("{options},volatile")) {
            // Before Linux 5.10.
            Err(Errno::EINVAL) => {}
            mounted => return Ok(mounted?),
        }
    }
    Ok(mount(options)?)
}

/// The kernel marks what it has mounted `volatile`, and mounts it no second time: after a power cut it may be anything. In the
/// boot that it was mounted in, all of it is there.
fn forget_volatile_mount(work: &Path) -> io::Result<()> {
    let mark = work.join("work/incompat");
    if !mark.try_exists()? {
        return Ok(());
    }
    let mut boot = [0; 64];
    let length = rustix::fs::getxattr(work, BOOT, &mut boot).unwrap_or_default();
    if boot[..length] != *boot_id()? {
        let why =
            "the machine went down before what the container wrote was on the disk, and it may not be whole: remove it";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    fs::remove_dir_all(mark)
}

/// Different for each boot of the machine (random(4)).
fn boot_id() -> io::Result<Vec<u8>> {
    fs::read("/proc/sys/kernel/random/boot_id")
}

fn overlay_options(rootfs: &Rootfs, mut name: impl FnMut(usize, &Path) -> io::Result<PathBuf>) -> io::Result<String> {
    let mut lower = Vec::new();
    for (number, path) in rootfs.lower.iter().enumerate() {
        lower.push(escape(&name(number, path)?));
    }
    let (upper, work) = (escape(&rootfs.upper), escape(&rootfs.work));
    // What a container changed must be told by `upper` alone, for diff and commit: no directory that points elsewhere, no
    // file whose content is in a layer below, whatever this kernel's defaults are.
    let plain = "redirect_dir=off,metacopy=off";
    Ok(format!("lowerdir={},upperdir={upper},workdir={work},{plain}", lower.join(":")))
}

/// Commas separate options and colons layers; a backslash takes that meaning away.
fn escape(path: &Path) -> String {
    path.to_string_lossy().chars().fold(String::new(), |mut escaped, character| {
        if matches!(character, '\\' | ',' | ':') {
            escaped.push('\\');
        }
        escaped.push(character);
        escaped
    })
}

/// A cgroup as its container will see it: a mount that is nowhere yet, and the place for it.
#[derive(Debug, Clone)]
pub(super) struct DetachedCgroup {
    mount: Rc<OwnedFd>,
    place: PathBuf,
}

impl DetachedCgroup {
    /// Puts it in its place. For the container's first process, which sees its own root.
    pub(super) fn attach(&self, writable: bool) -> io::Result<()> {
        if self.place != Path::new(CONTAINER_ROOT) {
            fs::create_dir(&self.place)?;
        }
        move_mount(&self.mount, &nix::fcntl::open(&self.place, DIRECTORY, Mode::empty())?)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let access = if writable { MsFlags::empty() } else { MsFlags::MS_RDONLY };
        let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags | access;
        Ok(mount(None::<&str>, &self.place, None::<&str>, remount, None::<&str>)?)
    }
}

/// Makes mounts of the container's cgroups that are nowhere yet, but where the container has mounts of its own.
pub(super) fn detach_cgroups(cgroup: &Cgroup, own: &[Mount]) -> Result<Vec<DetachedCgroup>> {
    let covered = |place: &Path| {
        own.iter().any(|mount| place.starts_with(&mount.destination) || mount.destination.starts_with(place))
    };
    let mounts = cgroup.mounts().into_iter().filter(|mount| !covered(&mount.place));
    let detach = |CgroupMount { place, directory }| {
        let mount = open_tree(&directory).map_err(Error::io(format!("take a mount of {}", directory.display())))?;
        Ok(DetachedCgroup { mount: Rc::new(mount), place })
    };
    mounts.map(detach).collect()
}

/// Mounts what the user asked for in a root filesystem, before there is anything of the kernel's in it: that goes on top,
/// whatever links have led a mount there. The exceptions are made by libcontainer ([`crate::oci`]) and by the executor
/// ([`super::late_mounts`]).
pub(super) fn mount_asked(
    spec: &ContainerSpec,
    rootfs: &Path,
    init_program: Option<&Path>,
    late: &LateMounts,
) -> Result<()> {
    check_places(&spec.mounts)?;
    for mount in spec.mounts.iter().filter(|mount| oci::is_of_library(mount)) {
        if let MountKind::Bind { source, .. } = &mount.kind {
            mounting::check_source(source)?;
        }
    }
    let root =
        nix::fcntl::open(rootfs, DIRECTORY, Mode::empty()).map_err(Error::io(format!("open {}", rootfs.display())))?;
    check_kernel_directories(&root)?;
    let init = init_program.map(|program| Mount {
        destination: INIT_PATH.into(),
        readonly: true,
        kind: MountKind::Bind {
            source: program.to_owned(),
            propagation: BindPropagation::Rprivate,
            non_recursive: true,
        },
    });
    let asked = init.iter().chain(&spec.mounts);
    let mut mounts: Vec<&Mount> = asked.filter(|mount| !oci::is_of_library(mount)).collect();
    // A mount hides what was mounted below its place before, so parents go first.
    mounts.sort_by_key(|mount| mount.destination.components().count());
    mounts.into_iter().try_for_each(|mount| match is_late(mount) {
        true => late.make_place(&root, &mount.destination),
        false => mounting::attach(&root, mount),
    })
}

/// Makes a working directory that isn't there, as root's. In the kernel's file systems, which are yet to come, nobody makes
/// one; and what can't be one is told by who goes there.
pub(super) fn make_working_directory(rootfs: &Path, cwd: &Path) -> Result<()> {
    if KernelPlace::of(cwd).is_some() || cwd.starts_with("/dev") || !cwd.is_absolute() {
        return Ok(());
    }
    let action = || format!("make the working directory {}", cwd.display());
    let root = nix::fcntl::open(rootfs, DIRECTORY, Mode::empty()).map_err(Error::io(action()))?;
    match mounting::place_for(&root, cwd, true) {
        Ok(_) | Err(Error::Invalid { .. }) => Ok(()),
        Err(Error::Io { source, .. })
            if matches!(source.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG)) =>
        {
            Ok(())
        }
        Err(Error::Io { source, .. }) => Err(Error::io(action())(source)),
        Err(error) => Err(error),
    }
}

/// libcontainer makes files in `/dev` by paths that begin on the host: were it a link, they would be made, and others
/// removed, wherever on the host that leads.
fn check_kernel_directories(root: &OwnedFd) -> Result<()> {
    for name in ["dev", "proc", "sys"] {
        match fstatat(root, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => {}
            Ok(found) if found.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits() => {}
            Ok(_) => {
                return Err(Error::Invalid {
                    what: "image",
                    value: format!("/{name}"),
                    reason:
                        "it has a link or a file where a directory must be; build it with one, or with nothing, there"
                            .to_owned(),
                });
            }
            Err(errno) => return Err(Error::io(format!("look at /{name} of the image"))(errno)),
        }
    }
    Ok(())
}

/// Every device node of the host, for a privileged container; without those that a container has of its own.
pub(super) fn host_devices() -> Vec<Device> {
    let mut devices = Vec::new();
    collect_devices(Path::new("/dev"), &mut devices);
    devices
}

fn collect_devices(directory: &Path, devices: &mut Vec<Device>) {
    // Nodes come and go under us; what can't be read isn't there.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name();
        if kind.is_dir() {
            if !["pts", "shm", "fd", "mqueue"].iter().any(|own| name == *own) {
                collect_devices(&entry.path(), devices);
            }
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        let device_kind = match (kind.is_char_device(), kind.is_block_device()) {
            (true, _) => DeviceKind::Character,
            (_, true) => DeviceKind::Block,
            _ => continue,
        };
        if name == "console" || name == "ptmx" {
            continue;
        }
        devices.push(Device {
            path: entry.path(),
            kind: device_kind,
            major: libc::major(metadata.rdev()),
            minor: libc::minor(metadata.rdev()),
            mode: metadata.mode() & 0o777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            access: "rwm".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_paths_are_escaped() {
        let rootfs = Rootfs {
            lower: vec!["/a:b".into(), "/c,d".into()],
            upper: "/u".into(),
            work: "/w\\x".into(),
            readonly: false,
            volatile: false,
        };
        let options = overlay_options(&rootfs, |_, path| Ok(path.to_owned())).expect("no links are made");
        assert_eq!(options, r"lowerdir=/a\:b:/c\,d,upperdir=/u,workdir=/w\\x,redirect_dir=off,metacopy=off");
    }
}

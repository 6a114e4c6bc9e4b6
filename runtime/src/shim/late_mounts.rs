//! What is mounted when libcontainer is done with `/dev`: everything that the user puts on it or below it, and shared memory
//! that isn't the container's own. libcontainer makes and replaces files in `/dev` by their paths, so it must find nothing
//! there but the directory that it made itself. And the host's cgroups, which are hidden from it.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::stat::Mode;

use super::mount_fd::{Attributes, move_mount, open_tree};
use super::shared_memory;
use crate::cgroup::CONTAINER_ROOT;
use crate::in_root::{DIRECTORY, open_in_root};
use crate::mounting::{self, place_for, tmpfs_propagation};
use crate::spec::{Device, IpcNamespace, KernelPlace, Mount, MountKind};
use crate::{ContainerSpec, Error, Result};

const DEV: &str = "/dev";
const CONSOLE: &str = "/dev/console";
/// Where terminals come from, which stays the container's own: who has the host's could type into them.
const TERMINALS: [(&str, &str); 2] = [("/dev/pts", "/dev/pts"), ("/dev/pts/ptmx", "/dev/ptmx")];

/// What the executor is to do.
#[derive(Debug, Clone, Default)]
pub(super) struct LateMounts {
    binds: Vec<LateBind>,
    /// A bind stands in for all of `/dev`.
    replaces_dev: bool,
    /// Mounts of libcontainer's below `/dev` that the user asked for.
    kept: Vec<PathBuf>,
    has_terminal: bool,
    directories: Vec<DeviceDirectory>,
    propagations: Vec<TmpfsPropagation>,
}

/// A tmpfs in which mounts spread otherwise than libcontainer leaves it.
#[derive(Debug, Clone)]
struct TmpfsPropagation {
    place: PathBuf,
    propagation: MsFlags,
}

impl TmpfsPropagation {
    fn of(mount: &Mount) -> Option<Self> {
        let MountKind::Tmpfs { options, .. } = &mount.kind else { return None };
        // The last one counts, and nothing has to be done for a private one.
        let propagation = options.iter().rev().find_map(|option| tmpfs_propagation(option))?;
        (propagation != MsFlags::MS_PRIVATE).then(|| Self { place: mount.destination.clone(), propagation })
    }

    fn apply(&self, root: &OwnedFd) -> Result<()> {
        let place = open_in_root(root, &self.place, OFlag::O_PATH).map_err(io::Error::from);
        let attributes = Attributes { readonly: false, propagation: self.propagation, recursive: false };
        let set = place.and_then(|place| attributes.set(&place));
        set.map_err(Error::io(format!("set the propagation of {}", self.place.display())))
    }
}

#[derive(Debug, Clone)]
struct LateBind {
    mount: Rc<OwnedFd>,
    place: PathBuf,
    is_directory: bool,
}

/// A directory below `/dev` that libcontainer makes on its way to a device, for everybody to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DeviceDirectory {
    path: PathBuf,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Whether a mount is for the executor to make.
pub(crate) fn is_late(mount: &Mount) -> bool {
    match &mount.kind {
        MountKind::Bind { source, .. } => mount.destination.starts_with(DEV) || source.starts_with(CONTAINER_ROOT),
        MountKind::Tmpfs { .. } => false,
    }
}

/// The host's cgroups within a bind of what they are mounted in: it is made when they are hidden.
fn cgroups_within(mount: &Mount) -> Option<Mount> {
    match &mount.kind {
        MountKind::Bind { source, propagation, non_recursive: false } if !is_late(mount) => {
            let within = Path::new(CONTAINER_ROOT).strip_prefix(source).ok()?;
            let kind =
                MountKind::Bind { source: CONTAINER_ROOT.into(), propagation: *propagation, non_recursive: false };
            Some(Mount { destination: mount.destination.join(within), readonly: mount.readonly, kind })
        }
        _ => None,
    }
}

impl LateMounts {
    /// Takes what is to be mounted, in the shim.
    pub(super) fn take(spec: &ContainerSpec, host_devices: &[Device]) -> Result<Self> {
        // For when they are put in their places, where the container may have another container's.
        mounting::own_proc().map_err(Error::io("open /proc"))?;
        let within: Vec<Mount> = spec.mounts.iter().filter_map(cgroups_within).collect();
        let mut asked: Vec<&Mount> = spec.mounts.iter().filter(|mount| is_late(mount)).chain(&within).collect();
        asked.sort_by_key(|mount| mount.destination.components().count());
        let mut binds = Vec::new();
        for mount in &asked {
            if let Some(bind) = mounting::bind(mount)? {
                let place = mount.destination.clone();
                binds.push(LateBind { mount: Rc::new(bind.mount), place, is_directory: bind.is_directory });
            }
        }
        let below = |mount: &&Mount| mount.destination.starts_with(DEV) && !is_late(mount);
        let mut late = Self {
            binds,
            replaces_dev: asked.iter().any(|mount| mount.destination == Path::new(DEV)),
            kept: spec.mounts.iter().filter(below).map(|mount| mount.destination.clone()).collect(),
            has_terminal: spec.process.terminal.is_some(),
            directories: [device_directories(host_devices, true), device_directories(&spec.devices, false)].concat(),
            propagations: spec.mounts.iter().filter_map(TmpfsPropagation::of).collect(),
        };
        if spec.namespaces.ipc == IpcNamespace::Host {
            late.add_shared_memory(shared_memory::of_host()?);
        }
        Ok(late)
    }

    /// Makes the places that aren't in a file system of the kernel's, which may be read-only by the time they are used.
    pub(super) fn make_place(&self, root: &OwnedFd, destination: &Path) -> Result<()> {
        let is_kernel_s = destination.starts_with(DEV) || KernelPlace::of(destination).is_some();
        let mut late = self.binds.iter().filter(|late| late.place == destination && !is_kernel_s);
        late.try_for_each(|late| place_for(root, destination, late.is_directory).map(drop))
    }

    /// Adds somebody else's shared memory, unless the user mounts something there.
    pub(super) fn add_shared_memory(&mut self, mount: OwnedFd) {
        let place = PathBuf::from(shared_memory::PLACE);
        if !self.replaces_dev && !self.kept.contains(&place) && self.binds.iter().all(|late| late.place != place) {
            self.binds.insert(0, LateBind { mount: Rc::new(mount), place, is_directory: true });
        }
    }

    /// Makes the mounts. For the container's first process, which sees its own root.
    pub(super) fn attach(&self) -> Result<()> {
        for directory in &self.directories {
            directory.apply().map_err(Error::io(format!("set the mode of {}", directory.path.display())))?;
        }
        if self.binds.is_empty() && self.propagations.is_empty() {
            return Ok(());
        }
        let root = open("/", DIRECTORY, Mode::empty()).map_err(Error::io("open the container's root directory"))?;
        self.attach_binds(&root)?;
        self.propagations.iter().try_for_each(|propagation| propagation.apply(&root))
    }

    fn attach_binds(&self, root: &OwnedFd) -> Result<()> {
        let own = if self.replaces_dev { self.take_dev_away()? } else { Own::default() };
        for late in &self.binds {
            let put = |place: &OwnedFd| {
                move_mount(&late.mount, place).map_err(Error::io(format!("mount {}", late.place.display())))
            };
            put(&place_for(root, &late.place, late.is_directory)?)?;
            if late.place == Path::new(DEV) {
                own.put_back_terminals(root)?;
            }
        }
        own.put_back_rest(root)
    }

    /// Unmounts all of libcontainer's `/dev`, but for what has its place in another one as well.
    fn take_dev_away(&self) -> Result<Own> {
        let take = |path: &Path| open_tree(path).map_err(Error::io(format!("keep {}", path.display())));
        let asked = || self.binds.iter().map(|late| &late.place).chain(&self.kept);
        let is_asked = |path: &str| asked().any(|place| place == Path::new(path));
        let mut own = Own::default();
        if !is_asked(TERMINALS[0].1) {
            for (from, to) in TERMINALS {
                own.terminals.push((take(Path::new(from))?, to));
            }
        }
        for path in &self.kept {
            own.asked.push((take(path)?, path.clone()));
        }
        if self.has_terminal && !is_asked(CONSOLE) {
            own.console = Some(take(Path::new(CONSOLE))?);
        }
        umount2(DEV, MntFlags::MNT_DETACH).map_err(Error::io("take the container's own /dev away"))?;
        Ok(own)
    }
}

/// What libcontainer mounted below `/dev` that goes below the user's.
#[derive(Debug, Default)]
struct Own {
    terminals: Vec<(OwnedFd, &'static str)>,
    asked: Vec<(OwnedFd, PathBuf)>,
    console: Option<OwnedFd>,
}

impl Own {
    fn put_back_terminals(&self, root: &OwnedFd) -> Result<()> {
        self.terminals.iter().try_for_each(|(mount, path)| put_where_there_is(root, mount, path))
    }

    fn put_back_rest(&self, root: &OwnedFd) -> Result<()> {
        for (mount, path) in &self.asked {
            let place = place_for(root, path, true)?;
            move_mount(mount, &place).map_err(Error::io(format!("mount {}", path.display())))?;
        }
        self.console.iter().try_for_each(|mount| put_where_there_is(root, mount, CONSOLE))
    }
}

/// Nothing is made for these in a directory of the host, and no link is followed (CVE-2025-52565).
fn put_where_there_is(root: &OwnedFd, mount: &OwnedFd, path: &str) -> Result<()> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let action = || Error::io(format!("mount {path}"));
    let moved = match openat2(root, path, how) {
        Ok(place) => move_mount(mount, &place),
        Err(errno) => Err(errno.into()),
    };
    match moved {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ELOOP | libc::ENOTDIR)) => Ok(()),
        moved => moved.map_err(action()),
    }
}

impl DeviceDirectory {
    fn apply(&self) -> io::Result<()> {
        let found = fs::symlink_metadata(&self.path)?;
        // What has another mode was there before, such as /dev/shm.
        if found.is_dir() && found.mode() & 0o7777 == 0o777 {
            chown(&self.path, Some(self.uid), Some(self.gid))?;
            fs::set_permissions(&self.path, Permissions::from_mode(self.mode))?;
        }
        Ok(())
    }
}

/// The directories on the way to devices: as the host has them, or as anybody would make them.
fn device_directories(devices: &[Device], like_the_host: bool) -> Vec<DeviceDirectory> {
    let parents = devices.iter().flat_map(|device| device.path.ancestors().skip(1));
    let below = parents.filter(|path| path.starts_with(DEV) && *path != Path::new(DEV));
    // A path with `..` may be outside.
    let mut paths: Vec<&Path> =
        below.filter(|path| path.components().all(|part| part != Component::ParentDir)).collect();
    paths.sort_unstable();
    paths.dedup();
    let directory = |path: &Path| {
        let host = if like_the_host { fs::metadata(path).ok() } else { None };
        let (mode, uid, gid) = host.map_or((0o755, 0, 0), |host| (host.mode() & 0o7777, host.uid(), host.gid()));
        DeviceDirectory { path: path.to_owned(), mode, uid, gid }
    };
    paths.into_iter().map(directory).collect()
}

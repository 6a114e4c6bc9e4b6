//! A container's cgroup, v1, hybrid or v2, made and read by ourselves: libcontainer moves a process into one hierarchy
//! after the other while the start waits, and the first move into a v1 hierarchy takes the kernel 7 to 12 ms.

mod devices;
mod layout;
mod limits;
mod service;
mod stats;
mod v1;
mod v2;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

pub(crate) use devices::{AccessRule, allowed_devices};
pub(crate) use layout::Layout;
pub(crate) use service::DaemonCgroups;
pub use service::leave_service;
#[cfg(fuzzing)]
pub(crate) use stats::of_any as stats_of_any;

use crate::process_fd::{PidFd, send_signal};
use crate::spec::{Id, Resources};
use crate::stats::Stats;
use crate::{ContainerSpec, Error, Result};

/// How many times a cgroup that the kernel calls busy is tried again, a millisecond apart.
const REMOVE_ATTEMPTS: u32 = 200;

/// Where a container sees its cgroups.
pub(crate) const CONTAINER_ROOT: &str = "/sys/fs/cgroup";

/// A directory of a cgroup, and the place where the container sees it.
#[derive(Debug)]
pub(crate) struct CgroupMount {
    pub(crate) place: PathBuf,
    pub(crate) directory: PathBuf,
}

/// The cgroup of one container, which need not exist yet: one directory on v2, one per hierarchy on v1.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    layout: Layout,
    path: PathBuf,
}

impl Cgroup {
    /// The cgroup of the container with this id below `parent`.
    pub(crate) fn of(parent: &Path, id: &Id) -> Result<Self> {
        let relative = parent.strip_prefix("/").unwrap_or(parent);
        let escapes = relative.components().any(|part| !matches!(part, std::path::Component::Normal(_)));
        if escapes || relative.as_os_str().is_empty() {
            return Err(Error::Invalid {
                what: "cgroup parent",
                value: parent.display().to_string(),
                reason: "use a path below the root of the hierarchies, such as /berth, without '..'".to_owned(),
            });
        }
        Ok(Self { layout: Layout::detect()?, path: relative.join(id.as_str()) })
    }

    /// The cgroup of the container that the specification describes.
    pub(crate) fn of_container(spec: &ContainerSpec) -> Result<Self> {
        Self::of(&spec.cgroup_parent, &spec.id)
    }

    /// Makes the cgroup with its limits; device access is what `devices` allows, or everything with `None`.
    pub(crate) fn create(&self, resources: &Resources, devices: Option<&[AccessRule]>) -> Result<()> {
        match &self.layout {
            Layout::V1(hierarchies) => v1::create(hierarchies, &self.path, resources, devices),
            Layout::V2(root) => v2::create(root, &self.path, resources, devices),
        }
    }

    /// Changes its limits; those that aren't given stay as they are.
    pub(crate) fn limit(&self, resources: &Resources) -> Result<()> {
        match &self.layout {
            Layout::V1(hierarchies) => v1::limit(hierarchies, &self.path, resources),
            Layout::V2(root) => v2::limit(&root.join(&self.path), resources),
        }
    }

    /// Moves a process into it.
    pub(crate) fn add(&self, pid: i32) -> Result<()> {
        for directory in self.directories() {
            write(&directory.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    /// Moves the calling process into the first of its directories only, so that moves which follow are quick: the
    /// kernel waits for an RCU grace period before the first move after a pause.
    pub(crate) fn warm_up(&self) -> Result<()> {
        match self.directories().first() {
            Some(directory) => write(&directory.join("cgroup.procs"), "0"),
            None => Ok(()),
        }
    }

    /// Every directory of it.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies.iter().map(|hierarchy| hierarchy.mount.join(&self.path)).collect(),
            Layout::V2(root) => vec![root.join(&self.path)],
        }
    }

    /// What the container sees, and where.
    pub(crate) fn mounts(&self) -> Vec<CgroupMount> {
        let mount = |name: &str, directory| CgroupMount { place: Path::new(CONTAINER_ROOT).join(name), directory };
        match &self.layout {
            Layout::V1(hierarchies) => hierarchies
                .iter()
                .filter_map(|hierarchy| {
                    let name = hierarchy.mount.file_name()?.to_str()?;
                    Some(mount(name, hierarchy.mount.join(&self.path)))
                })
                .collect(),
            Layout::V2(root) => vec![CgroupMount { place: CONTAINER_ROOT.into(), directory: root.join(&self.path) }],
        }
    }

    /// Whether the container has a hierarchy in each of several directories.
    pub(crate) fn is_v1(&self) -> bool {
        matches!(self.layout, Layout::V1(_))
    }

    /// The parent that its container was given.
    pub(crate) fn parent(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// The pids in it and in cgroups below it.
    pub(crate) fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        // A process may have been moved in some hierarchies only, when its mover was killed.
        for directory in self.directories() {
            collect_pids(&directory, &mut pids)?;
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// Freezes or thaws every process, and waits until the kernel has done so.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<()> {
        match &self.layout {
            Layout::V1(hierarchies) => v1::freeze(hierarchies, &self.path, frozen),
            Layout::V2(root) => v2::freeze(&root.join(&self.path), frozen),
        }
    }

    /// Whether it is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        match &self.layout {
            Layout::V1(hierarchies) => v1::is_frozen(hierarchies, &self.path),
            Layout::V2(root) => v2::is_frozen(&root.join(&self.path)),
        }
    }

    /// The file that counts processes killed for lack of memory, in lines of `name count`; the name is `oom_kill`.
    pub(crate) fn oom_events_file(&self) -> Option<PathBuf> {
        match &self.layout {
            Layout::V1(hierarchies) => layout::with_controller(hierarchies, "memory")
                .map(|root| root.join(&self.path).join("memory.oom_control")),
            Layout::V2(root) => Some(root.join(&self.path).join("memory.events")),
        }
    }

    /// Whether the kernel has killed any of its processes for lack of memory.
    pub(crate) fn has_oom_kills(&self) -> bool {
        let events = self.oom_events_file().and_then(|path| fs::read_to_string(path).ok());
        events.is_some_and(|events| counts_oom_kills(&events))
    }

    /// What its processes use.
    pub(crate) fn stats(&self) -> Result<Stats> {
        match &self.layout {
            Layout::V1(hierarchies) => stats::read_v1(hierarchies, &self.path),
            Layout::V2(root) => stats::read_v2(&root.join(&self.path)),
        }
    }

    /// Kills every process in it and waits for their end.
    pub(crate) fn kill(&self) -> Result<()> {
        if let Layout::V2(root) = &self.layout {
            // Linux 5.14: all at once, and nothing escapes by forking.
            match fs::write(root.join(&self.path).join("cgroup.kill"), "1") {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(Error::io(format!("kill cgroup {}", self.path.display()))(error)),
            }
        }
        loop {
            let pids = self.pids()?;
            if pids.is_empty() {
                return Ok(());
            }
            let fds: Vec<PidFd> = pids.iter().filter_map(|&pid| PidFd::open(pid).ok()).collect();
            for pid in pids {
                send_signal(pid, libc::SIGKILL)?;
            }
            // A frozen process dies only once it is thawed.
            self.freeze(false)?;
            for fd in &fds {
                fd.wait().map_err(Error::io("wait for a killed process"))?;
            }
        }
    }

    /// Kills what is left in it and removes it.
    pub(crate) fn remove(&self) -> Result<()> {
        // Where nothing is left in it, which is all but always, that is a step for each directory.
        let mut busy = Vec::new();
        for directory in self.directories() {
            match fs::remove_dir(&directory) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => busy.push(directory),
                Err(error) if !is_gone(&error) => return Err(not_removed(&directory)(error)),
                _ => {}
            }
        }
        if busy.is_empty() {
            return Ok(());
        }
        self.kill()?;
        busy.iter().try_for_each(|directory| remove_tree(directory))
    }
}

fn collect_pids(directory: &Path, pids: &mut Vec<i32>) -> Result<()> {
    let text = match fs::read_to_string(directory.join("cgroup.procs")) {
        Ok(text) => text,
        Err(error) if is_gone(&error) => return Ok(()),
        // A threaded cgroup of v2, and all below it: its processes are those of the cgroup above.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(()),
        Err(error) => return Err(Error::io(format!("read the processes of {}", directory.display()))(error)),
    };
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|&pid| pid > 0));
    for child in child_directories(directory) {
        collect_pids(&child, pids)?;
    }
    Ok(())
}

fn remove_tree(directory: &Path) -> Result<()> {
    for child in child_directories(directory) {
        remove_tree(&child)?;
    }
    for _ in 0..REMOVE_ATTEMPTS {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if is_gone(&error) => return Ok(()),
            // The last process has been waited for, but the kernel lets go of it a moment later, and v1 has no event
            // that tells when.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(not_removed(directory)(error)),
        }
    }
    Err(not_removed(directory)(Errno::EBUSY.into()))
}

fn not_removed(directory: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("remove cgroup {}", directory.display()))
}

fn child_directories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The cgroup went away between two looks at it.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

fn write(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).map_err(Error::io(format!("write {value:?} to {}", path.display())))
}

/// Where the cgroup is gone, there is nothing to be done.
fn write_unless_gone(path: &Path, value: &str) -> Result<()> {
    match fs::write(path, value) {
        Err(error) if is_gone(&error) => Ok(()),
        written => written.map_err(Error::io(format!("write {value:?} to {}", path.display()))),
    }
}

/// Of lines of `name count`, `oom_kill` is the one.
pub(crate) fn counts_oom_kills(events: &str) -> bool {
    events.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
}

fn make_directory(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(Error::io(format!("make cgroup {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

fn missing_controller(name: &str) -> Error {
    Error::NotSupported {
        what: format!("a limit of the {name} controller"),
        reason: format!("the {name} controller isn't available to the container's cgroup"),
    }
}

//! The runtime's interface: containers by id, whatever processes look after them.

mod leftovers;
mod target;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::target::Target;
use crate::cgroup::Cgroup;
use crate::connection::{self, Attachment, Watch};
use crate::directory::{Directory, File};
use crate::fatal_signal::is_fatal;
use crate::launch::{ExecStarting, Launch, Starting};
use crate::process_fd::{self, send_signal};
use crate::protocol::{Reply, Request, Streams};
use crate::root::{self, Root, Scope};
use crate::sealed::SealedProgram;
use crate::seccomp::Filters;
use crate::spec::{Id, Resources, TerminalSize, UserSpec};
use crate::stats::{self, Stats};
use crate::{ContainerSpec, Error, ExecSpec, Result, Started, Status, lock, user};

/// Where our programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// `berth-shim`
    pub shim: PathBuf,
    /// `berth-monitor`
    pub monitor: PathBuf,
}

impl Binaries {
    /// Both in one directory.
    ///
    /// # Errors
    /// When one of them isn't there.
    pub fn in_directory(directory: &Path) -> Result<Self> {
        let there = |name: &str| {
            let path = directory.join(name);
            // Absolute, because they run in another directory.
            path.canonicalize().map_err(Error::io(format!("find {}", path.display())))
        };
        Ok(Self { shim: there("berth-shim")?, monitor: there("berth-monitor")? })
    }
}

/// All containers whose state is below one directory. Cheap to clone; what it knows of containers is in that directory
/// only, so that any number of threads and processes can use it.
#[derive(Debug, Clone)]
pub struct Runtime {
    run_dir: PathBuf,
    programs: Arc<Programs>,
    filters: Arc<Filters>,
}

/// What starts containers.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Enters containers.
    pub(crate) shim: SealedProgram,
    /// Stays outside.
    pub(crate) monitor: PathBuf,
}

impl Runtime {
    /// Containers below `run_dir`, which is made if it isn't there and should be on a filesystem that a reboot empties.
    /// The shim is copied now; a newer one is used by whoever is made later.
    pub fn new(run_dir: impl Into<PathBuf>, binaries: Binaries) -> Result<Self> {
        let run_dir = run_dir.into();
        // What containers there are is nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&run_dir);
        let closed = made.and_then(|()| fs::set_permissions(&run_dir, Permissions::from_mode(0o700)));
        let absolute = closed.and_then(|()| run_dir.canonicalize());
        let run_dir = absolute.map_err(Error::io(format!("make {}", run_dir.display())))?;
        let programs = Programs { shim: SealedProgram::copy(&binaries.shim)?, monitor: binaries.monitor };
        Ok(Self { run_dir, programs: Arc::new(programs), filters: Arc::default() })
    }

    /// Begins to build a container: its shim is spawned and mounts the root filesystem while the caller gets the
    /// network namespace. Returns at once.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when a container of this id exists already, even if it ended: [`Runtime::delete`] it
    /// first.
    pub fn start(&self, spec: &ContainerSpec) -> Result<Starting> {
        let target = Target::Container(&spec.id);
        let filter = self.filters.of(&spec.process)?;
        Launch::begin(&self.programs, target, self.directory(target), spec, &filter).map(Starting::new)
    }

    /// Begins a further process in a running container.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when the container doesn't run or the id is taken, [`crate::Kind::NotFound`] when there
    /// is no such container.
    pub fn exec(&self, container: &Id, spec: &ExecSpec) -> Result<ExecStarting> {
        self.running(Target::Container(container))?;
        let directory = self.directory(Target::Container(container));
        match fs::create_dir(directory.execs()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // It has ended, and its directory isn't to come back.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Target::Container(container).conflict("not running"));
            }
            Err(error) => return Err(Error::io(format!("make {}", directory.execs().display()))(error)),
        }
        let target = Target::Exec { container, exec: &spec.id };
        let filter = self.filters.of(&spec.process)?;
        Launch::begin(&self.programs, target, self.directory(target), spec, &filter).map(ExecStarting::new)
    }

    /// Passes the streams of a running process through. See [`crate::protocol`] for what the stream then carries.
    pub fn attach(&self, target: Target<'_>, streams: Streams) -> Result<std::os::unix::net::UnixStream> {
        Attachment::new(self.connect(target)?, target, streams)?.into_stream()
    }

    /// Tells when the process ends, also when that is long ago.
    pub fn watch(&self, target: Target<'_>) -> Result<Watch> {
        let directory = self.directory(target);
        match directory.connect() {
            Ok(stream) => Watch::new(stream, directory, target),
            Err(_) if directory.exists() => Watch::of_the_past(directory, target),
            Err(_) => Err(target.not_found()),
        }
    }

    /// Changes the size of a process's terminal.
    pub fn resize(&self, target: Target<'_>, size: TerminalSize) -> Result<()> {
        let stream = self.connect(target)?;
        match connection::ask(&stream, target, &Request::Resize(size))? {
            Reply::Resized => Ok(()),
            other => Err(connection::unexpected(target, &other)),
        }
    }

    /// Sends a signal to a process, or to every process of a container.
    pub fn signal(&self, target: Target<'_>, signal: i32, all: bool) -> Result<()> {
        let started = self.running_or_paused(target)?;
        if all && let Target::Container(container) = target {
            let cgroup = self.cgroup(container)?;
            return cgroup.pids()?.into_iter().try_for_each(|pid| send_signal(pid, signal));
        }
        self.signal_first(target, started, signal)
    }

    /// Sends a signal to a container's first process, which takes it also if it is frozen, whoever froze it: it is thawed.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it doesn't run.
    pub fn signal_and_thaw(&self, container: &Id, signal: i32) -> Result<()> {
        let target = Target::Container(container);
        match self.stage(target)? {
            Status::Running(started) => self.signal_first(target, started, signal)?,
            other => return Err(self.unsuitable(target, &other)),
        }
        // Not seen first: it may be freezing, or be frozen only now.
        self.cgroup(container)?.freeze(false)
    }

    fn signal_first(&self, target: Target<'_>, started: Started, signal: i32) -> Result<()> {
        let process = process_fd::of_monitor(&self.directory(target), started)?;
        let process = process.ok_or_else(|| target.conflict("not running"))?;
        process.signal(signal).map_err(Error::io(format!("send signal {signal} to process {}", started.pid)))
    }

    /// Whether the container's first process runs or is frozen, and hasn't begun to end.
    pub fn is_alive(&self, container: &Id) -> Result<bool> {
        let target = Target::Container(container);
        let started = match self.status(target)? {
            Status::Running(started) | Status::Paused(started) => started,
            _ => return Ok(false),
        };
        let process = process_fd::of_monitor(&self.directory(target), started)?;
        Ok(process.is_some() && !process_fd::is_ending(started.pid))
    }

    /// Whether a signal ends the container's first process for certain: some are handled, blocked or ignored.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it doesn't run.
    pub fn is_fatal(&self, container: &Id, signal: i32) -> Result<bool> {
        let target = Target::Container(container);
        let path = format!("/proc/{}/status", self.running_or_paused(target)?.pid);
        let status = fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))?;
        Ok(is_fatal(&status, signal))
    }

    /// The file system that a running or paused container sees. What the container does to it meanwhile, it does.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it doesn't run, also when it ends this very moment.
    pub fn root(&self, container: &Id, scope: Scope) -> Result<Root> {
        let target = Target::Container(container);
        let started = self.running_or_paused(target)?;
        let namespace = root::mounts_of(started.pid);
        // Meanwhile it may have ended, and what was opened be another process's.
        match process_fd::of_monitor(&self.directory(target), started)? {
            Some(_) => root::in_namespace(namespace?, scope),
            None => Err(target.conflict("not running")),
        }
    }

    /// The network namespace that a running or paused container's first process is in.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when it doesn't run, also when it ends this very moment.
    pub fn network_namespace(&self, container: &Id) -> Result<OwnedFd> {
        let target = Target::Container(container);
        let started = self.running_or_paused(target)?;
        let path = format!("/proc/{}/ns/net", started.pid);
        let namespace = fs::File::open(&path).map_err(Error::io(format!("open {path}")));
        // Meanwhile it may have ended, and what was opened be another process's.
        match process_fd::of_monitor(&self.directory(target), started)? {
            Some(_) => Ok(namespace?.into()),
            None => Err(target.conflict("not running")),
        }
    }

    /// Looks a user up among those of a running container, as for its execs.
    ///
    /// # Errors
    /// [`crate::Error::Start`] when there is no such user, [`crate::Kind::Conflict`] when the container doesn't run.
    pub fn check_user(&self, container: &Id, user: &UserSpec) -> Result<()> {
        let target = Target::Container(container);
        let started = self.running(target)?;
        let process = process_fd::of_monitor(&self.directory(target), started)?;
        let process = process.ok_or_else(|| target.conflict("not running"))?;
        user::resolve_at(root::rootfs_of(&process)?, user).map(drop)
    }

    /// Mounts the file system of a container that doesn't run, for this caller alone and until the value is dropped. The
    /// caller sees to it that the container isn't started meanwhile, and that nobody else does the same: two mounts over
    /// one `upper` corrupt it.
    pub fn mount_root(&self, spec: &ContainerSpec, scope: Scope) -> Result<Root> {
        let directory = self.directory(Target::Container(&spec.id));
        // Not in the container's own directory, which says that it runs.
        let links = self.run_dir.join(format!(".layers-{}", spec.id));
        let mounts = match scope {
            Scope::Mounts => spec.mounts.as_slice(),
            Scope::RootfsOnly => &[],
        };
        let root = root::mounted(&spec.rootfs, mounts, &directory.rootfs(), &links);
        match fs::remove_dir_all(&links) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format!("delete {}", links.display()))(error))
            }
            _ => root,
        }
    }

    /// Freezes every process of a container.
    pub fn pause(&self, container: &Id) -> Result<()> {
        self.running(Target::Container(container))?;
        self.cgroup(container)?.freeze(true)
    }

    /// Undoes [`Runtime::pause`].
    pub fn resume(&self, container: &Id) -> Result<()> {
        let target = Target::Container(container);
        match self.status(target)? {
            Status::Paused(_) => self.cgroup(container)?.freeze(false),
            Status::Running(_) => Err(target.conflict("not paused")),
            other => Err(self.unsuitable(target, &other)),
        }
    }

    /// Where a process is in its life; exact whoever was restarted meanwhile. Only while [`Runtime::start`] or
    /// [`Runtime::exec`] is at work and its shim isn't up yet, others see [`Status::Orphaned`].
    pub fn status(&self, target: Target<'_>) -> Result<Status> {
        Ok(match self.stage(target)? {
            Status::Running(started) if self.is_frozen(target) => Status::Paused(started),
            status => status,
        })
    }

    /// The same but for whether it is frozen.
    fn stage(&self, target: Target<'_>) -> Result<Status> {
        let directory = self.directory(target);
        if !directory.exists() {
            return Ok(Status::Gone);
        }
        if let Some(exit) = directory.read(File::Exit)? {
            return Ok(Status::Exited(exit));
        }
        let holder = lock::holder(&directory.lock()).map_err(Error::io("see who looks after it"))?;
        match (holder, directory.read::<Started>(File::Started)?) {
            (Some(_), None) => Ok(Status::Creating),
            (Some(_), Some(started)) => Ok(Status::Running(started)),
            // It may have ended between the two looks.
            (None, _) => Ok(match directory.read(File::Exit)? {
                Some(exit) => Status::Exited(exit),
                None if directory.exists() => Status::Orphaned,
                None => Status::Gone,
            }),
        }
    }

    /// Every container that there is a directory of.
    pub fn list(&self) -> Result<Vec<Id>> {
        ids_in(&self.run_dir)
    }

    /// The execs of a container.
    pub fn list_execs(&self, container: &Id) -> Result<Vec<Id>> {
        ids_in(&self.directory(Target::Container(container)).execs())
    }

    /// The pids of a container's processes as the host sees them.
    pub fn pids(&self, container: &Id) -> Result<Vec<i32>> {
        self.cgroup(container)?.pids()
    }

    /// Changes the limits of a container that runs; those that aren't given stay as they are.
    pub fn limit(&self, container: &Id, resources: &Resources) -> Result<()> {
        self.cgroup(container)?.limit(resources)
    }

    /// What a container uses.
    pub fn stats(&self, container: &Id) -> Result<Stats> {
        let mut stats = self.cgroup(container)?.stats()?;
        if let Status::Running(started) | Status::Paused(started) = self.status(Target::Container(container))? {
            stats.networks = stats::interfaces_of(started.pid);
        }
        Ok(stats)
    }

    /// Whether the kernel has killed something of a running container for lack of memory.
    pub fn is_oom_killed(&self, container: &Id) -> Result<bool> {
        Ok(self.cgroup(container)?.has_oom_kills())
    }

    fn directory(&self, target: Target<'_>) -> Directory {
        let container = Directory::new(self.run_dir.join(target.container().as_str()));
        match target {
            Target::Container(_) => container,
            Target::Exec { exec, .. } => container.exec(exec.as_str()),
        }
    }

    fn cgroup(&self, container: &Id) -> Result<Cgroup> {
        let target = Target::Container(container);
        let spec = self.directory(target).read::<ContainerSpec>(File::Spec)?.ok_or_else(|| target.not_found())?;
        Cgroup::of_container(&spec)
    }

    fn is_frozen(&self, target: Target<'_>) -> bool {
        matches!(target, Target::Container(id) if self.cgroup(id).is_ok_and(|cgroup| cgroup.is_frozen()))
    }

    fn running(&self, target: Target<'_>) -> Result<Started> {
        match self.status(target)? {
            Status::Running(started) => Ok(started),
            other => Err(self.unsuitable(target, &other)),
        }
    }

    fn running_or_paused(&self, target: Target<'_>) -> Result<Started> {
        match self.status(target)? {
            Status::Running(started) | Status::Paused(started) => Ok(started),
            other => Err(self.unsuitable(target, &other)),
        }
    }

    fn unsuitable(&self, target: Target<'_>, status: &Status) -> Error {
        match status {
            Status::Gone => target.not_found(),
            Status::Paused(_) => target.conflict("paused"),
            Status::Creating | Status::Running(_) | Status::Exited(_) | Status::Orphaned => {
                target.conflict("not running")
            }
        }
    }

    fn connect(&self, target: Target<'_>) -> Result<std::os::unix::net::UnixStream> {
        let directory = self.directory(target);
        match directory.connect() {
            Ok(stream) => Ok(stream),
            Err(_) if !directory.exists() => Err(target.not_found()),
            Err(_) => Err(target.conflict("not running")),
        }
    }
}

fn ids_in(directory: &Path) -> Result<Vec<Id>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(format!("read {}", directory.display()))(error)),
    };
    let mut ids: Vec<Id> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    Ok(ids)
}

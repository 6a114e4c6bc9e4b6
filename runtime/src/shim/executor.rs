//! The last steps of a process before its program, alike for a container's first one and for execs: libcontainer calls
//! [`ProcessExecutor::validate`] when everything is mounted and the user is set, and [`ProcessExecutor::exec`] when the
//! process may run. All capabilities are still there, because installing a filter takes one.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use caps::{CapSet, CapsHashSet};
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{AccessFlags, Uid, execve, faccessat, fchown};

use super::mounts::DetachedCgroup;
use super::streams::set_terminal_size;
use crate::capabilities::CapabilitySet;
use crate::control::{self, Failure};
use crate::oci::INIT_PATH;
use crate::seccomp::Filter;
use crate::spec::{Process, RlimitKind};

/// Where programs are looked for when the environment doesn't say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The cgroup namespace that a process gets.
#[derive(Debug, Clone)]
pub(super) enum CgroupNamespace {
    /// The one it is in.
    Keep,
    /// A new one.
    New,
    /// Its container's.
    Join(Rc<OwnedFd>),
}

/// Makes a process what its description says, and runs its program.
#[derive(Debug, Clone)]
pub(super) struct ProcessExecutor {
    pub(super) process: Process,
    /// The environment, `HOME` included.
    pub(super) env: Vec<String>,
    pub(super) filter: Filter,
    /// The user, who is to own the terminal.
    pub(super) uid: u32,
    pub(super) oom_score_adj: Option<i16>,
    pub(super) cgroup_namespace: CgroupNamespace,
    /// Make the working directory when it isn't there.
    pub(super) make_cwd: bool,
    /// Run the program below our pid 1.
    pub(super) init: bool,
    /// Mounts that nothing is to be propagated to; `true` is for all below as well.
    pub(super) private_mounts: Vec<(PathBuf, bool)>,
    /// What is still to be mounted on or below `/sys/fs/cgroup`: libcontainer would take ten times as long for it.
    pub(super) cgroups: Vec<DetachedCgroup>,
    /// Whether the process may make cgroups of its own there.
    pub(super) cgroups_writable: bool,
    /// The mount on `/sys/fs/cgroup` becomes read-only, now that everything in it is mounted.
    pub(super) protect_cgroup_root: bool,
    /// Has one byte when the process is in its cgroup, or ends without one.
    pub(super) moved: Rc<OwnedFd>,
    /// Where a [`Failure`] goes; closed by the program's start.
    pub(super) report: Rc<File>,
}

type Outcome<T> = Result<T, Failure>;

impl ProcessExecutor {
    fn prepare(&self) -> Outcome<()> {
        self.wait_for_cgroup()?;
        match &self.cgroup_namespace {
            CgroupNamespace::Keep => {}
            CgroupNamespace::New => unshare(CloneFlags::CLONE_NEWCGROUP).map_err(failed("make a cgroup namespace"))?,
            CgroupNamespace::Join(fd) => {
                setns(fd, CloneFlags::CLONE_NEWCGROUP).map_err(failed("join the container's cgroup namespace"))?;
            }
        }
        for (path, recursive) in &self.private_mounts {
            let flags = if *recursive { MsFlags::MS_PRIVATE | MsFlags::MS_REC } else { MsFlags::MS_PRIVATE };
            mount(None::<&str>, path, None::<&str>, flags, None::<&str>)
                .map_err(failed(format!("make the mount on {} private", path.display())))?;
        }
        for cgroup in &self.cgroups {
            cgroup.attach(self.cgroups_writable).map_err(failed("mount a cgroup"))?;
        }
        if self.protect_cgroup_root {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
            let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
            mount(None::<&str>, "/sys/fs/cgroup", None::<&str>, remount, None::<&str>)
                .map_err(failed("make /sys/fs/cgroup read-only"))?;
        }
        if let Some(score) = self.oom_score_adj {
            fs::write("/proc/self/oom_score_adj", score.to_string())
                .map_err(failed(format!("set the OOM score to {score}")))?;
        }
        if let Some(size) = self.process.terminal {
            // libcontainer has made it standard input by now, and an exec's program won't wait for the shim.
            let terminal = io::stdin();
            set_terminal_size(&terminal, size).map_err(failed("set the size of the terminal"))?;
            fchown(&terminal, Some(Uid::from_raw(self.uid)), None).map_err(failed("give the terminal to the user"))?;
        }
        self.enter_working_directory()?;
        // What the process itself will be able to reach counts, so its own capabilities have to hold meanwhile.
        let own = kernel_set(self.process.capabilities);
        let all = caps::read(None, CapSet::Permitted).map_err(failed("read the capabilities"))?;
        let effective: CapsHashSet = own.intersection(&all).copied().collect();
        caps::set(None, CapSet::Effective, &effective).map_err(failed("lower the capabilities"))?;
        let program = self.program();
        caps::set(None, CapSet::Effective, &all).map_err(failed("raise the capabilities"))?;
        program.map(drop)
    }

    fn wait_for_cgroup(&self) -> Outcome<()> {
        let pipe = self.moved.try_clone().map_err(failed("read from the cgroup mover"))?;
        let mut byte = [0];
        match File::from(pipe).read(&mut byte) {
            Ok(1) => Ok(()),
            // Whoever should have written has said why.
            Ok(_) => Err(Failure::internal("the process was not put in its cgroup")),
            Err(error) => Err(failed("read from the cgroup mover")(error)),
        }
    }

    fn enter_working_directory(&self) -> Outcome<()> {
        let cwd = Path::new(if self.process.cwd.is_empty() { "/" } else { &self.process.cwd });
        if self.make_cwd && !cwd.exists() {
            fs::create_dir_all(cwd)
                .and_then(|()| std::os::unix::fs::chown(cwd, Some(0), Some(0)))
                .map_err(failed(format!("make the working directory {}", cwd.display())))?;
        }
        std::env::set_current_dir(cwd).map_err(|error| Failure {
            message: format!("chdir to cwd ({:?}) failed: {}", self.process.cwd, kernel_words(&error)),
            exit_code: exit_code_of(&error),
        })
    }

    /// The program's path: as given when there is a slash in it, else the first executable of that name in `PATH`.
    fn program(&self) -> Outcome<PathBuf> {
        let name = self.process.args.first().map(String::as_str).unwrap_or_default();
        let failure =
            |exit_code: u8, reason: String| Failure { message: format!("exec: {name:?}: {reason}"), exit_code };
        if name.contains('/') {
            return match executable(Path::new(name)) {
                Ok(()) => Ok(PathBuf::from(name)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Err(failure(127, format!("stat {name}: {}", kernel_words(&error))))
                }
                Err(error) => Err(failure(exit_code_of(&error), kernel_words(&error))),
            };
        }
        let path = self.env.iter().rev().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
        let found = path.split(':').filter(|directory| !directory.is_empty() && !name.is_empty());
        let mut denied = false;
        for candidate in found.map(|directory| Path::new(directory).join(name)) {
            match executable(&candidate) {
                Ok(()) => return Ok(candidate),
                Err(error) => denied |= error.kind() == ErrorKind::PermissionDenied,
            }
        }
        Err(if denied {
            failure(126, "permission denied".to_owned())
        } else {
            failure(127, "executable file not found in $PATH".to_owned())
        })
    }

    /// Gives up what the process is not to have and puts it behind its filter; the order keeps what each step needs.
    fn confine(&self) -> Outcome<()> {
        let own = kernel_set(self.process.capabilities);
        let bounding = caps::read(None, CapSet::Bounding).map_err(failed("read the capabilities"))?;
        for capability in bounding.difference(&own) {
            caps::drop(None, CapSet::Bounding, *capability).map_err(failed(format!("drop {capability}")))?;
        }
        caps::clear(None, CapSet::Ambient).map_err(failed("clear the ambient capabilities"))?;
        caps::clear(None, CapSet::Inheritable).map_err(failed("clear the inheritable capabilities"))?;
        let lower = || {
            let permitted = caps::read(None, CapSet::Permitted).map_err(failed("read the capabilities"))?;
            let rest: CapsHashSet = own.intersection(&permitted).copied().collect();
            caps::set(None, CapSet::Effective, &rest)
                .and_then(|()| caps::set(None, CapSet::Permitted, &rest))
                .map_err(failed("lower the capabilities"))
        };
        let install = || self.filter.install().map_err(failed("install the seccomp filter"));
        if self.process.no_new_privileges {
            nix::sys::prctl::set_no_new_privs().map_err(failed("set no_new_privs"))?;
            lower()?;
            install()
        } else {
            install()?;
            lower()
        }
    }

    /// Sets the resource limits, when nothing is left to be done that needs more: from here on no file is opened but the
    /// program itself.
    fn limit(&self) -> Outcome<()> {
        self.process.rlimits.iter().try_for_each(|limit| {
            let (name, soft, hard) = (limit.kind.name(), limit.soft, limit.hard);
            setrlimit(resource(limit.kind), soft, hard).map_err(failed(format!("set the limit {name}={soft}:{hard}")))
        })
    }

    fn run(&self) -> Failure {
        match self.program().and_then(|program| self.limit().and_then(|()| self.confine()).map(|()| program)) {
            Ok(program) => self.replace_process(&program),
            Err(failure) => failure,
        }
    }

    fn replace_process(&self, program: &Path) -> Failure {
        // SAFETY: both set the disposition to the default; no handler of ours is involved. Rust ignores SIGPIPE, and
        // an ignored signal stays so across an exec.
        let reset = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
        if let Err(error) = reset {
            return failed("reset SIGPIPE")(error);
        }
        let text =
            |text: &str| CString::new(text).map_err(|_| Failure::internal(format!("{text:?} has a NUL byte in it")));
        let collect = || -> Outcome<(CString, Vec<CString>, Vec<CString>)> {
            let program_text = CString::new(program.as_os_str().as_bytes())
                .map_err(|_| Failure::internal("the program's path has a NUL byte in it"))?;
            let mut arguments = Vec::new();
            let path = if self.init {
                arguments.extend([text(INIT_PATH)?, program_text]);
                text(INIT_PATH)?
            } else {
                program_text
            };
            for argument in &self.process.args {
                arguments.push(text(argument)?);
            }
            let env = self.env.iter().map(|variable| text(variable)).collect::<Outcome<_>>()?;
            Ok((path, arguments, env))
        };
        match collect() {
            Ok((path, arguments, env)) => match execve(&path, &arguments, &env) {
                Ok(never) => match never {},
                Err(errno) => {
                    let error = io::Error::from(errno);
                    let message = format!("exec {}: {}", program.display(), kernel_words(&error));
                    Failure { message, exit_code: exit_code_of(&error) }
                }
            },
            Err(failure) => failure,
        }
    }

    /// Tells the shim, which can't learn it from libcontainer's error texts.
    fn report(&self, failure: &Failure) -> String {
        // The shim falls back to libcontainer's error when this fails. Not through a copy: there may be no room for one.
        control::send(&*self.report, failure).ok();
        failure.message.clone()
    }
}

impl Executor for ProcessExecutor {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        self.prepare().map_err(|failure| ExecutorValidationError::ArgValidationError(self.report(&failure)))
    }

    fn setup_envs(&self, _: std::collections::HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        // execve is given the environment in its order.
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        Err(ExecutorError::Other(self.report(&self.run())))
    }
}

fn resource(kind: RlimitKind) -> Resource {
    match kind {
        RlimitKind::Core => Resource::RLIMIT_CORE,
        RlimitKind::Cpu => Resource::RLIMIT_CPU,
        RlimitKind::Data => Resource::RLIMIT_DATA,
        RlimitKind::Fsize => Resource::RLIMIT_FSIZE,
        RlimitKind::Locks => Resource::RLIMIT_LOCKS,
        RlimitKind::Memlock => Resource::RLIMIT_MEMLOCK,
        RlimitKind::Msgqueue => Resource::RLIMIT_MSGQUEUE,
        RlimitKind::Nice => Resource::RLIMIT_NICE,
        RlimitKind::Nofile => Resource::RLIMIT_NOFILE,
        RlimitKind::Nproc => Resource::RLIMIT_NPROC,
        RlimitKind::Rss => Resource::RLIMIT_RSS,
        RlimitKind::Rtprio => Resource::RLIMIT_RTPRIO,
        RlimitKind::Rttime => Resource::RLIMIT_RTTIME,
        RlimitKind::Sigpending => Resource::RLIMIT_SIGPENDING,
        RlimitKind::Stack => Resource::RLIMIT_STACK,
    }
}

fn executable(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        return Err(Errno::EISDIR.into());
    }
    Ok(faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS)?)
}

/// The capabilities of the set that the running kernel knows.
fn kernel_set(set: CapabilitySet) -> CapsHashSet {
    caps::runtime::thread_all_supported()
        .into_iter()
        .filter(|capability| set.bits() & capability.bitmask() != 0)
        .collect()
}

fn exit_code_of(error: &io::Error) -> u8 {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG) => 127,
        Some(libc::EACCES | libc::EPERM | libc::EISDIR | libc::ENOEXEC | libc::ETXTBSY) => 126,
        _ => 125,
    }
}

/// An error as `strerror` words it in lower case, which is how clients know it.
fn kernel_words(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |code| Errno::from_raw(code).desc().to_lowercase())
}

fn failed<E: std::fmt::Display>(action: impl Into<String>) -> impl FnOnce(E) -> Failure {
    let action = action.into();
    move |error| Failure::internal(format!("could not {action}: {error}"))
}

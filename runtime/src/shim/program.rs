//! The steps from a new process to its program, alike for a container's first one and for execs: it goes to its working directory,
//! finds the program, gives up what it is not to have and executes it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use caps::{CapSet, CapsHashSet};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{AccessFlags, Gid, Uid, execve, faccessat, fchdir, fchown};

use super::streams::set_terminal_size;
use crate::capabilities::CapabilitySet;
use crate::control::{self, Failure};
use crate::in_root::{self, DIRECTORY};
use crate::oci::INIT_PATH;
use crate::root;
use crate::seccomp::Filter;
use crate::spec::{Process, RlimitKind};

/// Where programs are looked for when the environment doesn't say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What came of a step.
pub(super) type Outcome<T> = Result<T, Failure>;

/// A program, and who runs it how.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) process: Process,
    /// The environment, `HOME` included.
    pub(super) env: Vec<String>,
    pub(super) filter: Filter,
    /// The user, who is to own the terminal.
    pub(super) uid: u32,
    /// Run it below our pid 1.
    pub(super) init: bool,
    /// Has one byte when the process is in its cgroup, or ends without one.
    pub(super) moved: Rc<OwnedFd>,
    /// Where a [`Failure`] goes; closed by the program's start.
    pub(super) report: Rc<File>,
}

/// A program that was found, as execve(2) wants it.
#[derive(Debug)]
pub(super) struct Found {
    path: CString,
    arguments: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    pub(super) fn wait_for_cgroup(&self) -> Outcome<()> {
        let pipe = self.moved.try_clone().map_err(failed("read from the cgroup mover"))?;
        let mut byte = [0];
        match File::from(pipe).read(&mut byte) {
            Ok(1) => Ok(()),
            // Whoever should have written has said why.
            Ok(_) => Err(Failure::internal("the process was not put in its cgroup")),
            Err(error) => Err(failed("read from the cgroup mover")(error)),
        }
    }

    /// Makes the terminal, which is standard input, the user's and of the size that was asked for: the program won't wait
    /// for the shim.
    pub(super) fn set_up_terminal(&self) -> Outcome<()> {
        let Some(size) = self.process.terminal else { return Ok(()) };
        let terminal = io::stdin();
        set_terminal_size(&terminal, size).map_err(failed("set the size of the terminal"))?;
        fchown(&terminal, Some(Uid::from_raw(self.uid)), None::<Gid>).map_err(failed("give the terminal to the user"))
    }

    /// Goes to the working directory, which must lie under the container's root. No descriptor of a host's directory may be
    /// open.
    pub(super) fn enter_working_directory(&self) -> Outcome<()> {
        let cwd = Path::new(if self.process.cwd.is_empty() { "/" } else { &self.process.cwd });
        let refused = |error: io::Error| Failure {
            message: format!("chdir to cwd ({:?}) failed: {}", self.process.cwd, kernel_words(&error)),
            exit_code: exit_code_of(&error),
        };
        let own_root = root::open_directory(Path::new("/")).map_err(refused)?;
        let opened = in_root::open_in_root(&own_root, cwd, DIRECTORY).map_err(|errno| refused(errno.into()))?;
        fchdir(&opened).map_err(|errno| refused(errno.into()))?;
        // The kernel names no path for a directory that can't be reached from the root.
        match nix::unistd::getcwd() {
            Ok(path) if path.is_absolute() => Ok(()),
            _ => Err(Failure {
                message: format!(
                    "chdir to cwd ({:?}) failed: it is not under the container's root file system",
                    self.process.cwd
                ),
                exit_code: 127,
            }),
        }
    }

    /// Finds the program. What the process itself will be able to reach counts, so its own capabilities hold meanwhile.
    pub(super) fn find(&self) -> Outcome<Found> {
        let own = kernel_set(self.process.capabilities);
        let all = caps::read(None, CapSet::Permitted).map_err(failed("read the capabilities"))?;
        let effective: CapsHashSet = own.intersection(&all).copied().collect();
        caps::set(None, CapSet::Effective, &effective).map_err(failed("lower the capabilities"))?;
        let path = self.path();
        caps::set(None, CapSet::Effective, &all).map_err(failed("raise the capabilities"))?;
        self.as_found(&path?)
    }

    /// The program's path: as given when there is a slash in it, else the first executable of that name in `PATH`.
    fn path(&self) -> Outcome<PathBuf> {
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

    fn as_found(&self, program: &Path) -> Outcome<Found> {
        let text =
            |text: &str| CString::new(text).map_err(|_| Failure::internal(format!("{text:?} has a NUL byte in it")));
        let program = CString::new(program.as_os_str().as_bytes())
            .map_err(|_| Failure::internal("the program's path has a NUL byte in it"))?;
        let mut arguments = Vec::new();
        let path = if self.init {
            arguments.extend([text(INIT_PATH)?, program]);
            text(INIT_PATH)?
        } else {
            program
        };
        for argument in &self.process.args {
            arguments.push(text(argument)?);
        }
        let env = self.env.iter().map(|variable| text(variable)).collect::<Outcome<_>>()?;
        Ok(Found { path, arguments, env })
    }

    /// Raises the resource limits that will have to be higher, which takes a capability; for [`Program::limit`] later.
    pub(super) fn raise_limits(&self) -> Outcome<()> {
        self.process.rlimits.iter().try_for_each(|limit| {
            let kind = resource(limit.kind);
            let (soft, hard) = getrlimit(kind).map_err(failed(format!("read the limit {}", limit.kind.name())))?;
            set_limit(limit.kind, soft.max(limit.soft), hard.max(limit.hard))
        })
    }

    /// Sets the resource limits, when nothing is left to be done that needs more: from here on no file is opened but the
    /// program itself.
    pub(super) fn limit(&self) -> Outcome<()> {
        self.process.rlimits.iter().try_for_each(|limit| set_limit(limit.kind, limit.soft, limit.hard))
    }

    /// Gives up what the process is not to have and puts it behind its filter; the order keeps what each step needs.
    pub(super) fn confine(&self) -> Outcome<()> {
        reset_signals()?;
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
            prctl::set_no_new_privs().map_err(failed("set no_new_privs"))?;
            lower()?;
            install()
        } else {
            install()?;
            lower()
        }
    }

    /// Tells the shim, which can't learn it otherwise.
    pub(super) fn tell(&self, failure: &Failure) {
        // Nobody else can be told. Not through a copy: there may be no room for one.
        control::send(&*self.report, failure).ok();
    }
}

impl Found {
    /// Becomes the program. Returns only when that fails.
    pub(super) fn execute(&self) -> Failure {
        match execve(&self.path, &self.arguments, &self.env) {
            Ok(never) => match never {},
            Err(errno) => {
                let error = io::Error::from(errno);
                let message = format!("exec {}: {}", self.path.to_string_lossy(), kernel_words(&error));
                Failure { message, exit_code: exit_code_of(&error) }
            }
        }
    }
}

/// Has every signal do what it does by itself: what is ignored or blocked stays so across an exec, and berthd's starter may
/// have ignored some; Rust ignores SIGPIPE.
fn reset_signals() -> Outcome<()> {
    // The kernel's `struct sigaction`: the default handler, no flags, no restorer, an empty mask of 64 signals.
    let default = [0_u64; 4];
    for number in 1..=64 {
        // SAFETY: the kernel reads one structure, which outlives the call; no handler of ours is involved. Not sigaction(3),
        // which refuses the C library's own signals. What can't be set always is so.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), std::ptr::null::<u64>(), 8) };
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(failed("unblock signals"))
}

/// Makes the process one that only who may trace root of the host can look into. A change of its user may undo that.
pub(super) fn hide() -> Outcome<()> {
    prctl::set_dumpable(false).map_err(failed("hide the process"))
}

fn set_limit(kind: RlimitKind, soft: u64, hard: u64) -> Outcome<()> {
    setrlimit(resource(kind), soft, hard).map_err(failed(format!("set the limit {}={soft}:{hard}", kind.name())))
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

pub(super) fn failed<E: std::fmt::Display>(action: impl Into<String>) -> impl FnOnce(E) -> Failure {
    let action = action.into();
    move |error| Failure::internal(format!("could not {action}: {error}"))
}

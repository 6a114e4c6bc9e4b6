//! Network namespaces: made, pinned and entered. `setns` and `unshare` only ever happen on threads that end right after.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    thread,
};

use cnm::{
    id::{LinkName, SandboxId},
    resource::NamespaceAt,
};
use nix::{
    errno::Errno,
    mount::{MntFlags, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::statfs::{NSFS_MAGIC, fstatfs, statfs},
};

use crate::{Adoption, Error, NOWHERE, NamespaceKeeper, adoption::Candidate, error::attempted, route, sysctl};

/// `_IO(NSIO, 0x3)` of linux/nsfs.h.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// How a new namespace differs from the kernel's defaults; whoever it is for may change it.
const INITIAL_SYSCTLS: [(&str, &str); 3] = [
    // Links that are born in it take no router advertisements: a neighbour would make itself their router.
    ("net/ipv6/conf/default/accept_ra", "0"),
    // Nobody inside needs to be root to serve on a port below 1024, or to ping: the ports are the sandbox's alone.
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    ("net/ipv4/ping_group_range", "0 2147483647"),
];

/// The directory with a link to each namespace that is kept: pinned, as it is called here. There is no mount, since mount
/// namespaces that are made while it is there would begin with a copy of it.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    directory: PathBuf,
    keeper: Arc<dyn NamespaceKeeper>,
}

/// A namespace that is open: a file descriptor that names it and a socket inside.
#[derive(Debug)]
pub(crate) struct OpenNamespace {
    pub(crate) namespace: File,
    pub(crate) socket: route::Socket,
}

impl OpenNamespace {
    /// Whether one of some links of it leads into another namespace; none for no links.
    fn has_a_peer_in(&mut self, links: &[LinkName], other: &File) -> io::Result<Option<bool>> {
        let mut leads = (!links.is_empty()).then_some(false);
        for link in links {
            if self.socket.has_peer_in(link, other.as_fd())? {
                leads = Some(true);
            }
        }
        Ok(leads)
    }
}

impl Pins {
    /// Takes `netns` in the run directory into use, with what is there from before.
    pub(crate) fn new(run_dir: &Path, keeper: Arc<dyn NamespaceKeeper>) -> Result<Self, Error> {
        let directory = run_dir.join("netns");
        let attempt = || format!("prepare {} for network namespaces", directory.display());
        // Whoever opens a namespace keeps it alive.
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(attempted(attempt()))?;
        let directory = directory.canonicalize().map_err(attempted(attempt()))?;
        let pins = Self { directory, keeper };
        pins.resume().map_err(attempted(attempt()))?;
        Ok(pins)
    }

    /// Goes through what a former process has left.
    fn resume(&self) -> io::Result<()> {
        for sandbox in self.list()? {
            let pin = self.directory.join(sandbox.as_str());
            if fs::symlink_metadata(&pin)?.is_symlink() {
                if !self.keeper.resume(&pin)? {
                    tracing::warn!(%sandbox, "nobody keeps its network namespace: its owner is asked where it is");
                }
            } else {
                self.resume_mount(&pin)?;
            }
        }
        // The mount that those of a former version are in.
        unmount(&self.directory)
    }

    /// Former versions kept a namespace by a mount, which a link takes the place of. Killed in between, netd finds a file
    /// without its mount: the namespace is lost then, and may be found.
    fn resume_mount(&self, pin: &Path) -> io::Result<()> {
        let mounted = open_network_namespace(pin)?;
        unmount(pin)?;
        self.keeper.lose(pin)?;
        mounted.map_or(Ok(()), |namespace| self.keeper.keep_again(pin, namespace.as_fd()))
    }

    /// Where a namespace is found; none for the host's own.
    pub(crate) fn path(&self, at: &NamespaceAt) -> Option<PathBuf> {
        match at {
            NamespaceAt::Host => None,
            NamespaceAt::Pinned(sandbox) => Some(self.directory.join(sandbox.as_str())),
            NamespaceAt::Path(path) => Some(PathBuf::from(path)),
        }
    }

    /// Makes a namespace, pins it and sets its loopback up.
    pub(crate) fn create(&self, sandbox: &SandboxId) -> Result<OpenNamespace, io::Error> {
        let pin = self.directory.join(sandbox.as_str());
        let made = on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            // Not `/proc/self`: that is the process's first thread, in another namespace.
            let namespace = File::open("/proc/thread-self/ns/net")?;
            self.keeper.keep(&pin, namespace.as_fd())?;
            for (key, value) in INITIAL_SYSCTLS {
                match sysctl::write(key, value) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            let mut socket = route::Socket::open()?;
            socket.set_loopback_up()?;
            Ok(OpenNamespace { namespace, socket })
        });
        let is_anothers = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
        if made.as_ref().is_err_and(|error| !is_anothers(error)) {
            // Whatever failed, it is told; a pin that can't be removed either is found by the next observation.
            let _ = self.drop_pin(sandbox);
        }
        made
    }

    /// Unpins a namespace; none by that name is success.
    pub(crate) fn drop_pin(&self, sandbox: &SandboxId) -> io::Result<()> {
        let pin = self.directory.join(sandbox.as_str());
        self.keeper.release(&pin)?;
        match fs::remove_file(&pin) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The sandboxes whose namespaces are pinned.
    pub(crate) fn list(&self) -> io::Result<BTreeSet<SandboxId>> {
        let mut sandboxes = BTreeSet::new();
        for entry in fs::read_dir(&self.directory)? {
            if let Some(Ok(sandbox)) = entry?.file_name().to_str().map(SandboxId::from_str) {
                sandboxes.insert(sandbox);
            }
        }
        Ok(sandboxes)
    }

    /// The sandboxes whose namespaces nobody keeps any more.
    pub(crate) fn lost(&self) -> io::Result<BTreeSet<SandboxId>> {
        let is_lost = |sandbox| self.is_lost(&sandbox).map(|is_lost| is_lost.then_some(sandbox));
        self.list()?.into_iter().filter_map(|sandbox| is_lost(sandbox).transpose()).collect()
    }

    /// Whether nobody keeps the namespace of a sandbox any more.
    pub(crate) fn is_lost(&self, sandbox: &SandboxId) -> io::Result<bool> {
        match fs::read_link(self.directory.join(sandbox.as_str())) {
            Ok(to) => Ok(to == Path::new(NOWHERE)),
            // None is there, or what somebody else has put there.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps a lost namespace again, which is found elsewhere. `host` is what the host ends are in.
    pub(crate) fn adopt(
        &self,
        sandbox: &SandboxId,
        found: &Path,
        host_ends: &[LinkName],
        host: &mut OpenNamespace,
    ) -> io::Result<Adoption> {
        let namespace = match open_network_namespace(found) {
            Ok(Some(namespace)) => namespace,
            Ok(None) => return Ok(Adoption::Refused("it is no network namespace")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Adoption::Refused("there is nothing"));
            }
            Err(error) if !is_of_this_process(&error) => return Ok(Adoption::Refused("it can not be reached")),
            Err(error) => return Err(error),
        };
        // By its number on the file system of namespaces, which is nobody else's while it is open.
        let number = namespace.metadata()?.ino();
        let is_it = |pin: PathBuf| fs::metadata(pin).is_ok_and(|kept| kept.ino() == number);
        let candidate = Candidate {
            is_hosts: host.namespace.metadata()?.ino() == number,
            is_kept: self.list()?.iter().any(|other| is_it(self.directory.join(other.as_str()))),
            has_an_end: host.has_a_peer_in(host_ends, &namespace)?,
            inside: &run_inside(&namespace, || route::Socket::open()?.observe(&NamespaceAt::Host, |_| true))?,
        };
        if let Some(objection) = candidate.objection() {
            return Ok(Adoption::Refused(objection));
        }
        self.keeper.keep_again(&self.directory.join(sandbox.as_str()), namespace.as_fd())?;
        Ok(Adoption::Kept)
    }

    /// Opens a namespace that isn't the host's and a socket inside.
    pub(crate) fn open(&self, at: &NamespaceAt) -> io::Result<OpenNamespace> {
        let path = self.path(at).ok_or_else(|| io::Error::other("the host's namespace has no path"))?;
        let namespace = File::open(path)?;
        let socket = run_inside(&namespace, route::Socket::open)?;
        Ok(OpenNamespace { namespace, socket })
    }

    /// Runs something inside a namespace: on the calling thread for the host's, on one of its own for another.
    pub(crate) fn run_at<T: Send>(
        &self,
        at: &NamespaceAt,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        match self.path(at) {
            None => work(),
            Some(path) => run_inside(&File::open(path)?, work),
        }
    }
}

/// Whether a path leads to a network namespace.
///
/// # Errors
/// When there is nothing at the path, or it can't be reached.
pub fn is_network_namespace(path: &Path) -> io::Result<bool> {
    Ok(open_network_namespace(path)?.is_some())
}

/// What a path leads to, if that is a network namespace. Nothing is opened that isn't a namespace: a pipe would wait for ever.
fn open_network_namespace(path: &Path) -> io::Result<Option<File>> {
    if statfs(path)?.filesystem_type() != NSFS_MAGIC {
        return Ok(None);
    }
    let namespace = File::open(path)?;
    // By then the path may lead elsewhere.
    if fstatfs(&namespace)?.filesystem_type() != NSFS_MAGIC {
        return Ok(None);
    }
    // Not by its name, which is that of the mount where it is mounted.
    // SAFETY: this request has no argument (ioctl_nsfs(2)), and the descriptor is open.
    let kind = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) })?;
    Ok((kind == libc::CLONE_NEWNET).then_some(namespace))
}

/// Whether something failed for want of descriptors or memory, and not because of what was asked for.
fn is_of_this_process(error: &io::Error) -> bool {
    let own = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| own.contains(&Errno::from_raw(code)))
}

/// Takes a mount away, if there is one.
fn unmount(place: &Path) -> io::Result<()> {
    match umount2(place, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Runs something on a thread of its own that has entered a namespace.
fn run_inside<T: Send>(namespace: &File, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    on_own_thread(|| {
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

//! What berthd claims before anything else: its directories, and the socket of its API. The socket outlives berthd, since
//! containers have it mounted: a service manager hands it in (`LISTEN_FDS`), or a keeper holds it.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::config::{Config, Group};
use crate::error::{Error, Result};
use crate::keeper::{self, KeptListener};

/// How long requests under way may take once berthd is told to stop. Followers of logs and events never end by
/// themselves, and containers don't need berthd to go on.
pub(crate) const DRAIN: Duration = Duration::from_secs(3);

/// A berthd that was killed while it started a program leaves its locks and its listener open in that child until the child's
/// exec, and one that was told to stop has them until it has drained: nothing tells when.
const FORMER_DAEMON_LINGERS: Duration = DRAIN.saturating_add(Duration::from_secs(1));

/// The socket that the API is served on, and the claim on berthd's directories for as long as this lives.
#[derive(Debug)]
pub struct Listening {
    pub(crate) listener: UnixListener,
    /// Of a listener that no service manager holds.
    pub(crate) keeping: Option<KeptListener>,
    pub(crate) _claims: [File; 2],
}

/// The socket that a service manager hands in, if one does. To be called before there are threads: it takes the word of it
/// out of the environment.
pub fn inherited() -> Result<Option<UnixListener>> {
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        return Err(Error::invalid(format!(
            "{} sockets were handed in (LISTEN_FDS): berthd serves one; see ListenStream= in berthd.socket",
            sockets.len()
        )));
    }
    sockets.take_unix_listener(0).map_err(Error::io("taking the socket that was handed in (LISTEN_FDS)"))
}

/// Claims the directories and comes by the socket; refuses when another berthd is there.
pub fn listen(config: &Config, inherited: Option<UnixListener>) -> Result<Listening> {
    for dir in [&config.root, &config.run_dir] {
        make_private_directory(dir)?;
    }
    let claims = [claim(config, &config.root)?, claim(config, &config.run_dir)?];
    let (listener, keeping) = match inherited {
        Some(listener) => {
            keeper::release(config);
            (listener, None)
        }
        None => {
            let (listener, keeping) = keeper::listener(config, || bind(config))?;
            admit(&config.socket, &config.group)?;
            (listener, Some(keeping))
        }
    };
    listener.set_nonblocking(true).map_err(Error::io("setting up the API's socket"))?;
    Ok(Listening { listener, keeping, _claims: claims })
}

/// Containers' files lie below: others may pass through to their sockets, not list.
fn make_private_directory(dir: &Path) -> Result<()> {
    let doing = || format!("making the directory {}", dir.display());
    if !dir.is_dir() {
        std::fs::create_dir_all(dir).map_err(Error::io(doing()))?;
        std::fs::set_permissions(dir, Permissions::from_mode(0o711)).map_err(Error::io(doing()))?;
    }
    Ok(())
}

/// Locks a directory. The kernel drops the locks of a killed process.
fn claim(config: &Config, directory: &Path) -> Result<File> {
    let path = directory.join("berthd.lock");
    // Whoever may read it may lock it.
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    let file = file.map_err(Error::io(format!("creating {}", path.display())))?;
    unless_served(config, || match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io(format!("locking {}", path.display()))(error)),
    })?;
    Ok(file)
}

/// Waits for a berthd that is going, not for one that serves.
fn unless_served(config: &Config, is_free: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + FORMER_DAEMON_LINGERS;
    while !is_free()? {
        if Instant::now() >= deadline {
            return Err(Error::conflict(format!(
                "another daemon serves {} already; stop it, or give this one its own --root and --run-dir",
                config.socket.display()
            )));
        }
        std::thread::sleep(FORMER_DAEMON_LINGERS / 50);
    }
    Ok(())
}

/// Makes the socket anew: nobody holds one at its place.
fn bind(config: &Config) -> Result<UnixListener> {
    let path = &config.socket;
    unless_served(config, || Ok(!is_served(path)))?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io(format!("removing the stale socket {}", path.display()))(error));
        }
        _ => {}
    }
    UnixListener::bind(path).map_err(Error::io(format!("listening on {}", path.display())))
}

/// Whether who listens on a socket is there. A keeper's socket takes connections as well, for nobody: what tells is the pid of
/// who listened last (unix(7), SO_PEERCRED).
fn is_served(path: &Path) -> bool {
    let Ok(connection) = UnixStream::connect(path) else { return false };
    let maker = getsockopt(&connection, PeerCredentials).ok().and_then(|maker| Pid::from_raw(maker.pid()));
    // None is somebody in another pid namespace.
    let Some(maker) = maker else { return true };
    match pidfd_open(maker, PidfdFlags::empty()) {
        // Readable is one that has ended and that nobody has waited for.
        Ok(process) => poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&Timespec::default())) == Ok(0),
        Err(errno) => errno != Errno::SRCH,
    }
}

/// Gives the socket to the group that may use the API, or to root alone.
fn admit(path: &Path, group: &Group) -> Result<()> {
    let name = match group {
        Group::Named(name) => name,
        Group::Default => "berth",
    };
    let found = nix::unistd::Group::from_name(name)
        .map_err(|errno| Error::io(format!("looking up the group {name}"))(errno.into()))?;
    let (mode, owner) = match (found, group) {
        (Some(found), _) => (0o660, found.gid.as_raw()),
        (None, Group::Default) => (0o600, 0),
        (None, Group::Named(_)) => {
            return Err(Error::invalid(format!("there is no group {name:?}; make it or give another --group")));
        }
    };
    chown(path, Some(0), Some(owner)).map_err(Error::io(format!("giving {} to its group", path.display())))?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::io(format!("setting the mode of {}", path.display())))
}

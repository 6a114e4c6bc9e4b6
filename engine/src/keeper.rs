//! Our side of `netd-keeper`, which holds the API's listener while berthd is away: a listening socket ends with its last
//! descriptor, and a container that has it mounted knows it by its inode, not by its name.

use std::fs::Permissions;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netd_client::keeper::{Keeper, seqpacket};

use crate::config::Config;
use crate::error::{Error, Result, chain};

/// What the keeper says to clients while no berthd comes.
const FAREWELL: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n\
    Content-Length: 74\r\n\r\n{\"message\":\"berthd isn't running: start it, containers run on meanwhile\"}\n";

/// How long until a keeper that somebody ended is replaced: who ends it again and again doesn't keep berthd busy.
const REPLACED_AFTER: Duration = Duration::from_secs(1);

/// The API's listener: the one that the keeper holds if it is still what its path leads to, else one made by `bind`, which
/// is held from now on. Without a keeper berthd serves all the same.
pub(crate) fn listener(config: &Config, bind: impl FnOnce() -> Result<UnixListener>) -> Result<UnixListener> {
    let place = Place::of(config);
    let keeper = place.reach();
    let taken = keeper.as_ref().map_err(ToString::to_string).and_then(|(keeper, _)| place.take(keeper));
    let listener = match &taken {
        Ok(Some(listener)) => listener.try_clone().map_err(Error::io("sharing the API's socket"))?,
        _ => bind()?,
    };
    // The keeper must never wait for a connection that we were faster to take.
    listener.set_nonblocking(true).map_err(Error::io("setting up the API's socket"))?;
    let held = match (taken, keeper) {
        (Ok(Some(_)), Ok(held)) => Ok(held),
        (_, Ok((keeper, child))) => place.keep(&keeper, &listener).map(|()| (keeper, child)).map_err(|e| e.to_string()),
        (_, Err(error)) => Err(chain(&error)),
    };
    match held {
        Ok(held) => place.stay_held(held, &listener)?,
        Err(error) => tracing::warn!(
            "{} is made anew with each start of berthd, and containers that have it mounted are cut off then: {error}",
            config.socket.display()
        ),
    }
    Ok(listener)
}

/// Where the listener is, and its keeper.
#[derive(Debug, Clone)]
struct Place {
    socket: PathBuf,
    keeper: PathBuf,
    program: PathBuf,
    cgroup_parent: PathBuf,
}

/// A keeper, and its process if it is our child.
type Held = (Keeper, Option<Child>);

impl Place {
    fn of(config: &Config) -> Self {
        Self {
            socket: config.socket.clone(),
            keeper: config.run_dir.join("keeper.sock"),
            program: config.bin_dir.join("netd-keeper"),
            cgroup_parent: config.cgroup_parent.clone().into(),
        }
    }

    /// What the keeper calls the listener.
    fn name(&self) -> String {
        format!("listener {}", self.socket.display())
    }

    /// The file that the listener is bound to. Its number isn't given away again while the listener is held.
    fn mark(&self) -> io::Result<String> {
        let metadata = std::fs::symlink_metadata(&self.socket)?;
        Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
    }

    /// The keeper that runs, or a new one.
    fn reach(&self) -> Result<Held> {
        match Keeper::connect(&self.keeper) {
            Ok(keeper) => Ok((keeper, None)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                self.start().map(|(keeper, child)| (keeper, Some(child)))
            }
            Err(error) => Err(Error::io(format!("reaching netd-keeper at {}", self.keeper.display()))(error)),
        }
    }

    /// Starts a keeper on a socket that is there before it: whoever connects waits until it runs.
    fn start(&self) -> Result<(Keeper, Child)> {
        let doing = || Error::io(format!("starting {}", self.program.display()));
        std::fs::metadata(&self.program).map_err(doing())?;
        match std::fs::remove_file(&self.keeper) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(doing()(error)),
            _ => {}
        }
        let served = seqpacket().map_err(doing())?;
        let address = rustix::net::SocketAddrUnix::new(&self.keeper).map_err(|errno| doing()(errno.into()))?;
        rustix::net::bind(&served, &address).map_err(|errno| doing()(errno.into()))?;
        std::fs::set_permissions(&self.keeper, Permissions::from_mode(0o600)).map_err(doing())?;
        rustix::net::listen(&served, 16).map_err(|errno| doing()(errno.into()))?;
        let keeper = Keeper::connect(&self.keeper).map_err(doing())?;
        // setsid(1) gives it a session of its own: what ends berthd's terminal or process group doesn't reach it.
        let mut command = Command::new("setsid");
        command.arg(&self.program).current_dir("/").stdin(served).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(doing())?;
        if let Some(pid) = i32::try_from(child.id()).ok().filter(|pid| *pid > 0)
            && let Err(error) = runtime::leave_service(pid, &self.cgroup_parent)
        {
            tracing::warn!("netd-keeper stays in berthd's cgroup and ends with its service: {}", chain(&error));
        }
        Ok((keeper, child))
    }

    /// The listener that is held, unless its path leads elsewhere by now.
    fn take(&self, keeper: &Keeper) -> Result<Option<UnixListener>, String> {
        let taken = keeper.take(&self.name()).map_err(|error| error.to_string())?;
        let ours = taken.filter(|(_, mark)| self.mark().is_ok_and(|here| here == *mark));
        Ok(ours.map(|(descriptor, _)| descriptor.into()))
    }

    fn keep(&self, keeper: &Keeper, listener: &UnixListener) -> io::Result<()> {
        keeper.keep(&self.name(), &self.mark()?, FAREWELL, listener.as_fd())
    }

    /// Sees to it, on a thread of its own, that a keeper holds the listener for as long as berthd lives.
    fn stay_held(self, mut held: Held, listener: &UnixListener) -> Result<()> {
        let listener = listener.try_clone().map_err(Error::io("sharing the API's socket"))?;
        let watch = move || {
            loop {
                let (keeper, child) = held;
                keeper.wait_until_gone();
                // Reaped, so that no zombie stays behind.
                let _ = child.map(|mut child| child.wait());
                std::thread::sleep(REPLACED_AFTER);
                let again = self.reach().and_then(|(keeper, child)| {
                    self.keep(&keeper, &listener).map_err(Error::io("handing over the API's socket"))?;
                    Ok((keeper, child))
                });
                held = match again {
                    Ok(again) => again,
                    Err(error) => return tracing::error!("nobody holds the API's socket: {}", chain(&error)),
                };
                tracing::warn!("netd-keeper had ended: another holds the API's socket");
            }
        };
        let thread = std::thread::Builder::new().name("keeper".to_owned()).stack_size(256 * 1024).spawn(watch);
        thread.map(drop).map_err(Error::io("starting a thread"))
    }
}

#[cfg(test)]
mod tests {
    use super::FAREWELL;

    #[test]
    fn the_farewell_is_as_long_as_it_says() {
        let (head, body) = FAREWELL.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(length.parse(), Ok(body.len()));
    }
}

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

/// What a keeper calls the listener: it holds one, wherever that is.
const NAME: &str = "listener";

/// How long until a keeper that somebody ended is replaced: who ends it again and again doesn't keep berthd busy.
const REPLACED_AFTER: Duration = Duration::from_secs(1);
/// How long until that is tried again at most.
const REPLACED_AFTER_AT_MOST: Duration = Duration::from_secs(30);

/// As many clients may wait as the kernel lets (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// The API's listener: the one that the keeper holds if it is still what its path leads to, else one made by `bind`, which
/// is held from now on. Without a keeper berthd serves all the same.
pub(crate) fn listener(
    config: &Config,
    bind: impl FnOnce() -> Result<UnixListener>,
) -> Result<(UnixListener, KeptListener)> {
    let paths = KeeperPaths::of(config);
    // A keeper that is just ending doesn't answer any more: then there is room for another.
    let (held, taken) = match paths.reach_and_take().or_else(|_| paths.reach_and_take()) {
        Ok((held, taken)) => (Ok(held), taken),
        Err(error) => (Err(error), None),
    };
    let is_taken = taken.is_some();
    let listener = match taken {
        Some(listener) => listener,
        None => bind()?,
    };
    // The keeper must never wait for a connection that we were faster to take.
    listener.set_nonblocking(true).map_err(Error::io("setting up the API's socket"))?;
    // Again also where somebody did before: who connects is told the pid of who did last (unix(7), SO_PEERCRED).
    rustix::net::listen(&listener, BACKLOG).map_err(|errno| Error::io("serving the API's socket")(errno.into()))?;
    let held = match held {
        Ok(held) if is_taken => Ok(held),
        held => held.and_then(|held| paths.hand_over(held, &listener)),
    };
    if let Err(error) = &held {
        tracing::warn!(
            "{} is made anew if berthd starts again now, and containers that have it mounted are cut off then: {}",
            config.socket.display(),
            chain(error)
        );
    }
    Ok((listener, KeptListener { paths, held: held.ok() }))
}

/// Has a keeper that runs release the listener: it isn't what is served.
pub(crate) fn release(config: &Config) {
    // One that can't be reached holds nothing that anybody could ask for.
    let told = Keeper::connect(&KeeperPaths::of(config).keeper).and_then(|keeper| keeper.release(NAME));
    if let Err(error) = told
        && !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
    {
        tracing::warn!("netd-keeper still holds a socket that isn't served: {error}");
    }
}

/// A listener that is held, or is to be.
#[derive(Debug)]
pub(crate) struct KeptListener {
    paths: KeeperPaths,
    held: Option<RunningKeeper>,
}

impl KeptListener {
    /// Says that the listener is served, and sees to it, on a thread of its own, that a keeper holds it for as long as berthd
    /// lives.
    pub(crate) fn begin(self, listener: &UnixListener) -> Result<()> {
        let listener = listener.try_clone().map_err(Error::io("sharing the API's socket"))?;
        let thread = std::thread::Builder::new().name("keeper".to_owned()).stack_size(256 * 1024);
        thread.spawn(move || self.stay(&listener)).map(drop).map_err(Error::io("starting a thread"))
    }

    fn stay(self, listener: &UnixListener) {
        let Self { paths, held } = self;
        let kept = held.map(|held| paths.hand_over(held, listener)).transpose();
        let mut held = kept.unwrap_or_else(|error| {
            tracing::error!("nobody holds the API's socket: {}", chain(&error));
            None
        });
        loop {
            let had_one = held.is_some();
            if let Some((keeper, child)) = held {
                keeper.wait_until_gone();
                // Reaped, so that no zombie stays behind.
                let _ = child.map(|mut child| child.wait());
            }
            held = Some(paths.replace(listener, !had_one));
            if had_one {
                tracing::warn!("netd-keeper had ended: another holds the API's socket");
            } else {
                tracing::info!("netd-keeper holds the API's socket from now on");
            }
        }
    }
}

/// Where the listener is, and its keeper.
#[derive(Debug, Clone)]
struct KeeperPaths {
    socket: PathBuf,
    keeper: PathBuf,
    program: PathBuf,
    cgroup_parent: PathBuf,
}

/// A keeper, and its process if it is our child.
type RunningKeeper = (Keeper, Option<Child>);

impl KeeperPaths {
    fn of(config: &Config) -> Self {
        Self {
            socket: config.socket.clone(),
            keeper: config.run_dir.join("keeper.sock"),
            program: config.bin_dir.join("netd-keeper"),
            cgroup_parent: config.cgroup_parent.clone().into(),
        }
    }

    /// The file that the listener is bound to. Its number isn't given away again while the listener is held.
    fn mark(&self) -> io::Result<String> {
        let metadata = std::fs::symlink_metadata(&self.socket)?;
        Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
    }

    /// The keeper that runs, or a new one.
    fn reach(&self) -> Result<RunningKeeper> {
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

    /// A keeper, and the listener that it holds, unless its path leads elsewhere by now.
    fn reach_and_take(&self) -> Result<(RunningKeeper, Option<UnixListener>)> {
        let held = self.reach()?;
        match held.0.take(NAME) {
            Ok(taken) => {
                let ours = taken.filter(|(_, mark)| self.mark().is_ok_and(|here| here == *mark));
                Ok((held, ours.map(|(descriptor, _)| descriptor.into())))
            }
            Err(error) => {
                give_up(held.1);
                Err(Error::io("asking netd-keeper for the API's socket")(error))
            }
        }
    }

    fn keep(&self, keeper: &Keeper, listener: &UnixListener) -> Result<()> {
        self.mark()
            .and_then(|mark| keeper.keep(NAME, &mark, FAREWELL, listener.as_fd()))
            .map_err(Error::io("handing over the API's socket"))
    }

    fn hand_over(&self, (keeper, child): RunningKeeper, listener: &UnixListener) -> Result<RunningKeeper> {
        match self.keep(&keeper, listener) {
            Ok(()) => Ok((keeper, child)),
            Err(error) => {
                give_up(child);
                Err(error)
            }
        }
    }

    /// Another keeper, however often that has to be tried; `told` says that it is known that there is none.
    fn replace(&self, listener: &UnixListener, mut told: bool) -> RunningKeeper {
        let mut pause = REPLACED_AFTER;
        loop {
            std::thread::sleep(pause);
            match self.reach().and_then(|held| self.hand_over(held, listener)) {
                Ok(held) => return held,
                Err(error) if !told => tracing::error!("nobody holds the API's socket: {}", chain(&error)),
                Err(_) => {}
            }
            told = true;
            pause = (pause * 2).min(REPLACED_AFTER_AT_MOST);
        }
    }
}

/// Ends a keeper that is of no use, if it is ours: nobody would wait for its end.
fn give_up(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill().and_then(|()| child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_that_does_not_answer_is_ended_and_reaped() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("mute-keeper");
        let told = directory.path().join("pid");
        // It takes the question for an end, and stays.
        let script = format!("#!/bin/sh\necho $$ >{}\nexec sleep 1000 </dev/null\n", told.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let paths = KeeperPaths {
            socket: directory.path().join("api.sock"),
            keeper: directory.path().join("keeper.sock"),
            program,
            // Nothing is made there, and it stays where the test is.
            cgroup_parent: "/\0".into(),
        };
        paths.reach_and_take().unwrap_err();
        let pid = std::fs::read_to_string(told).unwrap();
        let pid = pid.trim();
        assert!(!PathBuf::from(format!("/proc/{pid}")).exists(), "{pid} is still there");
    }

    #[test]
    fn the_farewell_is_as_long_as_it_says() {
        let (head, body) = FAREWELL.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        assert_eq!(length.parse(), Ok(body.len()));
    }
}

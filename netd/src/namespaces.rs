//! Namespaces of sandboxes live on when netd ends, however it ends: a `netd-keeper` holds a descriptor of each, and a link
//! leads to that. A mount would do as well, were it not that every container's mount namespace begins as a copy of the
//! host's: with 500 of them each start would copy 500 mounts.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use kernel::{NOWHERE, NamespaceKeeper, point_link_at};
use netd_client::keeper::{Keeper, seqpacket};

/// How long until a keeper that can't be started is tried again.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long until that is at most.
const TRIED_AGAIN_AFTER_AT_MOST: Duration = Duration::from_secs(30);

/// The namespaces that a keeper holds for this netd. It is started with the first of them.
#[derive(Debug, Clone)]
pub(crate) struct Namespaces {
    socket: PathBuf,
    program: PathBuf,
    state: Arc<Mutex<KeeperState>>,
}

#[derive(Debug, Default)]
struct KeeperState {
    keeper: Option<Keeper>,
    /// How many keepers there have been.
    generation: u64,
    /// What leads to which: should somebody end the keeper, another gets them from here.
    links: BTreeMap<PathBuf, OwnedFd>,
}

/// A keeper that is our child. Dropped, it ends, and leaves no zombie behind.
#[derive(Debug)]
struct StartedKeeper(Child);

impl Drop for StartedKeeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Namespaces {
    /// A keeper behind a socket in the run directory, started from where this program is.
    pub(crate) fn new(run_dir: &Path) -> io::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("netd-keeper");
        Ok(Self { socket: run_dir.join("netns.sock"), program, state: Arc::default() })
    }

    fn lock(&self) -> MutexGuard<'_, KeeperState> {
        // Links and keeper are put right by whoever needs them next.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the keeper hold one, and gives the path to it. A keeper that is gone is replaced.
    fn hold(&self, state: &mut KeeperState, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<PathBuf> {
        if let Some(keeper) = &state.keeper
            && let Ok(path) = keeper.hold(name_of(link)?, namespace)
        {
            return Ok(path);
        }
        self.replace(state)?.hold(name_of(link)?, namespace)
    }

    /// Starts a keeper and gives it all that the former one had. Where that fails, whoever watches the former one tries again.
    fn replace<'h>(&self, state: &'h mut KeeperState) -> io::Result<&'h Keeper> {
        state.keeper = None;
        let (keeper, watched, child) = self.start()?;
        let hold = |(link, namespace): (&PathBuf, &OwnedFd)| {
            point_link_at(link, &keeper.hold(name_of(link)?, namespace.as_fd())?)
        };
        state.links.iter().try_for_each(hold)?;
        self.watch_keeper(state, watched, Some(child))?;
        Ok(state.keeper.insert(keeper))
    }

    /// Starts a keeper on a socket that is there before it: whoever connects waits until it runs. A second connection is to
    /// watch it by.
    fn start(&self) -> io::Result<(Keeper, Keeper, StartedKeeper)> {
        let doing = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.program.display()));
        fs::metadata(&self.program).map_err(doing)?;
        match fs::remove_file(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let served = seqpacket()?;
        rustix::net::bind(&served, &rustix::net::SocketAddrUnix::new(&self.socket)?)?;
        fs::set_permissions(&self.socket, Permissions::from_mode(0o600))?;
        rustix::net::listen(&served, 16)?;
        let (keeper, watched) = (Keeper::connect(&self.socket)?, Keeper::connect(&self.socket)?);
        // setsid(1) gives it a session of its own: what ends netd's terminal or process group doesn't reach it.
        // By the word it ignores SIGTERM, and scripts/install knows it from the keepers that it replaces.
        let mut command = Command::new("setsid");
        command.arg(&self.program).arg("namespaces").env_remove("NOTIFY_SOCKET").current_dir("/");
        let child = command.stdin(served).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(doing)?;
        Ok((keeper, watched, StartedKeeper(child)))
    }

    /// Sees to it, on a thread of its own, that the keeper is replaced when it ends. From then on nobody who watches a former
    /// one replaces it.
    fn watch_keeper(&self, state: &mut KeeperState, watched: Keeper, child: Option<StartedKeeper>) -> io::Result<()> {
        let (generation, all) = (state.generation + 1, self.clone());
        let thread = thread::Builder::new().name("netns-keeper".to_owned()).stack_size(256 * 1024);
        thread.spawn(move || {
            watched.wait_until_gone();
            // Reaped, so that no zombie stays behind.
            let _ = child.map(|mut child| child.0.wait());
            all.replace_when_gone(generation);
        })?;
        state.generation = generation;
        Ok(())
    }

    /// Replaces a keeper that has ended, unless somebody was faster or it held nothing.
    fn replace_when_gone(&self, generation: u64) {
        let mut pause = TRIED_AGAIN_AFTER;
        loop {
            let mut state = self.lock();
            if state.generation != generation {
                return;
            }
            state.keeper = None;
            if state.links.is_empty() {
                return;
            }
            match self.replace(&mut state) {
                Ok(_) => return tracing::warn!("netd-keeper had ended: another holds the namespaces of sandboxes"),
                Err(error) => tracing::error!("nobody holds the namespaces of sandboxes while netd is away: {error}"),
            }
            drop(state);
            thread::sleep(pause);
            pause = (pause * 2).min(TRIED_AGAIN_AFTER_AT_MOST);
        }
    }

    /// The keeper that a former netd has started, if it is still there.
    fn connect(&self, state: &mut KeeperState) -> io::Result<()> {
        if state.keeper.is_some() {
            return Ok(());
        }
        let connected = Keeper::connect(&self.socket).and_then(|keeper| {
            self.watch_keeper(state, Keeper::connect(&self.socket)?, None)?;
            Ok(keeper)
        });
        match connected {
            Ok(keeper) => state.keeper = Some(keeper),
            Err(error) if error.kind() == io::ErrorKind::NotFound || has_ended(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Sees to it that they are held when netd ends, by another keeper should the last have ended a moment ago.
    pub(crate) fn outlive(&self) -> io::Result<()> {
        let mut state = self.lock();
        let Some((link, _)) = state.links.first_key_value() else { return Ok(()) };
        let answers = state.keeper.as_ref().map(|keeper| keeper.find(name_of(link)?).map(|found| found.is_some()));
        match answers {
            Some(Ok(true)) => Ok(()),
            _ => self.replace(&mut state).map(drop),
        }
    }
}

impl NamespaceKeeper for Namespaces {
    fn keep(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()> {
        // Killed from here on, netd finds the link.
        symlink(NOWHERE, link)?;
        self.keep_again(link, namespace)
    }

    fn keep_again(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()> {
        let own = namespace.try_clone_to_owned()?;
        let mut state = self.lock();
        self.connect(&mut state)?;
        point_link_at(link, &self.hold(&mut state, link, namespace)?)?;
        state.links.insert(link.to_owned(), own);
        Ok(())
    }

    fn resume(&self, link: &Path) -> io::Result<bool> {
        let mut state = self.lock();
        self.connect(&mut state)?;
        let found = match &state.keeper {
            Some(keeper) => match keeper.find(name_of(link)?) {
                Err(error) if has_ended(&error) => None,
                found => found?,
            },
            None => None,
        };
        let Some((namespace, path)) = found else {
            // Where it led may be another process's by now.
            self.lose(link)?;
            return Ok(false);
        };
        if fs::read_link(link)? != path {
            point_link_at(link, &path)?;
        }
        state.links.insert(link.to_owned(), namespace);
        Ok(true)
    }

    fn release(&self, link: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.links.remove(link);
        match &state.keeper {
            // One that has ended holds nothing.
            Some(keeper) => {
                keeper.release(name_of(link)?).or_else(|error| if has_ended(&error) { Ok(()) } else { Err(error) })
            }
            None => Ok(()),
        }
    }
}

/// Whether a keeper ended before it answered: it holds nothing any more.
fn has_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | UnexpectedEof)
}

/// What the keeper calls it.
fn name_of(link: &Path) -> io::Result<&str> {
    let name = link.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a namespace's name isn't text"))
}

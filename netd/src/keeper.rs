//! What `netd-keeper` does: holds descriptors, hands them out, and says something to who connects to a listening socket
//! whose daemon stays away. It decides nothing, and it is small: one thread, no runtime.

mod kept;
mod pending_clients;

use std::{
    collections::BTreeMap,
    fs, io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cnm::keeper::{Reply, Request};
use netd_client::keeper::{receive, send};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    net::{SocketFlags, SocketType, accept_with, sockopt},
};

use self::{
    kept::{Kept, Served},
    pending_clients::PendingClients,
};

/// How long who connects waits for a daemon that is being started again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves a `SOCK_SEQPACKET` listener until its file is gone: then nobody can ask any more.
///
/// # Errors
/// When it isn't such a socket, or can't be served.
pub fn serve(listener: OwnedFd) -> io::Result<()> {
    serve_with(&listener, PATIENCE)
}

fn serve_with(listener: &OwnedFd, patience: Duration) -> io::Result<()> {
    let socket = ServedSocket::of(listener)?;
    let mut keeper = Keeper {
        connections: BTreeMap::new(),
        next: 0,
        kept: BTreeMap::new(),
        held: BTreeMap::new(),
        pending: PendingClients::default(),
        patience,
    };
    while socket.is_ours() {
        keeper.poll_once(listener, &socket)?;
    }
    Ok(())
}

/// Where the served socket is.
struct ServedSocket {
    path: PathBuf,
    inode: (u64, u64),
    /// Tells of changes in its directory.
    changes: OwnedFd,
}

impl ServedSocket {
    fn of(listener: &OwnedFd) -> io::Result<Self> {
        let no_socket = || io::Error::new(io::ErrorKind::InvalidInput, "it is no SOCK_SEQPACKET socket with a path");
        if sockopt::socket_type(listener)? != SocketType::SEQPACKET {
            return Err(no_socket());
        }
        let address = rustix::net::getsockname(listener)?;
        let address = rustix::net::SocketAddrUnix::try_from(address).map_err(|_| no_socket())?;
        let path = address.path().and_then(|path| path.to_str().ok().map(PathBuf::from)).ok_or_else(no_socket)?;
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let going = inotify::WatchFlags::DELETE | inotify::WatchFlags::MOVED_FROM | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&changes, path.parent().unwrap_or(Path::new("/")), going)?;
        let inode = inode(&path)?;
        Ok(Self { path, inode, changes })
    }

    fn is_ours(&self) -> bool {
        inode(&self.path).is_ok_and(|inode| inode == self.inode)
    }

    fn read_changes(&self) {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut reader = inotify::Reader::new(&self.changes, &mut buffer);
        while reader.next().is_ok() {}
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

struct Keeper {
    connections: BTreeMap<u64, OwnedFd>,
    /// The next connection's number.
    next: u64,
    kept: BTreeMap<String, Kept>,
    /// What is only held.
    held: BTreeMap<String, OwnedFd>,
    pending: PendingClients,
    /// How long who connects waits for a daemon that is away.
    patience: Duration,
}

/// What `poll` says is ready.
enum Ready {
    Listener,
    Changes,
    Connection(u64),
    Kept(String),
    PendingClient,
}

impl Keeper {
    /// Waits for one thing or more, and does it.
    fn poll_once(&mut self, listener: &OwnedFd, socket: &ServedSocket) -> io::Result<()> {
        let now = Instant::now();
        let timeout = self.next_deadline(now).map(|deadline| deadline.saturating_duration_since(now));
        let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
        let mut what = vec![Ready::Listener, Ready::Changes];
        let mut polled = vec![PollFd::new(listener, PollFlags::IN), PollFd::new(&socket.changes, PollFlags::IN)];
        for (number, connection) in &self.connections {
            what.push(Ready::Connection(*number));
            polled.push(PollFd::new(connection, PollFlags::IN));
        }
        let room = self.pending.has_room();
        for (name, kept) in self.kept.iter().filter(|(_, kept)| room && kept.is_abandoned(now)) {
            what.push(Ready::Kept(name.clone()));
            polled.push(PollFd::new(&kept.descriptor, PollFlags::IN));
        }
        for connection in self.pending.connections() {
            what.push(Ready::PendingClient);
            polled.push(PollFd::new(connection, PollFlags::IN));
        }
        match poll(&mut polled, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            polled => polled?,
        };
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(polled);
        let first_pending = ready.len() - self.pending.connections().len();
        self.pending.dismiss(&ready[first_pending..]);
        for (what, _) in what.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            match what {
                Ready::Listener => self.accept(listener),
                Ready::Changes => socket.read_changes(),
                Ready::Connection(number) => self.receive_request(number),
                Ready::Kept(name) => {
                    if let Some(kept) = self.kept.get(&name) {
                        self.pending.accept(kept);
                    }
                }
                Ready::PendingClient => {}
            }
        }
        Ok(())
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.kept.values().filter(|kept| !kept.is_abandoned(now));
        waiting.filter_map(Kept::abandoned_at).chain(self.pending.next_deadline()).min()
    }

    fn accept(&mut self, listener: &OwnedFd) {
        // Nothing to be done about one that can't be had: the daemon asks again.
        if let Ok(connection) = accept_with(listener, SocketFlags::CLOEXEC) {
            self.connections.insert(self.next, connection);
            self.next += 1;
        }
    }

    /// One request; a connection that is closed or talks nonsense goes, and what it served is on its own.
    fn receive_request(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        let goes_on = match receive::<Request>(connection.as_fd()) {
            Ok(None) => false,
            Ok(Some((request, descriptor))) => self.answer(number, connection.as_fd(), request, descriptor).is_ok(),
            Err(error) => {
                let refused = Reply::Refused { message: error.to_string() };
                error.kind() == io::ErrorKind::InvalidData && send(connection.as_fd(), &refused, None).is_ok()
            }
        };
        if goes_on {
            self.connections.insert(number, connection);
            return;
        }
        for kept in self.kept.values_mut() {
            kept.served = kept.served.left_by(number, self.patience);
        }
    }

    fn answer(
        &mut self,
        number: u64,
        connection: BorrowedFd<'_>,
        request: Request,
        descriptor: Option<OwnedFd>,
    ) -> io::Result<()> {
        match (request, descriptor) {
            (Request::Keep { name, mark, farewell }, Some(descriptor)) => {
                let served = Served::By { connection: number, patient_until: None };
                self.kept.insert(name, Kept { descriptor, mark, farewell, served });
                send(connection, &Reply::Done, None)
            }
            (Request::Hold { name }, Some(descriptor)) => {
                let reply = held_at(&descriptor);
                self.held.insert(name, descriptor);
                send(connection, &reply, None)
            }
            (Request::Find { name }, _) => match self.held.get(&name) {
                Some(descriptor) => send(connection, &held_at(descriptor), Some(descriptor.as_fd())),
                None => send(connection, &Reply::Nothing, None),
            },
            (Request::Keep { .. } | Request::Hold { .. }, None) => {
                send(connection, &Reply::Refused { message: "no descriptor came along".to_owned() }, None)
            }
            (Request::Take { name }, _) => match self.kept.get_mut(&name) {
                Some(kept) => {
                    kept.served = kept.served.taken_by(number);
                    send(connection, &Reply::Here { mark: kept.mark.clone() }, Some(kept.descriptor.as_fd()))
                }
                None => send(connection, &Reply::Nothing, None),
            },
            (Request::Drop { name }, _) => {
                let was_there = self.kept.remove(&name).is_some() | self.held.remove(&name).is_some();
                let reply = if was_there { Reply::Done } else { Reply::Nothing };
                send(connection, &reply, None)
            }
        }
    }
}

fn held_at(descriptor: &OwnedFd) -> Reply {
    Reply::Held { process: std::process::id(), descriptor: descriptor.as_raw_fd() }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::{UnixListener, UnixStream},
        thread::JoinHandle,
    };

    use netd_client::keeper::{Keeper as Client, seqpacket};

    use super::*;

    /// A keeper in this process, which ends with its directory.
    struct Kept {
        directory: tempfile::TempDir,
        thread: JoinHandle<io::Result<()>>,
    }

    impl Kept {
        fn new(patience: Duration) -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let listener = seqpacket().expect("a socket");
            let address = rustix::net::SocketAddrUnix::new(directory.path().join("keeper.sock")).expect("an address");
            rustix::net::bind(&listener, &address).expect("bound");
            rustix::net::listen(&listener, 16).expect("listening");
            Self { directory, thread: std::thread::spawn(move || serve_with(&listener, patience)) }
        }

        fn client(&self) -> Client {
            Client::connect(&self.directory.path().join("keeper.sock")).expect("a keeper")
        }

        fn listener(&self) -> (UnixListener, PathBuf) {
            let path = self.directory.path().join("api.sock");
            let listener = UnixListener::bind(&path).expect("a socket");
            listener.set_nonblocking(true).expect("set up");
            (listener, path)
        }

        /// Ends it by removing its socket.
        fn end(self) {
            drop(self.directory);
            self.thread.join().expect("no panic").expect("no error");
        }
    }

    #[test]
    fn what_is_kept_comes_back_and_what_is_dropped_is_closed() {
        let kept = Kept::new(PATIENCE);
        let (listener, path) = kept.listener();
        let daemon = kept.client();
        assert!(daemon.take("api").expect("an answer").is_none());
        daemon.keep("api", "mark", "", listener.as_fd()).expect("kept");
        drop((daemon, listener));
        // Nobody serves it, yet it is there: who connects waits.
        let mut waiting = UnixStream::connect(&path).expect("it listens");
        let daemon = kept.client();
        let (descriptor, mark) = daemon.take("api").expect("an answer").expect("it is kept");
        assert_eq!(mark, "mark");
        let listener = UnixListener::from(descriptor);
        listener.set_nonblocking(false).expect("set up");
        listener.accept().expect("who waited").0.write_all(b"hello").expect("said");
        let mut heard = String::new();
        waiting.read_to_string(&mut heard).expect("heard");
        assert_eq!(heard, "hello");

        daemon.release("api").expect("an answer");
        drop(listener);
        UnixStream::connect(&path).expect_err("its last descriptor is closed");
        assert!(daemon.take("api").expect("an answer").is_none());
        kept.end();
    }

    #[test]
    fn while_its_daemon_stays_away_who_connects_is_told_so() {
        let kept = Kept::new(Duration::ZERO);
        let (listener, path) = kept.listener();
        let daemon = kept.client();
        daemon.keep("api", "", "nobody is there", listener.as_fd()).expect("kept");
        drop(daemon);
        for says_something in [true, false] {
            let mut client = UnixStream::connect(&path).expect("it listens");
            if says_something {
                client.write_all(b"GET / HTTP/1.1").expect("said");
            }
            let mut heard = String::new();
            client.read_to_string(&mut heard).expect("heard");
            assert_eq!(heard, "nobody is there");
        }
        // It is back, and serves alone.
        let daemon = kept.client();
        daemon.take("api").expect("an answer").expect("it is kept");
        let mut client = UnixStream::connect(&path).expect("it listens");
        listener.set_nonblocking(false).expect("set up");
        listener.accept().expect("a guest").0.write_all(b"here").expect("said");
        let mut heard = String::new();
        client.read_to_string(&mut heard).expect("heard");
        assert_eq!(heard, "here");
        kept.end();
    }

    #[test]
    fn what_is_held_is_reached_by_a_path() {
        let kept = Kept::new(PATIENCE);
        let daemon = kept.client();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"held").expect("written");
        let path = daemon.hold("one", file.as_fd()).expect("held");
        drop(file);
        // Also when who had it held is gone.
        drop(daemon);
        let daemon = kept.client();
        assert_eq!(fs::read_to_string(&path).expect("it leads there"), "held");
        let (_, again) = daemon.find("one").expect("an answer").expect("it is held");
        assert_eq!(again, path);
        assert!(daemon.find("other").expect("an answer").is_none());
        assert!(daemon.take("one").expect("an answer").is_none(), "it isn't a listener");
        daemon.release("one").expect("gone");
        daemon.release("one").expect("gone already");
        assert!(daemon.find("one").expect("an answer").is_none());
        kept.end();
    }

    #[test]
    fn nonsense_is_refused_by_name_and_hurts_nobody() {
        let kept = Kept::new(PATIENCE);
        let (listener, _) = kept.listener();
        let daemon = kept.client();
        daemon.keep("api", "", "", listener.as_fd()).expect("kept");
        for nonsense in [r#"{"steal":{"name":"api"}}"#, "{", r#"{"keep":{"name":"x","mark":""}}"#] {
            let socket = seqpacket().expect("a socket");
            let address =
                rustix::net::SocketAddrUnix::new(kept.directory.path().join("keeper.sock")).expect("an address");
            rustix::net::connect(&socket, &address).expect("a keeper");
            rustix::net::send(&socket, nonsense.as_bytes(), rustix::net::SendFlags::NOSIGNAL).expect("sent");
            let (reply, _) = receive::<Reply>(socket.as_fd()).expect("an answer").expect("no end");
            assert!(matches!(&reply, Reply::Refused { message } if !message.is_empty()), "{reply:?}");
        }
        assert!(daemon.take("api").expect("an answer").is_some());
        kept.end();
    }
}

//! Small servers and clients inside namespaces. Sockets are opened by threads that enter the namespace and end.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    path::PathBuf,
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns};

use crate::host;

/// How long something that must succeed may take on a machine under load.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long is waited for something that must not come. A packet that passes takes microseconds; the first
/// retransmission, which could hide a packet that passes late, is sent after a second.
const SILENCE: Duration = Duration::from_millis(400);

/// A place from which to talk: a namespace, or the host's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestNamespace {
    pub(crate) name: String,
    pub(crate) namespace: Option<PathBuf>,
}

impl TestNamespace {
    /// Runs something on a thread inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let Some(path) = &self.namespace else { return work() };
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                let namespace = File::open(path).expect("the namespace is there");
                setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
                work()
            });
            entered.join().expect("the work doesn't panic")
        })
    }

    /// Runs lines of the shell inside, which must succeed.
    #[track_caller]
    pub(crate) fn sh(&self, lines: &str) {
        match &self.namespace {
            None => host::run("sh", &["-ec", lines]),
            Some(path) => host::run("nsenter", &[&format!("--net={}", path.display()), "sh", "-ec", lines]),
        };
    }

    /// Serves TCP until the test ends: tells each client the address that it is seen by.
    pub(crate) fn serve(&self, address: &str) {
        let address: SocketAddr = address.parse().expect("an address and a port");
        let listener = self.run(|| TcpListener::bind(address)).expect("the server can listen");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let seen = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
                // A client that is gone needs no answer.
                let _ = stream.write_all(seen.as_bytes());
            }
        });
    }

    /// Connects by TCP; the address that the server sees.
    pub(crate) fn reach(&self, address: &str, time: Duration) -> io::Result<IpAddr> {
        let address: SocketAddr = address.parse().expect("an address and a port");
        self.run(|| {
            let mut stream = TcpStream::connect_timeout(&address, time)?;
            stream.set_read_timeout(Some(time))?;
            let mut seen = String::new();
            stream.read_to_string(&mut seen)?;
            seen.parse().map_err(|_| io::Error::other(format!("the server said {seen:?}")))
        })
    }

    /// An UDP socket inside.
    pub(crate) fn udp(&self, address: &str) -> UdpSocket {
        let socket = self.run(|| UdpSocket::bind(address)).expect("the socket can be bound");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        socket
    }

    #[track_caller]
    pub(crate) fn reaches(&self, address: &str, seen_as: &str) {
        match self.reach(address, PATIENCE) {
            Ok(seen) => assert_eq!(seen.to_string(), seen_as, "{} → {address}: seen by another address", self.name),
            Err(error) => panic!("{} → {address}: {error}", self.name),
        }
    }

    #[track_caller]
    pub(crate) fn does_not_reach(&self, address: &str) {
        if let Ok(seen) = self.reach(address, SILENCE) {
            panic!("{} → {address}: must not pass, and is seen as {seen}", self.name);
        }
    }
}

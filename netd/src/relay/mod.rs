//! The relay: passes bytes from IPv6 addresses of the host to endpoints that have only IPv4, which the kernel can't translate.
//!
//! One thread serves all ports, TCP and UDP; its sockets are in one epoll set, where a port costs an entry and nothing
//! else. It starts with the first port that needs it. Accepted connections are tasks of the runtime.

mod tcp;
mod udp;

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    os::fd::AsFd,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use cnm::{firewall::Protocol, ports::SocketSpec};
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
    },
};
use socket2::Socket;
use tokio::{runtime, sync::oneshot};
use tokio_util::sync::CancellationToken;

use self::udp::Sessions;
use crate::ports::BoundSocket;

/// How many ready sockets are asked for at once.
const READY: usize = 64;

/// Stands for the waker in the epoll set; ports and sessions count from 0.
const WAKER: u64 = u64::MAX;

/// A handle on the relay; its thread ends when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    commands: mpsc::Sender<Command>,
    /// Written to after each command: the thread waits for sockets.
    waker: Arc<EventFd>,
}

#[derive(Debug)]
enum Command {
    Serve(BoundSocket),
    Stop(SocketSpec),
    /// Say when all commands before this one are done.
    Drain(oneshot::Sender<()>),
}

/// Resolves when the relay has closed what it was told to stop.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Drained(Option<oneshot::Receiver<()>>);

impl Drained {
    pub(crate) async fn done(self) {
        if let Some(told) = self.0 {
            // It fails when the relay has ended, and holds nothing any more.
            let _ = told.await;
        }
    }
}

impl Relay {
    /// Serves a port, if it is one for the relay. To be called in a runtime.
    pub(crate) fn serve(&mut self, bound: &BoundSocket) {
        if bound.spec.relay_to.is_none() {
            return;
        }
        if self.running.is_none() {
            match Running::start() {
                Ok(running) => self.running = Some(running),
                Err(error) => return tracing::error!(%error, "cannot start the relay for IPv6 host addresses"),
            }
        }
        self.send(Command::Serve(bound.clone()));
    }

    /// Stops serving a port and drops its connections.
    pub(crate) fn stop(&self, bound: &BoundSocket) {
        if bound.spec.relay_to.is_some() {
            self.send(Command::Stop(bound.spec));
        }
    }

    /// Waits for all commands so far. Until then the relay holds sockets that nobody else does.
    pub(crate) fn drained(&self) -> Drained {
        if self.running.is_none() {
            return Drained::default();
        }
        let (tell, told) = oneshot::channel();
        self.send(Command::Drain(tell));
        Drained(Some(told))
    }

    fn send(&self, command: Command) {
        if let Some(running) = &self.running
            && running.commands.send(command).is_ok()
        {
            running.wake();
        }
    }
}

impl Running {
    fn start() -> io::Result<Self> {
        let poller = Poller::new()?;
        let waker = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        poller.add(&*waker, WAKER)?;
        let (commands, incoming) = mpsc::channel();
        let event_loop = EventLoop {
            poller,
            waker: waker.clone(),
            commands: incoming,
            runtime: runtime::Handle::current(),
            services: HashMap::new(),
            tokens: HashMap::new(),
            sessions: Sessions::default(),
            next_token: 0,
        };
        thread::Builder::new().name("netd-relay".to_owned()).stack_size(256 * 1024).spawn(move || event_loop.run())?;
        Ok(Self { commands, waker })
    }

    fn wake(&self) {
        // It fails only when it has been written to 2^64 - 2 times and not been read.
        let _ = self.waker.write(1);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The channel has to be closed before the thread looks at it.
        self.commands = mpsc::channel().0;
        self.wake();
    }
}

/// A port that is served.
#[derive(Debug)]
struct Service {
    spec: SocketSpec,
    socket: Arc<Socket>,
    to: SocketAddr,
    /// Ends the connections of the port.
    stop: CancellationToken,
}

#[derive(Debug)]
struct Poller(Epoll);

impl Poller {
    fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Edge-triggered: a socket that can't be served now (no descriptors left) doesn't make the thread spin.
    fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, token);
        Ok(self.0.add(socket, event)?)
    }

    fn remove(&self, socket: impl AsFd) {
        // It fails only when the socket isn't in the set.
        let _ = self.0.delete(socket);
    }

    /// Tokens of what is ready; none when the time is up.
    fn wait(&self, until: Option<Instant>) -> io::Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); READY];
        let timeout = match until {
            // Rounded up, or the last millisecond would be spent spinning.
            Some(until) => until.saturating_duration_since(Instant::now()).as_millis() + 1,
            None => return self.wait_for(&mut events, EpollTimeout::NONE),
        };
        self.wait_for(&mut events, EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::MAX))
    }

    fn wait_for(&self, events: &mut [EpollEvent], timeout: EpollTimeout) -> io::Result<Vec<u64>> {
        match self.0.wait(events, timeout) {
            Ok(count) => Ok(events[..count].iter().map(EpollEvent::data).collect()),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The relay's state, owned by its thread.
struct EventLoop {
    poller: Poller,
    waker: Arc<EventFd>,
    commands: mpsc::Receiver<Command>,
    runtime: runtime::Handle,
    services: HashMap<u64, Service>,
    tokens: HashMap<SocketSpec, u64>,
    sessions: Sessions,
    next_token: u64,
}

impl EventLoop {
    fn run(mut self) {
        loop {
            let ready = match self.poller.wait(self.sessions.next_sweep()) {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "the relay for IPv6 host addresses has failed");
                    break;
                }
            };
            for token in ready {
                if token != WAKER {
                    self.serve_ready(token);
                } else if !self.take_commands() {
                    return self.services.values().for_each(|service| service.stop.cancel());
                }
            }
            self.sessions.sweep_if_due(&self.poller);
        }
    }

    /// Whether there can be more.
    fn take_commands(&mut self) -> bool {
        // The waker is read before the commands: one that comes in between wakes it again.
        let _ = self.waker.read();
        loop {
            match self.commands.try_recv() {
                Ok(Command::Serve(bound)) => self.serve(bound),
                Ok(Command::Stop(spec)) => self.stop(&spec),
                // Nobody waits when a request was given up.
                Ok(Command::Drain(tell)) => drop(tell.send(())),
                Err(mpsc::TryRecvError::Empty) => return true,
                Err(mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn serve(&mut self, bound: BoundSocket) {
        let Some(to) = bound.spec.relay_to.map(SocketAddr::from) else { return };
        if self.tokens.contains_key(&bound.spec) {
            return;
        }
        let token = self.next_token;
        self.next_token += 1;
        let prepared = match bound.spec.protocol {
            Protocol::Tcp => tcp::prepare(&bound.socket),
            Protocol::Udp => udp::prepare(&bound.socket),
            Protocol::Sctp => return tracing::warn!(port = bound.spec.port, "SCTP can't be relayed"),
        };
        if let Err(error) = prepared.and_then(|()| self.poller.add(&*bound.socket, token)) {
            tracing::warn!(address = %bound.spec.address, port = bound.spec.port, %error, "cannot relay this port");
            return;
        }
        self.tokens.insert(bound.spec, token);
        let stop = CancellationToken::new();
        self.services.insert(token, Service { spec: bound.spec, socket: bound.socket, to, stop });
    }

    fn stop(&mut self, spec: &SocketSpec) {
        let Some(service) = self.tokens.remove(spec).and_then(|token| self.services.remove(&token)) else { return };
        self.poller.remove(&*service.socket);
        self.sessions.end_all_of(spec, &self.poller);
        service.stop.cancel();
    }

    fn serve_ready(&mut self, token: u64) {
        match self.services.get(&token) {
            Some(service) if service.spec.protocol == Protocol::Udp => {
                self.sessions.take_from_clients(service, &self.poller, &mut self.next_token);
            }
            Some(service) => tcp::accept_all(service, &self.runtime),
            None => self.sessions.take_from_endpoint(token),
        }
    }
}

//! Passes bytes from IPv6 addresses of the host to endpoints that have only IPv4: what the kernel can't translate.
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

/// Stands for the bell in the epoll set; ports and sessions count from 0.
const BELL: u64 = u64::MAX;

/// A handle on the relay; its thread ends when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    orders: mpsc::Sender<Order>,
    /// Rung after each order: the thread waits for sockets.
    bell: Arc<EventFd>,
}

#[derive(Debug)]
enum Order {
    Serve(BoundSocket),
    Stop(SocketSpec),
    /// Say when all orders before this one are done.
    Tell(oneshot::Sender<()>),
}

/// Comes when the relay has let go of what it was told to stop.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct LetGo(Option<oneshot::Receiver<()>>);

impl LetGo {
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
        self.order(Order::Serve(bound.clone()));
    }

    /// Stops serving a port and drops its connections.
    pub(crate) fn stop(&self, bound: &BoundSocket) {
        if bound.spec.relay_to.is_some() {
            self.order(Order::Stop(bound.spec));
        }
    }

    /// Waits for all that was ordered so far. Until then the relay holds sockets that nobody else does.
    pub(crate) fn let_go(&self) -> LetGo {
        if self.running.is_none() {
            return LetGo::default();
        }
        let (tell, told) = oneshot::channel();
        self.order(Order::Tell(tell));
        LetGo(Some(told))
    }

    fn order(&self, order: Order) {
        if let Some(running) = &self.running
            && running.orders.send(order).is_ok()
        {
            running.ring();
        }
    }
}

impl Running {
    fn start() -> io::Result<Self> {
        let poller = Poller::new()?;
        let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        poller.add(&*bell, BELL)?;
        let (orders, incoming) = mpsc::channel();
        let desk = Desk {
            poller,
            bell: bell.clone(),
            orders: incoming,
            runtime: runtime::Handle::current(),
            services: HashMap::new(),
            tokens: HashMap::new(),
            sessions: Sessions::default(),
            next_token: 0,
        };
        thread::Builder::new().name("netd-relay".to_owned()).stack_size(256 * 1024).spawn(move || desk.run())?;
        Ok(Self { orders, bell })
    }

    fn ring(&self) {
        // It fails only when the bell has been rung 2^64 - 2 times and not been heard.
        let _ = self.bell.write(1);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The channel has to be closed before the thread looks at it.
        self.orders = mpsc::channel().0;
        self.ring();
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
struct Desk {
    poller: Poller,
    bell: Arc<EventFd>,
    orders: mpsc::Receiver<Order>,
    runtime: runtime::Handle,
    services: HashMap<u64, Service>,
    tokens: HashMap<SocketSpec, u64>,
    sessions: Sessions,
    next_token: u64,
}

impl Desk {
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
                if token != BELL {
                    self.attend(token);
                } else if !self.take_orders() {
                    return self.services.values().for_each(|service| service.stop.cancel());
                }
            }
            self.sessions.sweep_if_due(&self.poller);
        }
    }

    /// Whether there can be more.
    fn take_orders(&mut self) -> bool {
        // The bell is muted before the orders are read: one that comes in between rings it again.
        let _ = self.bell.read();
        loop {
            match self.orders.try_recv() {
                Ok(Order::Serve(bound)) => self.serve(bound),
                Ok(Order::Stop(spec)) => self.stop(&spec),
                // Nobody waits when a request was given up.
                Ok(Order::Tell(tell)) => drop(tell.send(())),
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

    fn attend(&mut self, token: u64) {
        match self.services.get(&token) {
            Some(service) if service.spec.protocol == Protocol::Udp => {
                self.sessions.take_from_clients(service, &self.poller, &mut self.next_token);
            }
            Some(service) => tcp::accept_all(service, &self.runtime),
            None => self.sessions.take_from_endpoint(token),
        }
    }
}

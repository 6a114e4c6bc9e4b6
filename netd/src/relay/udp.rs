//! UDP: a session for each client and the address that it sent to, with a socket of its own towards the endpoint, gone
//! when nothing has passed for a while.

use std::{
    collections::HashMap,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};

use cnm::ports::HeldSocket;
use nix::{
    libc::in6_pktinfo,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg, setsockopt,
        sockopt::Ipv6RecvPacketInfo,
    },
};
use socket2::Socket;

use super::{Poller, Service};

/// As long as the kernel keeps a UDP stream in its own translation table (nf_conntrack_udp_timeout_stream).
const IDLE: Duration = Duration::from_secs(120);

/// A limit on what one flood of spoofed clients can cost.
const MOST_SESSIONS: usize = 4096;

/// The longest datagram.
const DATAGRAM_BYTES: usize = 65_535;

/// A reply must come from the address that the client sent to: the kernel says which that was (ipv6(7)).
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, Ipv6RecvPacketInfo, &true)?)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    port: HeldSocket,
    client: SocketAddr,
    local: Ipv6Addr,
}

struct Session {
    key: Key,
    /// The held socket, for replies.
    front: Arc<Socket>,
    /// Which of the host's addresses the client talks to.
    local: in6_pktinfo,
    /// Connected to the endpoint.
    back: UdpSocket,
    last_used: Instant,
}

/// All sessions of all ports.
pub(super) struct Sessions {
    by_token: HashMap<u64, Session>,
    tokens: HashMap<Key, u64>,
    next_sweep: Option<Instant>,
    buffer: Box<[u8]>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            by_token: HashMap::new(),
            tokens: HashMap::new(),
            next_sweep: None,
            buffer: Vec::new().into_boxed_slice(),
        }
    }
}

impl Sessions {
    /// When to look for idle sessions; never while there are none.
    pub(super) const fn next_sweep(&self) -> Option<Instant> {
        self.next_sweep
    }

    /// Ends idle sessions, when it is time to.
    pub(super) fn sweep_if_due(&mut self, poller: &Poller) {
        let now = Instant::now();
        if self.next_sweep.is_none_or(|due| now < due) {
            return;
        }
        self.end(poller, |session| now.duration_since(session.last_used) >= IDLE);
        self.next_sweep = (!self.by_token.is_empty()).then(|| now + IDLE);
    }

    pub(super) fn end_all_of(&mut self, port: &HeldSocket, poller: &Poller) {
        self.end(poller, |session| session.key.port == *port);
    }

    fn end(&mut self, poller: &Poller, ends: impl Fn(&Session) -> bool) {
        let tokens = &mut self.tokens;
        self.by_token.retain(|_, session| {
            let keep = !ends(session);
            if !keep {
                poller.remove(&session.back);
                tokens.remove(&session.key);
            }
            keep
        });
    }

    /// Passes on what waits on a port, until nothing does.
    pub(super) fn take_from_clients(&mut self, service: &Service, poller: &Poller, next_token: &mut u64) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; DATAGRAM_BYTES].into_boxed_slice();
        }
        loop {
            let datagram = match receive(&service.socket, &mut self.buffer) {
                Ok(datagram) => datagram,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(port = service.what.port, %error, "cannot receive a datagram to relay");
                    return;
                }
            };
            let Some((length, client, local)) = datagram else { continue };
            let local_address = Ipv6Addr::from(local.ipi6_addr.s6_addr);
            let key = Key { port: service.what, client, local: local_address };
            let token = match self.tokens.get(&key) {
                Some(token) => *token,
                None => match self.begin(key, service, local, poller, next_token) {
                    Ok(Some(token)) => token,
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::debug!(%client, to = %service.to, %error, "cannot relay a client's datagrams");
                        continue;
                    }
                },
            };
            if let Some(session) = self.by_token.get_mut(&token) {
                session.last_used = Instant::now();
                // As on any path of UDP: what can't be sent is lost, and the next one is tried.
                let _ = session.back.send(&self.buffer[..length]);
            }
        }
    }

    fn begin(
        &mut self,
        key: Key,
        service: &Service,
        local: in6_pktinfo,
        poller: &Poller,
        next_token: &mut u64,
    ) -> io::Result<Option<u64>> {
        if self.by_token.len() >= MOST_SESSIONS {
            return Ok(None);
        }
        let unspecified: IpAddr = match service.to {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let back = UdpSocket::bind((unspecified, 0))?;
        back.set_nonblocking(true)?;
        back.connect(service.to)?;
        let token = *next_token;
        *next_token += 1;
        poller.add(&back, token)?;
        let now = Instant::now();
        self.next_sweep.get_or_insert(now + IDLE);
        self.tokens.insert(key.clone(), token);
        let session = Session { key, front: service.socket.clone(), local, back, last_used: now };
        self.by_token.insert(token, session);
        Ok(Some(token))
    }

    /// Passes on what an endpoint answered.
    pub(super) fn take_from_endpoint(&mut self, token: u64) {
        let Some(session) = self.by_token.get_mut(&token) else { return };
        loop {
            match session.back.recv(&mut self.buffer) {
                Ok(length) => {
                    session.last_used = Instant::now();
                    if let Err(error) = reply(session, &self.buffer[..length]) {
                        tracing::debug!(client = %session.key.client, %error, "cannot relay a reply");
                    }
                }
                // The endpoint's "port unreachable" for an earlier datagram.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }
}

/// A datagram's length, its sender, and the address that it was sent to.
fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<Option<(usize, SocketAddr, in6_pktinfo)>> {
    let mut control = nix::cmsg_space!(in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let client = message.address.as_ref().and_then(SockaddrStorage::as_sockaddr_in6).copied();
    let local = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(info),
        _ => None,
    });
    let length = message.bytes;
    Ok(client.zip(local).map(|(client, local)| (length, SocketAddr::V6(client.into()), local)))
}

fn reply(session: &Session, data: &[u8]) -> io::Result<()> {
    let SocketAddr::V6(client) = session.key.client else { return Ok(()) };
    let mut local = session.local;
    if !session.key.local.is_unicast_link_local() {
        // The way back is the routing table's business; only a link-local address needs its interface.
        local.ipi6_ifindex = 0;
    }
    let control = [ControlMessage::Ipv6PacketInfo(&local)];
    let address = SockaddrIn6::from(client);
    sendmsg(session.front.as_raw_fd(), &[IoSlice::new(data)], &control, MsgFlags::MSG_DONTWAIT, Some(&address))?;
    Ok(())
}

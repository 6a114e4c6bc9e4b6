//! UDP: a session for each client and the address that it sent to, with a socket of its own towards the endpoint, gone
//! when nothing has passed for a while.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::Arc,
    time::{Duration, Instant},
};

use cnm::ports::SocketSpec;
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

/// A limit on what one flood of spoofed clients can cost; beyond it the session that has been idle for longest ends.
const MOST_SESSIONS: usize = 4096;

/// The longest datagram.
const DATAGRAM_BYTES: usize = 65_535;

/// A reply must come from the address that the client sent to: the kernel says which that was (ipv6(7)).
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    Ok(setsockopt(socket, Ipv6RecvPacketInfo, &true)?)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    port: SocketSpec,
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
    /// By when they were last used, the longest idle first.
    by_use: BTreeSet<(Instant, u64)>,
    most: usize,
    next_sweep: Option<Instant>,
    buffer: Box<[u8]>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::at_most(MOST_SESSIONS)
    }
}

impl Sessions {
    fn at_most(most: usize) -> Self {
        Self {
            by_token: HashMap::new(),
            tokens: HashMap::new(),
            by_use: BTreeSet::new(),
            most,
            next_sweep: None,
            buffer: Vec::new().into_boxed_slice(),
        }
    }

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

    pub(super) fn end_all_of(&mut self, port: &SocketSpec, poller: &Poller) {
        self.end(poller, |session| session.key.port == *port);
    }

    fn end(&mut self, poller: &Poller, ends: impl Fn(&Session) -> bool) {
        let (tokens, by_use) = (&mut self.tokens, &mut self.by_use);
        self.by_token.retain(|token, session| {
            let keep = !ends(session);
            if !keep {
                poller.remove(&session.back);
                tokens.remove(&session.key);
                by_use.remove(&(session.last_used, *token));
            }
            keep
        });
    }

    /// Makes room for one more session.
    fn end_longest_idle(&mut self, poller: &Poller) {
        let Some((_, token)) = self.by_use.pop_first() else { return };
        if let Some(session) = self.by_token.remove(&token) {
            poller.remove(&session.back);
            self.tokens.remove(&session.key);
        }
    }

    /// Notes that a session is used now.
    fn touch(&mut self, token: u64) {
        if let Some(session) = self.by_token.get_mut(&token) {
            self.by_use.remove(&(session.last_used, token));
            session.last_used = Instant::now();
            self.by_use.insert((session.last_used, token));
        }
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
                    tracing::debug!(port = service.spec.port, %error, "cannot receive a datagram to relay");
                    return;
                }
            };
            let Some((length, client, local)) = datagram else { continue };
            let local_address = Ipv6Addr::from(local.ipi6_addr.s6_addr);
            let key = Key { port: service.spec, client, local: local_address };
            let token = match self.tokens.get(&key) {
                Some(token) => *token,
                None => match self.begin(key, service, local, poller, next_token) {
                    Ok(token) => token,
                    Err(error) => {
                        tracing::debug!(%client, to = %service.to, %error, "cannot relay a client's datagrams");
                        continue;
                    }
                },
            };
            self.touch(token);
            if let Some(session) = self.by_token.get(&token) {
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
    ) -> io::Result<u64> {
        if self.by_token.len() >= self.most {
            self.end_longest_idle(poller);
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
        self.by_use.insert((now, token));
        Ok(token)
    }

    /// Passes on what an endpoint answered.
    pub(super) fn take_from_endpoint(&mut self, token: u64) {
        self.touch(token);
        let Some(session) = self.by_token.get(&token) else { return };
        loop {
            match session.back.recv(&mut self.buffer) {
                Ok(length) => {
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use cnm::firewall::Protocol;
    use socket2::{Domain, Type};
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn the_longest_idle_session_makes_room() {
        let endpoint = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let to = endpoint.local_addr().expect("an address");
        let front = Socket::new(Domain::IPV6, Type::DGRAM.nonblocking(), None).expect("a socket");
        prepare(&front).expect("packet information");
        front.bind(&SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into()).expect("a port");
        let address = front.local_addr().expect("an address").as_socket_ipv6().expect("IPv6");
        let spec = SocketSpec {
            protocol: Protocol::Udp,
            address: (*address.ip()).into(),
            port: address.port(),
            dual_stack: false,
            relay_to: Some((to.ip(), to.port())),
            fixed: true,
        };
        let service = Service { spec, socket: Arc::new(front), to, stop: CancellationToken::new() };
        let (poller, mut next_token) = (Poller::new().expect("an epoll set"), 0);
        let mut sessions = Sessions::at_most(2);
        let clients: Vec<_> = (0..3).map(|_| UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a port")).collect();
        let mut say = |client: usize, sessions: &mut Sessions| {
            clients[client].send_to(&[client as u8], address).expect("sent");
            sessions.take_from_clients(&service, &poller, &mut next_token);
        };
        say(0, &mut sessions);
        say(1, &mut sessions);
        say(0, &mut sessions);
        say(2, &mut sessions);
        let left: BTreeSet<_> = sessions.tokens.keys().map(|key| key.client.port()).collect();
        let port = |client: usize| clients[client].local_addr().expect("an address").port();
        assert_eq!(left, BTreeSet::from([port(0), port(2)]));
        assert_eq!((sessions.by_token.len(), sessions.by_use.len()), (2, 2));
        let heard: Vec<u8> = (0..4)
            .map(|_| {
                let mut datagram = [0; 8];
                endpoint.recv(&mut datagram).expect("a datagram");
                datagram[0]
            })
            .collect();
        assert_eq!(heard, [0, 1, 0, 2]);
    }
}

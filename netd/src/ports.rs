//! Published ports are reserved by bound sockets, so that no other program of the host takes them; the firewall leads their
//! packets away before they get here. The few that need a relay are lent to it.
//!
//! A socket is bound and never listens: where the kernel's translation is missing, a connection is refused as it would
//! be without us. There is no SO_REUSEADDR: with it another program could bind beside us. TCP sockets of the relay are
//! different: they listen from the start, which keeps others away as well, and have SO_REUSEADDR, or connections that
//! ended a moment ago (TIME_WAIT) would keep us from binding the port again.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
};

use cnm::{Kind, firewall::Protocol, id::SandboxId, ports::SocketSpec};
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use socket2::{Domain, Socket, Type};

use crate::Error;

/// The kernel caps it at `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 4096;

/// Descriptors that ports leave for all else that netd does: clients, namespaces, its files.
const SPARE_DESCRIPTORS: u64 = 512;

/// The sockets of all sandboxes.
#[derive(Debug, Default)]
pub(crate) struct PortSockets {
    bound: HashMap<SandboxId, Vec<BoundSocket>>,
}

/// One socket that is held. Clones share it; it is closed with the last.
#[derive(Debug, Clone)]
pub(crate) struct BoundSocket {
    pub(crate) spec: SocketSpec,
    pub(crate) socket: Arc<Socket>,
}

/// Why sockets could not be held.
#[derive(Debug)]
pub(crate) struct BindFailure {
    /// The one that could not.
    pub(crate) spec: SocketSpec,
    /// Another program has it.
    pub(crate) taken: bool,
    pub(crate) error: Error,
}

/// Why a port can't be held that somebody else has; who that is may be found: [`crate::port_process`].
pub(crate) const IN_USE: &str =
    "address already in use by another program of this host, stop it or choose another port";

impl PortSockets {
    /// A sandbox has these, too.
    pub(crate) fn add(&mut self, sandbox: &SandboxId, bound: Vec<BoundSocket>) {
        if !bound.is_empty() {
            self.bound.entry(sandbox.clone()).or_default().extend(bound);
        }
    }

    /// Binds what it can for a sandbox, and says what it can't: after a restart, when ports are led to it already.
    pub(crate) fn bind_again(&mut self, sandbox: &SandboxId, sockets: Vec<SocketSpec>) -> Vec<BindFailure> {
        let (bound, lost): (Vec<_>, Vec<_>) =
            self.missing(sandbox, sockets).into_iter().map(bind).partition(Result::is_ok);
        self.bound.entry(sandbox.clone()).or_default().extend(bound.into_iter().filter_map(Result::ok));
        lost.into_iter().filter_map(Result::err).map(|failure| *failure).collect()
    }

    /// A sandbox's sockets.
    pub(crate) fn of(&self, sandbox: &SandboxId) -> &[BoundSocket] {
        self.bound.get(sandbox).map_or(&[], Vec::as_slice)
    }

    /// Closes a sandbox's sockets, and answers with them.
    pub(crate) fn release(&mut self, sandbox: &SandboxId) -> Vec<BoundSocket> {
        self.bound.remove(sandbox).unwrap_or_default()
    }

    /// Those of a sandbox's sockets that aren't held yet.
    pub(crate) fn missing(&self, sandbox: &SandboxId, mut sockets: Vec<SocketSpec>) -> Vec<SocketSpec> {
        let bound: HashSet<_> = self.of(sandbox).iter().map(|bound| place(&bound.spec)).collect();
        sockets.retain(|socket| !bound.contains(&place(socket)));
        sockets
    }

    /// A sandbox now has these sockets, which may lead elsewhere than before: what stays is never unbound. Answers with
    /// those that are closed or lead elsewhere, as they were.
    pub(crate) fn follow(&mut self, sandbox: &SandboxId, sockets: &[SocketSpec]) -> Vec<BoundSocket> {
        let wanted: HashMap<_, _> = sockets.iter().map(|socket| (place(socket), *socket)).collect();
        let (mut kept, mut changed) = (Vec::new(), Vec::new());
        for bound in self.bound.remove(sandbox).unwrap_or_default() {
            let spec = wanted.get(&place(&bound.spec));
            if spec != Some(&bound.spec) {
                changed.push(bound.clone());
            }
            kept.extend(spec.map(|spec| BoundSocket { spec: *spec, ..bound }));
        }
        if !kept.is_empty() {
            self.bound.insert(sandbox.clone(), kept);
        }
        changed
    }
}

/// What a socket occupies, wherever it leads.
const fn place(spec: &SocketSpec) -> (Protocol, IpAddr, u16, bool) {
    (spec.protocol, spec.address, spec.port, spec.dual_stack)
}

/// Binds all sockets, or none.
pub(crate) fn bind_all(sockets: Vec<SocketSpec>) -> Result<Vec<BoundSocket>, Box<BindFailure>> {
    sockets.into_iter().map(bind).collect()
}

fn bind(spec: SocketSpec) -> Result<BoundSocket, Box<BindFailure>> {
    match try_bind(&spec) {
        Ok(socket) => Ok(BoundSocket { spec, socket: Arc::new(socket) }),
        Err(source) => Err(Box::new(refusal(spec, source))),
    }
}

fn try_bind(spec: &SocketSpec) -> io::Result<Socket> {
    let address = SocketAddr::new(spec.address, spec.port);
    match open(spec, address) {
        // A host without IPv6: there is nothing to hold but IPv4.
        Err(error) if spec.dual_stack && is(&error, Errno::EAFNOSUPPORT) => {
            open(spec, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), spec.port))
        }
        result => result,
    }
}

fn open(spec: &SocketSpec, address: SocketAddr) -> io::Result<Socket> {
    let (kind, protocol) = match spec.protocol {
        Protocol::Tcp => (Type::STREAM, socket2::Protocol::TCP),
        Protocol::Udp => (Type::DGRAM, socket2::Protocol::UDP),
        Protocol::Sctp => (Type::STREAM, socket2::Protocol::SCTP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if is_spare(&socket)? {
        return Err(Errno::EMFILE.into());
    }
    if address.is_ipv6() {
        socket.set_only_v6(!spec.dual_stack)?;
        // An address that the host hasn't yet (a VPN's, a floating one) can be published: ip(7), IP_FREEBIND.
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    if spec.protocol == Protocol::Udp && spec.relay_to.is_none() {
        // Nobody reads what strays in here: keep as little of it as the kernel lets us.
        socket.set_recv_buffer_size(0)?;
    }
    let listens = spec.protocol == Protocol::Tcp && spec.relay_to.is_some();
    if listens {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if listens {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn refusal(spec: SocketSpec, source: io::Error) -> BindFailure {
    let taken = is(&source, Errno::EADDRINUSE);
    let (reason, kind) = match Errno::from_raw(source.raw_os_error().unwrap_or(0)) {
        Errno::EADDRINUSE => (IN_USE, Kind::Conflict),
        Errno::EACCES | Errno::EPERM => ("netd may not use it", Kind::Forbidden),
        Errno::EMFILE | Errno::ENFILE => (
            "netd has as many ports open as its limit of open files allows, raise the limit (LimitNOFILE=) or publish fewer",
            Kind::Unavailable,
        ),
        Errno::EADDRNOTAVAIL | Errno::EINVAL => {
            ("the host can't have this address, IPv6 link-local ones can't be published", Kind::InvalidParameter)
        }
        Errno::EAFNOSUPPORT => ("this kernel has no IPv6: CONFIG_IPV6", Kind::NotImplemented),
        Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT => {
            ("this kernel has no SCTP: CONFIG_IP_SCTP", Kind::NotImplemented)
        }
        _ => ("the kernel refuses it", Kind::Internal),
    };
    let address = SocketAddr::new(spec.address, spec.port);
    BindFailure {
        spec,
        taken,
        error: Error::BindPort { address, protocol: spec.protocol, reason: reason.into(), kind, source },
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}

/// Whether a socket has one of the descriptors that ports should leave. The kernel gives the lowest free one.
fn is_spare(socket: &Socket) -> io::Result<bool> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let for_ports = limit - SPARE_DESCRIPTORS.min(limit / 2);
    Ok(u64::try_from(socket.as_raw_fd()).is_ok_and(|descriptor| descriptor >= for_ports))
}

/// Lets netd have as many sockets as the system allows it: the usual soft limit is 1024.
pub(crate) fn raise_file_limit() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files: fewer ports can be published");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket on a port that the kernel chose and nobody else has.
    fn free_socket(relay_to: Option<(IpAddr, u16)>) -> SocketSpec {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = probe.local_addr().expect("an address");
        SocketSpec {
            protocol: Protocol::Tcp,
            address: address.ip(),
            port: address.port(),
            dual_stack: false,
            relay_to,
            fixed: true,
        }
    }

    fn sandbox() -> SandboxId {
        "web".parse().expect("an id")
    }

    #[test]
    fn what_is_held_already_is_not_lost() {
        let (mut port_sockets, socket) = (PortSockets::default(), free_socket(None));
        port_sockets.add(&sandbox(), bind_all(vec![socket]).expect("a free port"));
        let lost = port_sockets.bind_again(&sandbox(), vec![socket]);
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(port_sockets.of(&sandbox()).len(), 1);
    }

    #[test]
    fn only_sockets_that_lead_elsewhere_change() {
        let to = |address: [u8; 4]| Some((IpAddr::from(address), 80));
        let (here, there) = (free_socket(to([172, 17, 0, 2])), free_socket(to([172, 17, 0, 2])));
        let mut port_sockets = PortSockets::default();
        port_sockets.add(&sandbox(), bind_all(vec![here, there]).expect("free ports"));
        let moved = SocketSpec { relay_to: to([172, 18, 0, 2]), ..there };
        let changed = port_sockets.follow(&sandbox(), &[here, moved]);
        assert_eq!(changed.iter().map(|bound| bound.spec).collect::<Vec<_>>(), [there]);
        assert_eq!(port_sockets.of(&sandbox()).iter().map(|bound| bound.spec).collect::<Vec<_>>(), [here, moved]);
    }
}

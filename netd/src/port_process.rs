//! Finds the process of this host that has a port which netd could not bind. It is looked for when a port is refused, and at no other time: all
//! descriptors of all processes are gone through.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use cnm::{Kind, firewall::Protocol};
use procfs::{
    net::{TcpState, tcp, tcp6, udp, udp6},
    process::{FDTarget, Process, all_processes},
};

use crate::{Error, ports::IN_USE};

/// On a host with very many descriptors the name isn't worth keeping who asked waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// The error with the name of the program that has the port, where that is what is wrong and it is found.
pub(crate) async fn explain(error: Error) -> Error {
    let Error::BindPort { address, protocol, kind: Kind::Conflict, .. } = error else { return error };
    let process = tokio::task::spawn_blocking(move || within(PATIENCE, protocol, address)).await.ok().flatten();
    match (process, error) {
        (Some(process), Error::BindPort { address, protocol, kind, source, .. }) => {
            let reason = IN_USE.replace("another program of this host", &process).into();
            Error::BindPort { address, protocol, reason, kind, source }
        }
        (_, error) => error,
    }
}

/// A program that has a socket in the way of one that is wanted, as in `nginx (process 812)`; nothing when it isn't found.
fn within(patience: Duration, protocol: Protocol, wanted: SocketAddr) -> Option<String> {
    let deadline = Instant::now() + patience;
    let inodes = inodes(protocol, wanted);
    if inodes.is_empty() {
        return None;
    }
    // Processes come and go meanwhile, and of some we may see nothing.
    let mut processes = all_processes().ok()?.flatten().take_while(|_| Instant::now() < deadline);
    processes.find(|process| has_one_of(process, &inodes)).and_then(|process| {
        let program = process.stat().ok()?.comm;
        Some(format!("{program} (process {})", process.pid()))
    })
}

/// Sockets in the way of a wanted one: those that listen, if any does.
fn inodes(protocol: Protocol, wanted: SocketAddr) -> HashSet<u64> {
    let is_in_the_way = |address: &SocketAddr| address.port() == wanted.port() && overlap(address.ip(), wanted.ip());
    let (listening, others): (Vec<(u64, bool)>, _) = match protocol {
        Protocol::Tcp => {
            let entries = [tcp(), tcp6()].into_iter().flatten().flatten();
            let ours = entries.filter(|entry| is_in_the_way(&entry.local_address));
            ours.map(|entry| (entry.inode, entry.state == TcpState::Listen)).partition(|(_, listens)| *listens)
        }
        Protocol::Udp => {
            let entries = [udp(), udp6()].into_iter().flatten().flatten();
            let ours = entries.filter(|entry| is_in_the_way(&entry.local_address));
            (ours.map(|entry| (entry.inode, true)).collect(), Vec::new())
        }
        // procfs has no list of them.
        Protocol::Sctp => (Vec::new(), Vec::new()),
    };
    let found = if listening.is_empty() { others } else { listening };
    // A connection that has ended a moment ago is nobody's.
    found.into_iter().map(|(inode, _)| inode).filter(|inode| *inode != 0).collect()
}

/// Whether a socket on one address may meet one on the other: one of them has all addresses, or both have this one.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let has_both = |address: IpAddr| address.is_ipv6() && address.is_unspecified();
    let families_meet = one.is_ipv4() == other.is_ipv4() || has_both(one) || has_both(other);
    families_meet && (one == other || one.is_unspecified() || other.is_unspecified())
}

fn has_one_of(process: &Process, inodes: &HashSet<u64>) -> bool {
    let descriptors = process.fd().into_iter().flatten().flatten();
    let mut targets = descriptors.map(|descriptor| descriptor.target);
    targets.any(|target| matches!(target, FDTarget::Socket(inode) if inodes.contains(&inode)))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    /// However busy the machine is.
    fn found(protocol: Protocol, wanted: SocketAddr) -> Option<String> {
        within(Duration::from_secs(60), protocol, wanted)
    }

    fn wanted(address: &str, port: u16) -> SocketAddr {
        SocketAddr::new(address.parse().expect("an address"), port)
    }

    #[test]
    fn the_program_that_has_the_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let own = format!("(process {})", std::process::id());
        for address in ["127.0.0.1", "0.0.0.0", "::"] {
            let process = found(Protocol::Tcp, wanted(address, port)).unwrap_or_default();
            assert!(process.ends_with(&own), "{address}: {process:?}");
        }
        assert_eq!(found(Protocol::Tcp, wanted("127.0.0.2", port)), None, "not in the way");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let process = found(Protocol::Udp, wanted("0.0.0.0", socket.local_addr().expect("an address").port()));
        assert!(process.is_some_and(|process| process.ends_with(&own)));
    }

    #[test]
    fn a_clients_port_is_in_the_way_as_well() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
        let port = client.local_addr().expect("an address").port();
        assert!(found(Protocol::Tcp, wanted("0.0.0.0", port)).is_some());
    }
}

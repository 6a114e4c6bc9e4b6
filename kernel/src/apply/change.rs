//! What operations on links, addresses and routes mean in netlink messages, one namespace at a time.

use std::os::fd::BorrowedFd;

use cnm::{
    id::LinkName,
    op::{Bridge, NamespaceAt, Neighbour, Op, Route, VethPair},
};
use ipnetwork::IpNetwork;

use crate::route::{self, RouteRequest};

/// One netlink message to one namespace.
#[derive(Debug)]
pub(super) enum Change<'p> {
    CreateBridge(&'p Bridge),
    /// Sets a bridge's MTU, and it up.
    FinishBridge(&'p Bridge),
    DeleteLink(&'p LinkName),
    CreateVeth(&'p VethPair),
    /// Sets the flags of a veth's bridge port, and it up.
    PortFlags(&'p VethPair),
    /// Binds the peer's MAC address to the bridge port.
    BindMac(&'p VethPair),
    SetUp(&'p LinkName),
    Retire(&'p VethPair),
    AddAddress(&'p LinkName, IpNetwork),
    RemoveAddress(&'p LinkName, IpNetwork),
    AddRoute(&'p Route),
    RemoveRoute(&'p Route),
    AddNeighbour(&'p Neighbour),
    RemoveNeighbour(&'p Neighbour),
}

/// An operation's messages with the namespaces that they go to, in order; none if it isn't made of messages.
pub(super) fn changes(op: &Op) -> Option<Vec<(&NamespaceAt, Change<'_>)>> {
    let host = &NamespaceAt::Host;
    Some(match op {
        Op::CreateBridge(bridge) => vec![(host, Change::CreateBridge(bridge)), (host, Change::FinishBridge(bridge))],
        Op::DeleteBridge(bridge) => vec![(host, Change::DeleteLink(&bridge.name))],
        Op::CreateVeth(pair) => {
            vec![
                (host, Change::CreateVeth(pair)),
                (host, Change::PortFlags(pair)),
                (host, Change::BindMac(pair)),
                (&pair.peer.namespace, Change::SetUp(&pair.peer.name)),
            ]
        }
        Op::RetireVeth(pair) => vec![(host, Change::Retire(pair))],
        Op::AddAddress { link, address } => vec![(&link.namespace, Change::AddAddress(&link.name, *address))],
        Op::RemoveAddress { link, address } => vec![(&link.namespace, Change::RemoveAddress(&link.name, *address))],
        Op::AddRoute { namespace, route } => vec![(namespace, Change::AddRoute(route))],
        Op::RemoveRoute { namespace, route } => vec![(namespace, Change::RemoveRoute(route))],
        Op::AddNeighbour { namespace, neighbour } => vec![(namespace, Change::AddNeighbour(neighbour))],
        Op::RemoveNeighbour { namespace, neighbour } => vec![(namespace, Change::RemoveNeighbour(neighbour))],
        Op::CreateNamespace(_) | Op::DropNamespace(_) | Op::SetSysctl { .. } | Op::Firewall(_) => return None,
    })
}

impl Change<'_> {
    /// The link whose index the message wants.
    pub(super) fn needs_index(&self) -> Option<&LinkName> {
        match self {
            Self::CreateVeth(pair) => Some(&pair.bridge),
            Self::AddAddress(link, _) | Self::RemoveAddress(link, _) => Some(link),
            Self::AddRoute(route) | Self::RemoveRoute(route) => Some(&route.link),
            Self::AddNeighbour(neighbour) | Self::RemoveNeighbour(neighbour) => Some(&neighbour.link),
            Self::BindMac(pair) => Some(&pair.host_end),
            _ => None,
        }
    }

    fn creates(&self, name: &LinkName) -> bool {
        match self {
            Self::CreateBridge(bridge) => bridge.name == *name,
            Self::CreateVeth(pair) => pair.host_end == *name || pair.peer.name == *name,
            _ => false,
        }
    }

    /// Whether it can only be sent when those before it have succeeded: since the kernel handles each message whatever
    /// becomes of the others, changing what a refused creation didn't make would change somebody else's link.
    pub(super) fn must_follow(&self, before: &[(usize, Change<'_>)]) -> bool {
        let names = match self {
            Self::PortFlags(pair) | Self::Retire(pair) => Some(&pair.host_end),
            Self::FinishBridge(bridge) => Some(&bridge.name),
            Self::SetUp(name) | Self::DeleteLink(name) => Some(*name),
            other => other.needs_index(),
        };
        names.is_some_and(|name| before.iter().any(|(_, change)| change.creates(name)))
    }

    /// Whether its aim is that something isn't there.
    pub(super) fn removes(&self) -> bool {
        matches!(
            self,
            Self::DeleteLink(_)
                | Self::Retire(_)
                | Self::RemoveAddress(..)
                | Self::RemoveRoute(_)
                | Self::RemoveNeighbour(_)
        )
    }

    /// The message. `peer_namespace` is where a veth's peer is born.
    pub(super) fn request(
        &self,
        index: u32,
        peer_namespace: BorrowedFd<'_>,
        isolated_by_firewall: bool,
    ) -> RouteRequest {
        match self {
            Self::CreateBridge(bridge) => route::create_bridge(bridge),
            Self::FinishBridge(bridge) => route::set_bridge_mtu_and_up(bridge),
            Self::DeleteLink(name) => route::delete_link(name),
            Self::CreateVeth(pair) => route::create_veth(pair, index, peer_namespace),
            Self::PortFlags(pair) => route::set_port_flags_and_up(pair, isolated_by_firewall),
            Self::BindMac(pair) => route::bind_mac(index, pair.peer_mac),
            Self::SetUp(name) => route::set_up(name),
            Self::Retire(pair) => route::retire(&pair.host_end),
            Self::AddAddress(_, address) => route::add_address(index, *address),
            Self::RemoveAddress(_, address) => route::remove_address(index, *address),
            Self::AddRoute(route) => route::add_route(index, route),
            Self::RemoveRoute(route) => route::remove_route(index, route),
            Self::AddNeighbour(neighbour) => route::add_neighbour(index, neighbour),
            Self::RemoveNeighbour(neighbour) => route::remove_neighbour(index, neighbour),
        }
    }
}

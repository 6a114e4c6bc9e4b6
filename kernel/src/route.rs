//! Links, addresses and routes over rtnetlink, by name: the index that the kernel wants is looked up.

mod message;
mod observe;
mod watch;

pub(crate) use message::*;
pub(crate) use watch::watch;

use std::{collections::BTreeMap, io};

use cnm::{id::LinkName, op::Op};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;

use crate::netlink::{self, Request};

/// An rtnetlink socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) inner: netlink::Socket<RouteNetlinkMessage>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { inner: netlink::Socket::open(netlink_sys::protocols::NETLINK_ROUTE)? })
    }

    /// Sends requests of which each must succeed; the first refusal is the error.
    pub(crate) fn all(&mut self, requests: Vec<Request<RouteNetlinkMessage>>) -> io::Result<()> {
        self.inner.exchange(requests)?.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// Sets the loopback device up; its index is 1 in every namespace (`LOOPBACK_IFINDEX`).
    pub(crate) fn set_loopback_up(&mut self) -> io::Result<()> {
        self.all(vec![set_up_by_index(1)])
    }

    /// Sets a bridge up that is down, and a veth's host end up and onto its bridge; says whether that was needed.
    pub(crate) fn set_right(&mut self, op: &Op, isolated_by_firewall: bool) -> io::Result<bool> {
        let (name, bridge) = match op {
            Op::CreateBridge(bridge) => (&bridge.name, None),
            Op::CreateVeth(pair) => (&pair.host_end, Some(&pair.bridge)),
            _ => return Ok(false),
        };
        let seen = self.observe(|link| link == name)?;
        let seen = seen.links.get(name).ok_or(Errno::ENODEV)?;
        if seen.up && seen.bridge.as_ref() == bridge {
            return Ok(false);
        }
        let Op::CreateVeth(pair) = op else { return self.all(vec![set_up(name)]).map(|()| true) };
        let indexes = self.indexes(&[pair.bridge.clone(), pair.host_end.clone()])?;
        let index = |name: &LinkName| indexes.get(name).copied().ok_or(Errno::ENODEV);
        let (bridge, end) = (index(&pair.bridge)?, index(&pair.host_end)?);
        // Off its bridge a port has forgotten its flags and addresses; down, it doesn't leak until it has them again.
        let up = set_port_flags_and_up(pair, isolated_by_firewall);
        let port = [retire(&pair.host_end), set_bridge(&pair.host_end, bridge), up];
        self.all(port.into_iter().chain([bind_mac(end, pair.peer_mac)]).collect()).map(|()| true)
    }

    /// The indexes of links by name, where they exist.
    pub(crate) fn indexes(&mut self, names: &[LinkName]) -> io::Result<BTreeMap<LinkName, u32>> {
        let answers = self.inner.exchange(names.iter().map(get_link).collect())?;
        let mut indexes = BTreeMap::new();
        for (name, answer) in names.iter().zip(answers) {
            match answer {
                Ok(replies) => {
                    indexes.extend(replies.iter().find_map(link_index).map(|index| (name.clone(), index)));
                }
                Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(indexes)
    }
}

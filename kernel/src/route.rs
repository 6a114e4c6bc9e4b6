//! Links, addresses and routes over rtnetlink, by name: the index that the kernel wants is looked up.

mod message;
mod observe;
mod peer;
mod watch;

pub(crate) use message::*;
use observe::{bridge_index, link_name, observed_link};
pub(crate) use watch::watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use cnm::{id::LinkName, observed::ObservedLink};
use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};
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

    /// A link by name, if it is there. Its addresses aren't looked up.
    pub(crate) fn link(&mut self, name: &LinkName) -> io::Result<Option<ObservedLink>> {
        let Some(link) = self.get(get_link(name))? else { return Ok(None) };
        let mut names = BTreeMap::new();
        if let Some(index) = bridge_index(&link)
            && let Some(name) = self.get(get_link_by_index(index))?.as_ref().and_then(link_name)
        {
            names.insert(index, name);
        }
        Ok(Some(observed_link(&link, &names, BTreeSet::new())))
    }

    fn get(&mut self, request: Request<RouteNetlinkMessage>) -> io::Result<Option<LinkMessage>> {
        let answer = self.inner.exchange(vec![request])?.into_iter().next();
        let replies = match answer.unwrap_or_else(|| Ok(Vec::new())) {
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => return Ok(None),
            replies => replies?,
        };
        let link = |reply| if let RouteNetlinkMessage::NewLink(link) = reply { Some(link) } else { None };
        Ok(replies.into_iter().find_map(link))
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

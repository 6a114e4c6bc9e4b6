//! Where the other end of a veth is.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use cnm::{id::LinkName, observed::LinkKind};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::LinkAttribute,
    nsid::{NsidAttribute, NsidMessage},
};

use super::{Socket, get_link, observe::kind_of};
use crate::netlink::Request;

impl Socket {
    /// Whether a veth of this socket's namespace is there, and its other end is in another one.
    ///
    /// The kernel numbers the namespaces that links of one lead to (`IFLA_LINK_NETNSID`), and says the number of one that is
    /// open. Whoever is in one has no part in that.
    pub(crate) fn has_peer_in(&mut self, name: &LinkName, namespace: BorrowedFd<'_>) -> io::Result<bool> {
        let Some(link) = self.get(get_link(name))?.filter(|link| kind_of(link) == LinkKind::Veth) else {
            return Ok(false);
        };
        let leads_to =
            link.attributes.iter().find_map(|a| if let LinkAttribute::LinkNetNsId(id) = a { Some(*id) } else { None });
        Ok(leads_to.is_some() && leads_to == self.number_of(namespace)?)
    }

    /// The number of a namespace in this socket's, if it has one.
    fn number_of(&mut self, namespace: BorrowedFd<'_>) -> io::Result<Option<i32>> {
        let mut message = NsidMessage::default();
        message.attributes.push(NsidAttribute::Fd(namespace.as_raw_fd().cast_unsigned()));
        let asked = Request { message: RouteNetlinkMessage::GetNsId(message), flags: 0 };
        let answers = self.inner.exchange(vec![asked])?.into_iter().collect::<io::Result<Vec<_>>>()?;
        let number = answers.into_iter().flatten().find_map(|answer| {
            let RouteNetlinkMessage::NewNsId(message) = answer else { return None };
            message.attributes.iter().find_map(|a| if let NsidAttribute::Id(id) = a { Some(*id) } else { None })
        });
        // -1: it has none.
        Ok(number.filter(|number| *number >= 0))
    }
}

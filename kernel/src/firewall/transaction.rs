//! Changes of elements over netlink: one batch, which the kernel applies as a whole or not at all.

use std::{collections::BTreeMap, io};

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkPayload};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    nftables::{ListAttribute, NfTablesMessage, SetElementAttribute, SetElementList, SetElementMessage},
    none::ControlMessage,
};
use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt::SndBufForce},
};

use super::{
    element::SetElement,
    set::{Declaration, Name},
    skeleton::TABLE,
};
use crate::netlink::{self, append, parse};

/// The subsystem that a batch is for, in its first and last message (`NFNL_SUBSYS_NFTABLES`).
const SUBSYSTEM: u16 = 10;

/// How many elements go into one message: a list longer than 64 KiB can't be expressed (attributes have 16 bits for
/// their length), and an element takes at most some 120 bytes.
const ELEMENTS_A_MESSAGE: usize = 256;

/// Room for a batch in the socket's send buffer; a batch can't be sent in parts, and 10,000 elements take 1.2 MB.
const SEND_BUFFER_BYTES: usize = 64 * 1024 * 1024;

/// Elements to remove and to add, in this order, all at once.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) messages: Vec<NfTablesMessage>,
}

impl Transaction {
    /// What expires may be gone: it is added before, since removing what isn't there fails.
    pub(super) fn remove(&mut self, elements: Vec<SetElement>) {
        self.messages.extend(lists(expiring(&elements)).map(NfTablesMessage::NewSetElement));
        self.messages.extend(lists(elements).map(NfTablesMessage::DeleteSetElement));
    }

    /// What expires may be there: it is removed before, since the kernel gives it no new timeout (before Linux 6.12).
    pub(super) fn add(&mut self, elements: Vec<SetElement>) {
        self.remove(expiring(&elements));
        self.messages.extend(lists(elements).map(NfTablesMessage::NewSetElement));
    }

    /// The batch as a datagram.
    fn datagram(&self) -> Vec<u8> {
        let control = || NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM);
        let mut datagram = Vec::new();
        append(&mut datagram, NetfilterMessage::new(control(), ControlMessage::BatchBegin), NLM_F_REQUEST, 0);
        for message in &self.messages {
            let create = if matches!(message, NfTablesMessage::NewSetElement(_)) { NLM_F_CREATE } else { 0 };
            let header = NetfilterHeader::new(NetfilterProtoFamily::Inet, 0, 0);
            let message = NetfilterMessage::new(header, message.clone());
            append(&mut datagram, message, NLM_F_REQUEST | NLM_F_ACK | create, 0);
        }
        append(&mut datagram, NetfilterMessage::new(control(), ControlMessage::BatchEnd), NLM_F_REQUEST, 0);
        datagram
    }
}

/// Those among the elements that expire.
fn expiring(elements: &[SetElement]) -> Vec<SetElement> {
    elements.iter().filter(|element| element.timeout.is_some()).cloned().collect()
}

/// Lists of elements by set, none too long for a message.
fn lists(elements: Vec<SetElement>) -> impl Iterator<Item = SetElementMessage> {
    let mut by_set: BTreeMap<Name, Vec<SetElement>> = BTreeMap::new();
    for element in elements {
        by_set.entry(element.set).or_default().push(element);
    }
    by_set.into_iter().flat_map(|(set, elements)| {
        let message = move |chunk: &[SetElement]| SetElementMessage {
            attributes: vec![
                SetElementList::Table(TABLE.to_owned()),
                SetElementList::Set(set.to_string()),
                SetElementList::Elements(chunk.iter().flat_map(SetElement::attributes).collect()),
            ],
        };
        elements.chunks(ELEMENTS_A_MESSAGE).map(message).collect::<Vec<_>>()
    })
}

/// The elements of a set that expire, each with the time that it has left; none if there is no such set.
pub(super) fn read_expiring(set: &Declaration) -> io::Result<Vec<SetElement>> {
    Ok(read(set.name)?.iter().filter_map(|attributes| SetElement::restore(set, attributes)).collect())
}

/// The elements of a set as the kernel has them; none if there is no such set.
pub(super) fn read(set: Name) -> io::Result<Vec<Vec<SetElementAttribute>>> {
    let mut socket = netlink::Socket::<NetfilterMessage>::open(netlink_sys::protocols::NETLINK_NETFILTER)?;
    let answers = socket.dump(|| {
        let attributes = vec![SetElementList::Table(TABLE.to_owned()), SetElementList::Set(set.to_string())];
        let header = NetfilterHeader::new(NetfilterProtoFamily::Inet, 0, 0);
        NetfilterMessage::new(header, NfTablesMessage::GetSetElement(SetElementMessage { attributes }))
    });
    let messages = match answers {
        Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => return Ok(Vec::new()),
        other => other?,
    };
    let attributes = messages.into_iter().flat_map(|message| match message.inner {
        NetfilterMessageInner::NfTables(NfTablesMessage::NewSetElement(message)) => message.attributes,
        _ => Vec::new(),
    });
    let elements = attributes.flat_map(|attribute| match attribute {
        SetElementList::Elements(elements) => elements,
        _ => Vec::new(),
    });
    let read = elements.filter_map(|element| match element {
        ListAttribute::Element(attributes) => Some(attributes),
        _ => None,
    });
    Ok(read.collect())
}

/// A socket for transactions.
#[derive(Debug)]
pub(super) struct Socket {
    inner: netlink_sys::Socket,
    port: u32,
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let mut inner = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_NETFILTER)?;
        let port = inner.bind_auto()?.port_number();
        inner.set_cap_ack(true)?;
        setsockopt(&inner, SndBufForce, &SEND_BUFFER_BYTES)?;
        Ok(Self { inner, port })
    }

    /// The number by which notifications name this socket.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Sends a batch; the error is the first that the kernel found.
    pub(super) fn commit(&mut self, transaction: &Transaction) -> io::Result<()> {
        self.inner.send(&transaction.datagram(), 0)?;
        // nfnetlink handles a batch within the call that sends it: every answer is in the socket by now.
        let mut outcome = Err(io::Error::other("the kernel didn't answer"));
        let mut failed = false;
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            buffer.clear();
            match self.inner.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return outcome,
                Err(error) if error.raw_os_error() == Some(Errno::EINTR as i32) => continue,
                Err(error) => return Err(error),
            }
            for (_, payload) in parse::<NetfilterMessage>(&buffer)? {
                match payload {
                    NetlinkPayload::Error(error) if error.code.is_some() && !failed => {
                        failed = true;
                        outcome = Err(error.to_io());
                    }
                    NetlinkPayload::Error(_) if !failed => outcome = Ok(()),
                    _ => {}
                }
            }
        }
    }
}

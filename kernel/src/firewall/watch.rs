//! Notifications of nftables: who changes our table besides us.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
};

use netlink_packet_core::{NlaBuffer, NlasIterator};

use super::{
    sets::SETS,
    skeleton::{TABLE, USER_POST, USER_PRE},
};
use crate::{
    FirewallEvent, FirewallWatch,
    notify::{self, Notice},
};

/// The multicast group of nftables (`NFNLGRP_NFTABLES`).
const GROUP: u32 = 7;
/// The subsystem in the upper byte of a message's type (`NFNL_SUBSYS_NFTABLES`).
const SUBSYSTEM: u16 = 10;
/// The length of `struct nfgenmsg`, and of `struct nlmsghdr` before it.
const NFGENMSG_BYTES: usize = 4;
const NLMSGHDR_BYTES: usize = 16;
/// The length of `struct nlattr`, before an attribute's value.
const NLA_HEADER_BYTES: usize = 4;
/// `NFPROTO_INET` and `NFPROTO_BRIDGE`: our tables' families.
const FAMILIES: [u8; 2] = [1, 7];

/// How many programs' ports are remembered; their notifications come within moments.
const REMEMBERED_PORTS: usize = 64;

/// Netlink ports by which we change the table ourselves.
#[derive(Debug, Default)]
pub(super) struct OwnPorts(Mutex<VecDeque<u32>>);

impl OwnPorts {
    pub(super) fn add(&self, port: u32) {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ports.len() == REMEMBERED_PORTS {
            // The first is our own socket's, which stays.
            ports.remove(1);
        }
        ports.push_back(port);
    }

    fn contain(&self, port: u32) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&port)
    }
}

/// Starts a thread that listens.
pub(super) fn start(own: Arc<OwnPorts>) -> io::Result<FirewallWatch> {
    let (sender, events) = channel();
    let mut listener = Listener { own, sender, seen: None };
    let hear = move |notice: Notice<'_>| match notice {
        Notice::Datagram(datagram) => listener.take_apart(datagram),
        Notice::Lost => listener.sender.send(FirewallEvent::Changed).is_ok(),
    };
    let stop = notify::listen("nftables-watch", netlink_sys::protocols::NETLINK_NETFILTER, &[GROUP], hear)?;
    Ok(FirewallWatch { events, _stop: Some(stop) })
}

struct Listener {
    own: Arc<OwnPorts>,
    sender: Sender<FirewallEvent>,
    /// What the transaction whose messages are coming in has changed so far.
    seen: Option<FirewallEvent>,
}

impl Listener {
    /// Handles the messages of a datagram; false when nobody listens any more.
    fn take_apart(&mut self, datagram: &[u8]) -> bool {
        let mut rest = datagram;
        while let Some(message) = Message::first(rest) {
            if message.kind == Kind::EndOfTransaction {
                if let Some(event) = self.seen.take()
                    && self.sender.send(event).is_err()
                {
                    return false;
                }
            } else if !self.own.contain(message.port) {
                self.seen = self.seen.max(message.event());
            }
            rest = &rest[message.length.next_multiple_of(4).min(rest.len())..];
        }
        true
    }
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Chain,
    Rule,
    Set,
    Elements,
    EndOfTransaction,
    Other,
}

impl Kind {
    /// By the message type's lower byte (`NFT_MSG_…`): creations and deletions alike.
    fn of(message_type: u8) -> Self {
        match message_type {
            0 | 2 => Self::Table,
            3 | 5 => Self::Chain,
            6 | 8 => Self::Rule,
            9 | 11 => Self::Set,
            12 | 14 => Self::Elements,
            15 => Self::EndOfTransaction,
            _ => Self::Other,
        }
    }

    /// The attribute that holds the name of the chain or set: `NFTA_CHAIN_NAME`; `NFTA_RULE_CHAIN`, `NFTA_SET_NAME` and
    /// `NFTA_SET_ELEM_LIST_SET`.
    fn name_attribute(self) -> u16 {
        if self == Self::Chain { 3 } else { 2 }
    }
}

/// As much of a notification as matters here.
#[derive(Debug)]
struct Message<'a> {
    length: usize,
    kind: Kind,
    port: u32,
    family: u8,
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first message of a datagram's rest.
    fn first(datagram: &'a [u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(datagram.get(at..at + 4)?.try_into().ok()?));
        let length = word(0)? as usize;
        let body = datagram.get(NLMSGHDR_BYTES..length)?;
        let message_type = u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?);
        let [subsystem, kind] = message_type.to_be_bytes();
        let kind = if u16::from(subsystem) == SUBSYSTEM { Kind::of(kind) } else { Kind::Other };
        Some(Self { length, kind, port: word(12)?, family: *body.first()?, attributes: body.get(NFGENMSG_BYTES..)? })
    }

    fn attribute(&self, kind: u16) -> Option<&str> {
        let named = |nla: &NlaBuffer<&'a [u8]>| nla.kind() == kind;
        let attribute = NlasIterator::new(self.attributes).filter_map(Result::ok).find(named)?;
        let length = usize::from(attribute.length());
        let value = attribute.into_inner().get(NLA_HEADER_BYTES..length)?;
        std::str::from_utf8(value).ok().map(|text| text.split('\0').next().unwrap_or(text))
    }

    fn event(&self) -> Option<FirewallEvent> {
        if self.kind == Kind::Other {
            return None;
        }
        // The first attribute names the table in messages about whatever.
        if !FAMILIES.contains(&self.family) || self.attribute(1) != Some(TABLE) {
            let matters = matches!(self.kind, Kind::Table | Kind::Chain | Kind::Rule);
            return matters.then_some(FirewallEvent::Elsewhere);
        }
        let name = self.attribute(self.kind.name_attribute());
        match (self.kind, name) {
            (Kind::Rule, Some(USER_PRE | USER_POST)) => Some(FirewallEvent::Administrator),
            // Sets of the administrator's own.
            (Kind::Set | Kind::Elements, Some(set)) if SETS.iter().all(|ours| ours.name != *set) => None,
            _ => Some(FirewallEvent::Changed),
        }
    }
}

//! A veth pair between a bridge and a sandbox.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Found, Key, LinkAt, Place, Resource, ResourceKind, Verb};
use crate::{
    id::{LinkName, MacAddress},
    observed::{LinkKind, ObserveScope, Observed, ObservedLink},
};

/// A veth pair whose peer is born in a sandbox. The peer is up afterwards, as is the host end. The bridge learns nothing at
/// its port but what is set down here, the peer's MAC address: no container gets another one's frames by using its address.
///
/// On the way out the host end is set down and taken off its bridge at once, and deleted in the background (16 ms).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VethPair {
    /// The end in the host's namespace.
    pub host_end: LinkName,
    /// The bridge whose port the host end becomes.
    pub bridge: LinkName,
    /// The sandbox's end.
    pub peer: LinkAt,
    /// The peer's MAC address.
    pub peer_mac: MacAddress,
    /// Of both ends, in bytes.
    pub mtu_bytes: u32,
    /// No traffic between this and other isolated ports of the bridge but what the host translates (published ports).
    pub isolated: bool,
}

impl VethPair {
    /// A host end that was taken off its bridge to be deleted in the background when the daemon ended: its record is gone,
    /// and nobody but us names a veth so and leaves it down on no bridge. What it was made with is forgotten, and not asked
    /// for to take it away.
    pub(crate) fn retired(name: &LinkName, seen: &ObservedLink) -> Option<Self> {
        let is_retired = name.is_host_end() && seen.kind == LinkKind::Veth && !seen.up && seen.bridge.is_none();
        is_retired.then(|| Self {
            host_end: name.clone(),
            bridge: name.clone(),
            peer: LinkAt::on_host(name),
            peer_mac: seen.mac.unwrap_or(MacAddress([0; 6])),
            mtu_bytes: seen.mtu_bytes,
            isolated: false,
        })
    }

    fn is_right(&self, seen: &Observed) -> bool {
        let is_veth = |link: &&ObservedLink| link.kind == LinkKind::Veth && link.up && link.mtu_bytes == self.mtu_bytes;
        let host_end = seen.link(&LinkAt::on_host(&self.host_end)).filter(is_veth);
        let peer = seen.link(&self.peer).filter(is_veth);
        host_end.is_some_and(|end| end.bridge.as_ref() == Some(&self.bridge))
            && peer.is_some_and(|peer| peer.mac == Some(self.peer_mac))
    }
}

impl ResourceKind for VethPair {
    fn key(&self) -> Key {
        Key::Place(Place::Link(LinkAt::on_host(&self.host_end)))
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::Link(LinkAt::on_host(&self.host_end)), Place::Link(self.peer.clone())]
    }

    /// A namespace that goes takes the pair along some time later: it isn't part of one.
    fn needs(&self) -> Vec<Place> {
        vec![Place::Link(LinkAt::on_host(&self.bridge)), Place::Namespace(self.peer.namespace.clone())]
    }

    fn add_to(&self, scope: &mut ObserveScope) {
        scope.links.extend([self.host_end.clone(), self.bridge.clone()]);
        scope.add_namespace(&self.peer.namespace);
    }

    fn found_in(&self, seen: &Observed) -> Found {
        match seen.link(&LinkAt::on_host(&self.host_end)) {
            None => Found::Absent,
            Some(_) if self.is_right(seen) => Found::Same,
            Some(_) => Found::Other(Resource::Veth(self.clone())),
        }
    }

    fn is_there(&self, seen: &Observed) -> bool {
        seen.link(&LinkAt::on_host(&self.host_end)).is_some_and(|link| link.kind == LinkKind::Veth)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        if verb == Verb::Remove {
            return write!(f, "link retire {}", self.host_end);
        }
        write!(
            f,
            "link add {} mtu {} master {} type veth peer {} address {}",
            self.host_end, self.mtu_bytes, self.bridge, self.peer, self.peer_mac
        )?;
        if self.isolated { f.write_str(" isolated") } else { Ok(()) }
    }

    fn attempt(&self, verb: Verb) -> String {
        match verb {
            Verb::Make => format!("create veth {} on bridge {} with {} inside", self.host_end, self.bridge, self.peer),
            Verb::Remove => format!("take veth {} off bridge {}", self.host_end, self.bridge),
        }
    }
}

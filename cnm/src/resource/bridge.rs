//! A bridge in the host's namespace.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Found, Key, LinkAt, Place, Resource, ResourceKind, Verb};
use crate::{
    id::{LinkName, MacAddress},
    observed::{LinkKind, ObserveScope, Observed, ObservedLink},
};

/// A bridge in the host's namespace, which is up.
///
/// On the way out it is set down, loses its addresses and its name at once, and is deleted in the background (16 ms).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bridge {
    /// Its name.
    pub name: LinkName,
    /// Explicit: a bridge without a MAC of its own takes its lowest port's and changes it as ports come and go,
    /// which cuts containers off from their gateway.
    pub mac: MacAddress,
    /// In bytes.
    pub mtu_bytes: u32,
}

impl Bridge {
    /// A bridge that was renamed to be deleted in the background when the daemon ended: nobody but us names one so. A program
    /// that manages links may have set it up since.
    pub(crate) fn retired(name: &LinkName, seen: &ObservedLink) -> Option<Self> {
        let is_retired = name.is_retired_bridge() && seen.kind == LinkKind::Bridge;
        is_retired.then(|| Self {
            name: name.clone(),
            mac: seen.mac.unwrap_or(MacAddress([0; 6])),
            mtu_bytes: seen.mtu_bytes,
        })
    }

    fn place(&self) -> Place {
        Place::Link(LinkAt::on_host(&self.name))
    }
}

impl ResourceKind for Bridge {
    fn key(&self) -> Key {
        Key::Place(self.place())
    }

    fn places(&self) -> Vec<Place> {
        vec![self.place()]
    }

    fn add_to(&self, scope: &mut ObserveScope) {
        scope.links.insert(self.name.clone());
    }

    fn found_in(&self, seen: &Observed) -> Found {
        let Some(link) = seen.link(&LinkAt::on_host(&self.name)) else { return Found::Absent };
        let is_right =
            link.kind == LinkKind::Bridge && link.up && link.mac == Some(self.mac) && link.mtu_bytes == self.mtu_bytes;
        if is_right { Found::Same } else { Found::Other(Resource::Bridge(self.clone())) }
    }

    fn is_there(&self, seen: &Observed) -> bool {
        seen.link(&LinkAt::on_host(&self.name)).is_some_and(|link| link.kind == LinkKind::Bridge)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        match verb {
            Verb::Make => write!(f, "link add {} type bridge address {} mtu {}", self.name, self.mac, self.mtu_bytes),
            Verb::Remove => write!(f, "link retire {}", self.name),
        }
    }

    fn attempt(&self, verb: Verb) -> String {
        match verb {
            Verb::Make => format!("create bridge {}", self.name),
            Verb::Remove => format!("delete bridge {}", self.name),
        }
    }
}

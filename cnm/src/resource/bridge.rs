//! A bridge in the host's namespace.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Found, Key, LinkAt, Place, Resource, ResourceKind, Verb};
use crate::{
    id::{LinkName, MacAddress},
    observed::{Ask, LinkKind, Observed},
};

/// A bridge in the host's namespace, which is up.
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

    fn add_to(&self, ask: &mut Ask) {
        ask.links.insert(self.name.clone());
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
            Verb::Remove => write!(f, "link del {}", self.name),
        }
    }

    fn attempt(&self, verb: Verb) -> String {
        match verb {
            Verb::Make => format!("create bridge {}", self.name),
            Verb::Remove => format!("delete bridge {}", self.name),
        }
    }
}

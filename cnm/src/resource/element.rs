//! What the firewall holds, as a resource: its table is synchronised whole, so that an observation says nothing of it.

use std::fmt;

use super::{Found, Key, ResourceKind, Verb};
use crate::{
    firewall::Element,
    observed::{ObserveScope, Observed},
};

impl ResourceKind for Element {
    fn key(&self) -> Key {
        Key::Element(self.clone())
    }

    fn add_to(&self, _ask: &mut ObserveScope) {}

    fn found_in(&self, _seen: &Observed) -> Found {
        Found::Same
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        write!(f, "firewall {} {{{self}}}", verb.word())
    }

    fn attempt(&self, _verb: Verb) -> String {
        "change the firewall".to_owned()
    }
}

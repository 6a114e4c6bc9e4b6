//! A network namespace of ours.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Found, Key, NamespaceAt, Place, ResourceKind, Verb};
use crate::{
    id::SandboxId,
    observed::{ObserveScope, Observed},
};

/// A network namespace whose loopback is up, pinned by its sandbox's id. Unpinned, the kernel cleans up what was in it by
/// itself, later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Namespace {
    /// Whose it is.
    pub sandbox: SandboxId,
}

impl Namespace {
    /// Where it is.
    pub fn at(&self) -> NamespaceAt {
        NamespaceAt::Pinned(self.sandbox.clone())
    }
}

impl ResourceKind for Namespace {
    fn key(&self) -> Key {
        Key::Place(Place::Namespace(self.at()))
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::Namespace(self.at())]
    }

    fn add_to(&self, scope: &mut ObserveScope) {
        scope.add_namespace(&self.at());
    }

    fn found_in(&self, seen: &Observed) -> Found {
        if seen.pinned.contains(&self.sandbox) { Found::Same } else { Found::Absent }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, verb: Verb) -> fmt::Result {
        match verb {
            Verb::Make => write!(f, "netns add {}", self.sandbox),
            Verb::Remove => write!(f, "netns drop {}", self.sandbox),
        }
    }

    fn attempt(&self, verb: Verb) -> String {
        match verb {
            Verb::Make => format!("create the network namespace of sandbox {}", self.sandbox),
            Verb::Remove => format!("drop the network namespace of sandbox {}", self.sandbox),
        }
    }
}

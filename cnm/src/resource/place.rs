//! Where resources are: network namespaces and the links in them.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::Resource;
use crate::id::{LinkName, SandboxId};

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceAt {
    /// The one that netd itself runs in.
    Host,
    /// One of ours, pinned under the run directory's `netns/` by its sandbox's id.
    Pinned(SandboxId),
    /// Somebody else's, by path; never created or dropped by us.
    Path(String),
}

impl NamespaceAt {
    /// As an error calls it.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Host => "the host's namespace".to_owned(),
            Self::Pinned(sandbox) => format!("sandbox {sandbox}"),
            Self::Path(path) => path.clone(),
        }
    }
}

impl fmt::Display for NamespaceAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Pinned(sandbox) => write!(f, "{sandbox}"),
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// A link by name: the executor resolves the index when it gets there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkAt {
    /// Where it lives.
    pub namespace: NamespaceAt,
    /// Its name there.
    pub name: LinkName,
}

impl LinkAt {
    /// A link in the host's namespace.
    pub fn on_host(name: &LinkName) -> Self {
        Self { namespace: NamespaceAt::Host, name: name.clone() }
    }
}

impl fmt::Display for LinkAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            NamespaceAt::Host => write!(f, "{}", self.name),
            namespace => write!(f, "{}@{namespace}", self.name),
        }
    }
}

/// What other resources stand on, or are part of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A namespace.
    Namespace(NamespaceAt),
    /// A link.
    Link(LinkAt),
}

impl Place {
    /// The namespace that it is, or is in.
    pub const fn namespace(&self) -> &NamespaceAt {
        match self {
            Self::Namespace(namespace) => namespace,
            Self::Link(link) => &link.namespace,
        }
    }
}

/// Places that go, or are made anew.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeSet<Place>);

impl Places {
    pub(crate) fn of<'r>(resources: impl IntoIterator<Item = &'r Resource>) -> Self {
        Self(resources.into_iter().flat_map(Resource::places).collect())
    }

    pub(crate) fn extend(&mut self, places: impl IntoIterator<Item = Place>) {
        self.0.extend(places);
    }

    pub(crate) fn contains(&self, place: &Place) -> bool {
        self.0.contains(place)
    }

    /// Whether a place goes with them: it is one of them, or a link in one.
    pub(crate) fn take_along(&self, place: &Place) -> bool {
        self.contains(place) || self.contains(&Place::Namespace(place.namespace().clone()))
    }

    /// Whether what is part of a place goes with it.
    pub(crate) fn take_along_resource(&self, resource: &Resource) -> bool {
        resource.is_part_of().is_some_and(|place| self.take_along(&place))
    }
}

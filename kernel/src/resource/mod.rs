//! How each kind of resource is made and removed: steps for [`crate::apply`], one module for each kind of link.

mod bridge;
mod network_config;
mod veth;

use std::{io, os::fd::BorrowedFd};

use cnm::{
    firewall::Element,
    id::{LinkName, SandboxId},
    resource::{Namespace, NamespaceAt, Resource, Sysctl, VethPair},
};

use crate::route;

pub(crate) use crate::route::RouteRequest;

/// What a kind of resource says of how it is made.
pub(crate) trait Steps {
    fn make(&self) -> Vec<Step<'_>>;

    fn remove(&self) -> Vec<Step<'_>>;

    /// Sets right what is there but was set down, or taken off what it stands on; says whether that was needed. Nothing is
    /// taken away.
    fn restore_link(&self, _socket: &mut route::Socket, _isolated_by_firewall: bool) -> io::Result<bool> {
        Ok(false)
    }

    /// What a kernel lacks that doesn't know this kind of link (`EOPNOTSUPP`), and its build option.
    fn lacking(&self, _socket: &mut route::Socket) -> Option<(&'static str, &'static str)> {
        None
    }
}

/// What is to be done at once.
pub(crate) enum Step<'p> {
    /// A message to one namespace. Those that follow each other are sent together.
    Message(Message<'p>),
    /// What goes by itself.
    Work(Work<'p>),
    /// Changes what the firewall holds. Those that follow each other are one transaction.
    AddElement(&'p Element),
    /// The same.
    RemoveElement(&'p Element),
}

/// What is neither a message nor the firewall's.
pub(crate) enum Work<'p> {
    /// Has a bridge be out of everybody's way, and deleted in the background.
    Retire(&'p LinkName),
    /// Makes and pins a namespace.
    Pin(&'p SandboxId),
    /// Unpins one.
    Unpin(&'p SandboxId),
    /// Writes a value.
    Sysctl { namespace: &'p NamespaceAt, key: &'p str, value: &'p str },
    /// Writes the value that was there before, where there still is such a sysctl: it may have gone with its link.
    PutBackSysctl { namespace: &'p NamespaceAt, key: &'p str, value: &'p str },
}

impl Work<'_> {
    /// Whether its aim is reached where there is nothing to do it to.
    pub(crate) const fn removes(&self) -> bool {
        matches!(self, Self::Retire(_) | Self::PutBackSysctl { .. })
    }
}

/// A netlink message.
pub(crate) struct Message<'p> {
    /// Where it goes to.
    pub(crate) namespace: &'p NamespaceAt,
    /// The link that it is about, if that is there before.
    pub(crate) about: About<'p>,
    /// The links that it makes.
    pub(crate) makes: Vec<&'p LinkName>,
    /// Its aim is that something isn't there.
    pub(crate) removes: bool,
    /// Where another end is born.
    pub(crate) peer: Option<&'p NamespaceAt>,
    /// What it has to do with links that are deleted in the background.
    pub(crate) reaping: Reaping<'p>,
    /// Its content.
    pub(crate) request: Box<dyn Fn(&Given<'_>) -> RouteRequest + 'p>,
}

/// What a message can't know before it is sent.
#[derive(Clone, Copy)]
pub(crate) struct Given<'n> {
    /// Of the link that it is about by index.
    pub(crate) index: u32,
    /// Of [`Message::peer`], or where it goes to.
    pub(crate) peer_namespace: BorrowedFd<'n>,
    /// Whether the firewall keeps ports apart, which bridges needn't do then.
    pub(crate) isolated_by_firewall: bool,
}

/// The link that a message is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'p> {
    Nothing,
    /// The kernel looks the name up.
    Name(&'p LinkName),
    /// We have to.
    Index(&'p LinkName),
}

impl<'p> About<'p> {
    pub(crate) fn name(self) -> Option<&'p LinkName> {
        match self {
            Self::Nothing => None,
            Self::Name(name) | Self::Index(name) => Some(name),
        }
    }
}

/// Links take the kernel long to delete.
#[derive(Clone, Copy)]
pub(crate) enum Reaping<'p> {
    Nothing,
    /// A pair of those names may still be on its way out.
    WaitFor(&'p VethPair),
    /// It is to be deleted in the background.
    Delete(&'p VethPair),
}

impl<'p> Message<'p> {
    /// To a namespace.
    pub(crate) fn to(
        namespace: &'p NamespaceAt,
        about: About<'p>,
        request: impl Fn(&Given<'_>) -> RouteRequest + 'p,
    ) -> Self {
        let (peer, reaping) = (None, Reaping::Nothing);
        Self { namespace, about, makes: Vec::new(), removes: false, peer, reaping, request: Box::new(request) }
    }

    /// To the host's namespace.
    pub(crate) fn to_host(about: About<'p>, request: impl Fn(&Given<'_>) -> RouteRequest + 'p) -> Self {
        Self::to(&NamespaceAt::Host, about, request)
    }

    pub(crate) fn making(self, links: impl IntoIterator<Item = &'p LinkName>) -> Self {
        Self { makes: links.into_iter().collect(), ..self }
    }

    pub(crate) fn removing(self) -> Self {
        Self { removes: true, ..self }
    }

    /// Whether it can only be sent when those before it have succeeded: since the kernel handles each message whatever
    /// becomes of the others, changing what a refused creation didn't make would change somebody else's link. And a pair is
    /// made when those that were retired before it are deleted, which they aren't before they are retired.
    pub(crate) fn must_follow(&self, before: &[(usize, Self)]) -> bool {
        let is_retired = |(_, message): &(usize, Self)| matches!(message.reaping, Reaping::Delete(_));
        if matches!(self.reaping, Reaping::WaitFor(_)) && before.iter().any(is_retired) {
            return true;
        }
        let makes_it = |name| before.iter().any(|(_, message)| message.makes.contains(&name));
        self.about.name().is_some_and(makes_it)
    }
}

impl<'p> From<Message<'p>> for Step<'p> {
    fn from(message: Message<'p>) -> Self {
        Self::Message(message)
    }
}

/// The steps of a resource.
pub(crate) fn steps(resource: &Resource) -> &dyn Steps {
    cnm::of_each_kind!(resource, kind => kind)
}

impl Steps for Namespace {
    fn make(&self) -> Vec<Step<'_>> {
        vec![Step::Work(Work::Pin(&self.sandbox))]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        vec![Step::Work(Work::Unpin(&self.sandbox))]
    }
}

impl Steps for Sysctl {
    fn make(&self) -> Vec<Step<'_>> {
        vec![Step::Work(Work::Sysctl { namespace: &self.namespace, key: &self.key, value: &self.value })]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        let (namespace, key, value) = (&self.namespace, &self.key, &self.previous);
        vec![Step::Work(Work::PutBackSysctl { namespace, key, value })]
    }
}

impl Steps for Element {
    fn make(&self) -> Vec<Step<'_>> {
        vec![Step::AddElement(self)]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        vec![Step::RemoveElement(self)]
    }
}

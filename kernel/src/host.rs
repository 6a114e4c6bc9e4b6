//! What `netd` asks of a host: the interface of the real kernel and of the fake.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use cnm::{
    firewall::Element,
    id::{LinkName, SandboxId},
    observed::{ObserveScope, Observed},
    plan::Plan,
    resource::Resource,
};
use ipnetwork::IpNetwork;

use crate::{Error, Failed};

/// A host's networking: applied to, observed, kept whole.
///
/// Every method blocks and may be called from many threads at once, all of them in the network namespace that is the
/// host's.
pub trait Host: Send + Sync {
    /// Applies a plan, first operation to last. When one fails, what was done is undone in reverse.
    ///
    /// Removing something that isn't there is success: the plan's aim is reached.
    ///
    /// # Errors
    /// [`Failed`] says which operation failed and why, and what could not be undone.
    fn apply(&self, plan: &Plan) -> Result<Applied, Box<Failed>>;

    /// What there is of ours: links by our name patterns and by the names asked, routes with our protocol number,
    /// pinned namespaces, and the inside of the namespaces asked about that exist.
    ///
    /// # Errors
    /// When the kernel doesn't answer.
    fn observe(&self, scope: &ObserveScope) -> Result<Observed, Error>;

    /// Makes the firewall hold exactly these elements, in one transaction: at start, and when the whole intent is at
    /// hand. From then on the host remembers them, with every change that [`Host::apply`] makes, for
    /// [`Host::repair_firewall`]. The administrator's chains are left alone if they are there, else made from the copy.
    ///
    /// # Errors
    /// When the transaction fails; the table is then as it was.
    fn sync_firewall(&self, elements: &BTreeSet<Element>, administrator: &AdminChains) -> Result<Repaired, Error>;

    /// Makes the firewall hold again what it was last asked to hold; safe beside running [`Host::apply`] calls.
    ///
    /// # Errors
    /// When the transaction fails.
    fn repair_firewall(&self) -> Result<Repaired, Error>;

    /// The rules in the administrator's chains as they are now, to be kept as a copy.
    ///
    /// # Errors
    /// When they can't be read.
    fn admin_chains(&self) -> Result<AdminChains, Error>;

    /// Those elements that our table lacks, looked up in the kernel.
    ///
    /// # Errors
    /// When the table can't be read.
    fn missing_elements(&self, elements: &BTreeSet<Element>) -> Result<BTreeSet<Element>, Error>;

    /// Tells of changes of our table that somebody else makes.
    ///
    /// # Errors
    /// When the kernel's notifications can't be had.
    fn watch_firewall(&self) -> Result<FirewallWatch, Error>;

    /// Tells of bridges that go, are set down or lose an address, by whomever, and of forwarding that is switched off.
    ///
    /// # Errors
    /// When the kernel's notifications can't be had.
    fn watch_links(&self) -> Result<LinkWatch, Error>;

    /// Sets a link right that is there but was set down or taken off its bridge: a bridge, or a veth pair's host end. Nothing
    /// is taken away, so what it carries goes on. Says whether it was needed.
    ///
    /// # Errors
    /// When the link, or its bridge, isn't there.
    fn restore_link(&self, resource: &Resource) -> Result<bool, Error>;

    /// Sandboxes that have a namespace which nobody keeps any more, if it is still there: who did was killed together with
    /// who asked for it. What lives in it can't be reached, and is neither made nor taken away.
    ///
    /// # Errors
    /// When the links to namespaces can't be read.
    fn lost_namespaces(&self) -> Result<BTreeSet<SandboxId>, Error>;

    /// Whether a sandbox is one of [`Host::lost_namespaces`].
    ///
    /// # Errors
    /// When the link to its namespace can't be read.
    fn is_lost(&self, sandbox: &SandboxId) -> Result<bool, Error>;

    /// Keeps a namespace again that was lost, found at a path: that of a process in it, or a descriptor of one's own. One of the
    /// sandbox's host ends has to lead there, or, where it has none, it has no links of anybody's: whoever is in it may have left
    /// for another.
    ///
    /// # Errors
    /// When it can't be looked at, or can't be kept.
    fn adopt_namespace(&self, sandbox: &SandboxId, found: &Path, host_ends: &[LinkName]) -> Result<Adoption, Error>;

    /// Waits until links are deleted for which nobody waits, or for this long; whether they are. For a process that ends.
    fn finish_deletions(&self, longest: Duration) -> bool;

    /// Chains of other tables that drop forwarded packets, whatever our table says: Docker's policy, ufw.
    ///
    /// # Errors
    /// When the rule set can't be read.
    fn foreign_drops(&self) -> Result<Vec<ForeignDrop>, Error>;

    /// Switches forwarding on for a family. Call [`Host::sync_firewall`] before.
    ///
    /// If it was off and `guard` is set, packets that are neither of our bridges nor of bridges without a physical port nor
    /// from links that forwarded before are dropped from here on, before forwarding is on. For IPv6, links that live on router advertisements
    /// get `accept_ra=2`, or the host loses its own routes.
    ///
    /// # Errors
    /// When the firewall or the sysctl can't be changed.
    fn enable_forwarding(&self, family: Family, guard: bool) -> Result<Forwarding, Error>;

    /// Has the guard let pass what comes from or goes to bridges of others without a physical port, as they are now: their
    /// owners judge it. Call it when the watch of links tells of [`LinkEvent::Ports`].
    ///
    /// # Errors
    /// When the links can't be listed, or the firewall can't be changed.
    fn allow_foreign_bridges(&self) -> Result<(), Error>;

    /// What decisions need to know of the host.
    ///
    /// # Errors
    /// When the kernel doesn't answer.
    fn facts(&self) -> Result<HostFacts, Error>;
}

/// What came of [`Host::adopt_namespace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// It is kept.
    Kept,
    /// What was found is something else: what it is not, or is.
    Refused(&'static str),
}

/// What [`Host::apply`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// How long each kind of work took, in the order in which it was done, for the breakdown of a request.
    pub spans: Vec<(&'static str, Duration)>,
}

/// The administrator's chains, as `nft` writes the rules, one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminChains {
    /// Rules of the chain `user-pre`.
    pub pre: Vec<String>,
    /// Rules of the chain `user-post`.
    pub post: Vec<String>,
}

/// What a sync or a repair of the firewall found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repaired {
    /// The table already held what it should.
    Unchanged,
    /// Something was missing, changed or too much; it is right now.
    Changed,
}

/// What somebody else did to nftables; of what one transaction did, the weightiest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FirewallEvent {
    /// Chains or rules of other tables were changed: [`Host::foreign_drops`] may answer differently.
    Elsewhere,
    /// The administrator's chains were changed: read a new copy with [`Host::admin_chains`].
    Administrator,
    /// Our own part was changed or deleted: repair it.
    Changed,
}

/// What somebody else may have done to bridges, or to forwarding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkEvent {
    /// A bridge is gone or down, or a link has lost an IPv4 address.
    Bridge(LinkName),
    /// The host end of a veth is gone, down or on no bridge.
    HostEnd(LinkName),
    /// A bridge of somebody else has got or lost a port.
    Ports,
    /// IPv4 forwarding was switched off.
    ForwardingOff,
    /// Notifications were lost: look at everything.
    Lost,
}

/// A running watch of the firewall.
pub type FirewallWatch = Watch<FirewallEvent>;

/// A running watch of bridges and forwarding.
pub type LinkWatch = Watch<LinkEvent>;

/// A running watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch<E> {
    pub(crate) events: Receiver<E>,
    /// Dropped after the receiver: its closing wakes the thread that listens.
    pub(crate) _stop: Option<std::os::fd::OwnedFd>,
}

impl<E: Ord> Watch<E> {
    /// Blocks until something happens, and answers with all that has come by then, each thing once: who answers one
    /// looks at everything anew, however often it came. [`None`] when no more events can come.
    pub fn next(&self) -> Option<BTreeSet<E>> {
        let first = self.events.recv().ok()?;
        Some([first].into_iter().chain(self.events.try_iter()).collect())
    }

    /// Blocks for at most this long until one thing happens.
    ///
    /// # Errors
    /// When the time is up, or no more events can come.
    pub fn next_within(&self, time: Duration) -> Result<E, RecvTimeoutError> {
        self.events.recv_timeout(time)
    }
}

/// A chain of somebody else that drops forwarded packets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignDrop {
    /// As in `ip filter FORWARD`: family, table and chain.
    pub chain: String,
    /// Whether its policy is drop; else it has a rule that drops or rejects.
    pub by_policy: bool,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What [`Host::enable_forwarding`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// It was on already; nothing was changed.
    WasOn,
    /// It is on now, by us.
    SwitchedOn,
}

/// What decisions need to know of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Destinations of the host's routes in all tables, which subnets must not overlap; without default routes and
    /// routes by links that are ours by name.
    pub routes: Vec<IpNetwork>,
    /// The addresses of the host's links, with their prefixes.
    pub addresses: Vec<IpNetwork>,
    /// The MTU of the link (or route) that the IPv4 default route leaves by, else IPv6's; none without default route.
    pub default_route_mtu_bytes: Option<u32>,
    /// `net.ipv4.ip_local_port_range`.
    pub ephemeral_ports: RangeInclusive<u16>,
    /// `net.ipv4.ip_local_reserved_ports`: never given out by themselves.
    pub reserved_ports: BTreeSet<u16>,
    /// `net.ipv4.ip_forward`.
    pub forwarding_ipv4: bool,
    /// `net.ipv6.conf.all.forwarding`.
    pub forwarding_ipv6: bool,
    /// Whether the kernel has IPv6 and it isn't disabled.
    pub ipv6: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeHost;

    #[test]
    fn what_came_often_is_told_once() {
        let host = FakeHost::new();
        let watch = host.watch_firewall().expect("a watch");
        (0..5).for_each(|_| host.flush_firewall());
        assert_eq!(watch.next(), Some([FirewallEvent::Changed].into()));
        assert_eq!(watch.next_within(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    }
}

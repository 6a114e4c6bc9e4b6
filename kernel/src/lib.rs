//! The only crate that programs host networking: links, addresses, routes, namespaces, sysctls, the firewall.
//!
//! It decides nothing: it applies a [`cnm::plan::Plan`] as it is given, tells what it sees as [`cnm::observed::Observed`],
//! and keeps the firewall's table equal to what was asked. It must not know of networks' options, requests or stores.
//! Everything here blocks; callers put it on threads of their own. Calls on one [`Host`] may run side by side.
//!
//! The entry points are the trait [`Host`], its real implementation [`Kernel`], and [`fake::FakeHost`] for tests.
//! How `netd` uses them: [`Host::sync_firewall`] with all elements and [`Host::observe`] at start, [`Host::apply`] for
//! every plan, and a thread on [`Host::watch_firewall`] that answers [`FirewallEvent::Changed`] with
//! [`Host::repair_firewall`], and one on [`Host::watch_links`] that observes and applies what is missing.

mod adoption;
mod apply;
pub mod error;
mod facts;
pub mod fake;
mod firewall;
pub mod host;
mod kernel;
pub mod names;
mod namespace;
mod namespace_keeper;
mod netlink;
mod notify;
mod reaper;
mod resource;
mod route;
mod sysctl;

pub use kernel::Kernel;
pub use namespace::is_network_namespace;
pub use namespace_keeper::{InProcessKeeper, NOWHERE, NamespaceKeeper, point_link_at};

pub use error::{Error, Failed, Stuck};
pub use host::{
    AdminChains, Adoption, Applied, Family, FirewallEvent, FirewallWatch, ForeignDrop, Forwarding, Host, HostFacts,
    LinkEvent, LinkWatch, Repaired, Watch,
};

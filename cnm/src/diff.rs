//! What is left to do: desired operations against what is observed. Only what is ours by name and by record is named.

use std::collections::BTreeSet;

use crate::{
    id::{LinkName, SandboxId},
    observed::Observed,
    op::{Op, Plan},
};

/// Marks by which things in the kernel are known to be ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ours {
    /// Links of the host that stored records name: bridges and host ends.
    pub links: BTreeSet<LinkName>,
    /// Sandboxes whose namespaces stored records name. A namespace pinned in our run directory is ours without a record.
    pub sandboxes: BTreeSet<SandboxId>,
}

/// The plan after which the kernel holds what is desired, and nothing of ours besides. Firewall changes aren't part of
/// it: the table is synchronised whole.
pub fn repair<'a>(_desired: impl IntoIterator<Item = &'a Op>, _observed: &Observed, _ours: &Ours) -> Plan {
    todo!()
}

//! The difference between desired and observed state, as a plan. Only what is ours is named: what records speak of,
//! what is pinned in our run directory, routes with our protocol number, and retired links of our name patterns.

use std::collections::BTreeSet;

use crate::{
    api::{Difference, SandboxCheck},
    firewall::Element,
    observed::Observed,
    plan::{Op, Plan},
    resource::{Bridge, Found, Key, Namespace, NamespaceAt, Place, Places, Resource, VethPair},
};

/// The plan after which the kernel holds what is desired, and nothing else of what is known to be ours: `known` is all that
/// records speak of ([`crate::state::State::desired`], [`crate::state::State::known`]). The firewall isn't part of it: its
/// table is synchronised whole.
///
/// What can't be had is left out: whatever lives in a namespace that is gone and not ours to make, or at the other end of a
/// link into it.
pub fn repair(desired: &[Resource], known: &[Resource], observed: &Observed) -> Plan {
    superfluous(desired, known, observed).then(missing(desired, observed))
}

/// The plan after which the kernel holds what is desired, and that takes nothing away but what stands in the way: beside
/// other plans that are being applied.
pub fn missing(desired: &[Resource], observed: &Observed) -> Plan {
    let mut comparison = Comparison::default();
    let mut left_out = Places::default();
    let mut plan = Plan::default();
    for wanted in desired {
        let found = wanted.found_in(observed);
        let exists = |place: &Place| comparison.exists(place.namespace(), observed) && !left_out.contains(place);
        if wanted.needs().iter().all(exists) {
            plan.ops.extend(comparison.missing(wanted, found));
        } else if found == Found::Absent {
            left_out.extend(wanted.places());
        }
    }
    plan
}

/// The plan after which a part of the host holds what is desired of it, and nothing of what else it might hold: whatever was
/// done of a change, and whatever went with what was taken away.
pub fn restore(desired: &[Resource], unwanted: &[Resource], observed: &Observed) -> Plan {
    let is_element = |resource: &&Resource| matches!(resource, Resource::Element(_));
    let elements = |set: &[Resource]| set.iter().filter(is_element).cloned().collect::<Vec<_>>();
    let firewall = Plan::teardown(&elements(unwanted)).then(Plan::make(elements(desired)));
    let wanted: BTreeSet<Key> = desired.iter().map(Resource::key).collect();
    let gone =
        present(unwanted, observed).filter(|resource| !is_element(&resource) && !wanted.contains(&resource.key()));
    let gone = Plan::teardown(&gone.collect::<Vec<_>>());
    firewall.then(gone).then(missing(desired, observed))
}

/// How a part of the host is against what is desired of it and what else it might hold, in words; `missing_elements` are those
/// desired elements that the firewall lacks.
pub fn compare(
    desired: &[Resource],
    unwanted: &[Resource],
    observed: &Observed,
    missing_elements: &BTreeSet<Element>,
) -> SandboxCheck {
    let words = |resource: &Resource| Op::Make(resource.clone()).to_string();
    let mut check = SandboxCheck::default();
    for wanted in desired {
        let found = match wanted {
            Resource::Element(element) if missing_elements.contains(element) => Found::Absent,
            _ => wanted.found_in(observed),
        };
        match found {
            Found::Same => {}
            Found::Absent => check.missing.push(words(wanted)),
            Found::Other(other) => {
                check.different.push(Difference { wanted: words(wanted), found: words(&other) });
            }
        }
    }
    let kept: BTreeSet<Key> = desired.iter().map(Resource::key).collect();
    let superfluous = present(unwanted, observed)
        .filter(|resource| !matches!(resource, Resource::Element(_)) && !kept.contains(&resource.key()));
    check.superfluous = superfluous.map(|resource| words(&resource)).collect();
    check
}

/// A set being compared, in the order of making, with what there is.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Places that are made, or made anew, which takes along what they had.
    made: Places,
}

impl Comparison {
    /// What has to be done for a resource to be there as it is wanted.
    pub(crate) fn missing(&mut self, wanted: &Resource, found: Found) -> Vec<Op> {
        let went_along = |present: &Resource| self.made.take_along_resource(present);
        let lost_ground = wanted.needs().iter().any(|place| self.made.take_along(place));
        let make = Op::Make(wanted.clone());
        let ops = match found {
            Found::Absent => vec![make],
            Found::Same if went_along(wanted) => vec![make],
            Found::Same if lost_ground => vec![make.inverse(), make],
            Found::Same => return Vec::new(),
            Found::Other(other) if went_along(&other) => vec![make],
            Found::Other(other) => vec![Op::Remove(other), make],
        };
        self.made.extend(wanted.places());
        ops
    }

    /// Whether a namespace is there or will be.
    fn exists(&self, namespace: &NamespaceAt, observed: &Observed) -> bool {
        *namespace == NamespaceAt::Host
            || observed.namespaces.contains_key(namespace)
            || self.made.contains(&Place::Namespace(namespace.clone()))
    }
}

/// What takes away what is there, is ours and isn't desired; last made, first gone.
fn superfluous(desired: &[Resource], known: &[Resource], observed: &Observed) -> Plan {
    let wanted: BTreeSet<Key> = desired.iter().map(Resource::key).collect();
    let of_records: BTreeSet<Key> = known.iter().map(Resource::key).collect();
    let recognised = recognised(observed).into_iter().filter(|resource| !of_records.contains(&resource.key()));
    let is_stale = |resource: &Resource| !matches!(resource, Resource::Element(_)) && !wanted.contains(&resource.key());
    let stale: Vec<Resource> = recognised.chain(present(known, observed)).filter(is_stale).collect();
    Plan::teardown(&stale)
}

/// What there is of a set, as it is.
fn present<'r>(known: &'r [Resource], observed: &'r Observed) -> impl Iterator<Item = Resource> + use<'r> {
    known.iter().filter(|resource| resource.is_there(observed)).filter_map(|resource| {
        match resource.found_in(observed) {
            Found::Absent => None,
            Found::Same => Some(resource.clone()),
            Found::Other(other) => Some(other),
        }
    })
}

/// What is ours by the look of it, whatever records say.
fn recognised(observed: &Observed) -> Vec<Resource> {
    let host = observed.namespaces.get(&NamespaceAt::Host);
    let retired = host.into_iter().flat_map(|host| &host.links).filter_map(|(name, seen)| {
        let pair = VethPair::retired(name, seen).map(Resource::Veth);
        pair.or_else(|| Bridge::retired(name, seen).map(Resource::Bridge))
    });
    let pinned = observed.pinned.iter().map(|sandbox| Resource::Namespace(Namespace { sandbox: sandbox.clone() }));
    let routes = observed.namespaces.values().flat_map(|seen| &seen.routes).cloned().map(Resource::Route);
    retired.chain(pinned).chain(routes).collect()
}

//! Grants that are owed to drivers: from before they are requested until they are released.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use cnm::{
    api::{self, OwedState},
    grant::{Grant, GrantRequest, Holder, Owed},
    id::DriverName,
    state::State,
};
use jiff::Timestamp;

use super::ControllerState;
use crate::store::Commit;

/// All that is owed. Nothing of it is due as long as its holder has a record, or a task uses it.
#[derive(Debug, Default)]
pub(crate) struct OwedGrants {
    entries: BTreeMap<Holder, Entry>,
    due: BTreeSet<Holder>,
}

#[derive(Debug)]
struct Entry {
    owed: Owed,
    /// A task asks for it, decides with it, or gives it back.
    in_use: bool,
    attempts: u32,
    /// Why it wasn't taken back, the last time.
    error: Option<String>,
}

/// Giving something back failed.
#[derive(Debug)]
pub(crate) struct ReleaseFailure {
    pub(crate) holder: Holder,
    pub(crate) error: String,
}

impl OwedGrants {
    /// What was owed when netd ended. Who asked for it then asks no more. What a record that is set aside speaks of, or may, is
    /// kept for the netd that can read it.
    pub(crate) fn new(owed: Vec<Owed>, model: &State, is_set_aside: impl Fn(&Holder) -> bool) -> Self {
        let mut grants = Self::default();
        for owed in owed {
            if !model.has(&owed.holder) && !is_set_aside(&owed.holder) {
                grants.due.insert(owed.holder.clone());
            }
            grants.insert(owed, false);
        }
        grants
    }

    fn insert(&mut self, owed: Owed, in_use: bool) {
        let holder = owed.holder.clone();
        self.entries.insert(holder, Entry { owed, in_use, attempts: 0, error: None });
    }

    /// Nobody here has it any more. Answers with those who are to be given something back now: what a task still uses
    /// is for that to release.
    pub(super) fn given_up(&mut self, holders: impl IntoIterator<Item = Holder>) -> BTreeSet<DriverName> {
        let mut to = BTreeSet::new();
        for holder in holders {
            let Some(entry) = self.entries.get(&holder).filter(|entry| !entry.in_use) else { continue };
            to.insert(entry.owed.to.clone());
            self.due.insert(holder);
        }
        to
    }

    /// To whom something is due.
    pub(crate) fn drivers_owed(&self) -> BTreeSet<DriverName> {
        self.due.iter().filter_map(|holder| Some(self.entries.get(holder)?.owed.to.clone())).collect()
    }

    /// What is to be given back to one now, at most so many and none that was tried, in use by whoever asked. What failed less
    /// often goes first, and a network's own after that of its endpoints.
    pub(crate) fn take_due(&mut self, to: &DriverName, tried: &BTreeSet<Holder>, most: usize) -> Vec<Owed> {
        let is_free = |holder: &&Holder| {
            let entry = self.entries.get(holder);
            entry.is_some_and(|entry| entry.owed.to == *to && !entry.in_use)
                && !tried.contains(holder)
                && (holder.endpoint.is_some() || !self.has_endpoints(holder))
        };
        let mut free: Vec<Holder> = self.due.iter().filter(is_free).cloned().collect();
        free.sort_by_key(|holder| self.entries.get(holder).map_or(0, |entry| entry.attempts));
        free.truncate(most);
        let take = |holder: Holder| {
            let entry = self.entries.get_mut(&holder)?;
            entry.in_use = true;
            Some(entry.owed.clone())
        };
        free.into_iter().filter_map(take).collect()
    }

    /// Holders are in the order of networks, each network before its endpoints.
    fn has_endpoints(&self, network: &Holder) -> bool {
        let after = (Bound::Excluded(network), Bound::Unbounded);
        self.entries.range::<Holder, _>(after).next().is_some_and(|(next, _)| next.network == network.network)
    }

    /// It wasn't taken back.
    pub(crate) fn release_failed(&mut self, failed: ReleaseFailure) {
        if let Some(entry) = self.entries.get_mut(&failed.holder) {
            entry.in_use = false;
            entry.attempts += 1;
            entry.error = Some(failed.error);
        }
    }

    /// As the API shows it: what is due, and what was asked for and not answered yet.
    pub(crate) fn to_api(&self) -> Vec<api::Owed> {
        let shown = self.entries.iter().filter_map(|(holder, entry)| {
            let state = match self.due.contains(holder) {
                true => OwedState::Due,
                false if entry.in_use && entry.owed.grant.is_none() => OwedState::Unanswered,
                false => return None,
            };
            Some(entry.owed.to_api(state, entry.attempts, entry.error.clone()))
        });
        shown.collect()
    }

    /// What an administrator should know: who doesn't take back what it gave.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut stuck: BTreeMap<&DriverName, Vec<&Entry>> = BTreeMap::new();
        for entry in self.due.iter().filter_map(|holder| self.entries.get(holder)) {
            if entry.error.is_some() {
                stuck.entry(&entry.owed.to).or_default().push(entry);
            }
        }
        let describe = |(to, entries): (&DriverName, Vec<&Entry>)| {
            let first = entries.first()?;
            let more = match entries.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (holder, error) = (&first.owed.holder, first.error.as_deref()?);
            Some(format!("driver {to} has not released what it granted for {holder}{more}, it is asked again: {error}"))
        };
        stuck.into_iter().filter_map(describe).collect()
    }
}

impl ControllerState {
    /// Others are about to be asked: from when this is stored on, that is owed.
    pub(crate) fn about_to_ask(&mut self, requests: &[GrantRequest]) -> Commit {
        let asked: Timestamp = (self.clock_and_random.now)();
        let owe =
            |request: &GrantRequest| Owed { to: request.to().clone(), holder: request.holder(), asked, grant: None };
        let owed: Vec<Owed> = requests.iter().map(owe).collect();
        owed.iter().for_each(|owed| self.owed.insert(owed.clone(), true));
        self.store.put_owed(owed)
    }

    /// An answer came: what it is may be needed to give it back.
    pub(crate) fn answered(&mut self, holder: &Holder, grant: Grant) -> Option<Commit> {
        let entry = self.owed.entries.get_mut(holder)?;
        entry.owed.grant = Some(grant);
        Some(self.store.put_owed([entry.owed.clone()]))
    }

    /// Tasks are done with what they used. Answers with those who are to be given something back now.
    pub(crate) fn no_longer_in_use(&mut self, holders: Vec<Holder>) -> BTreeSet<DriverName> {
        for holder in &holders {
            if let Some(entry) = self.owed.entries.get_mut(holder) {
                entry.in_use = false;
            }
        }
        let unused: Vec<Holder> = holders.into_iter().filter(|holder| !self.model.has(holder)).collect();
        self.owed.given_up(unused)
    }

    /// It was taken back.
    pub(crate) fn released(&mut self, holder: &Holder) -> Commit {
        self.owed.due.remove(holder);
        self.owed.entries.remove(holder);
        self.store.delete_owed(holder)
    }
}

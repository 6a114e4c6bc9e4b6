//! Removals that failed are retried with back-off, until nothing is left of what was removed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use cnm::id::{NetworkId, SandboxId};

use super::{Controller, lanes::LaneKey};
use crate::{Error, read_view::ReadView};

/// Until the first try; doubled after each round that leaves something.
pub(super) const FIRST_DELAY: Duration = Duration::from_secs(1);
/// As long as it takes at the most until the next try.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// Whether the task that tries again is there.
#[derive(Debug, Default)]
pub(super) struct Retrying(AtomicBool);

/// A removal, or the undoing of a change, that failed.
enum Stuck {
    Sandbox(SandboxId),
    /// A change of one that failed.
    Change(SandboxId),
    Network(NetworkId),
}

impl Controller {
    /// Has what is stuck tried again, as long as something is.
    pub(super) fn retry_later(&self) {
        if !self.retrying.0.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().retry());
        }
    }

    async fn retry(self) {
        let mut delay = FIRST_DELAY;
        loop {
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LONGEST_DELAY);
            for stuck in all_stuck(&self.read_view()) {
                let outcome = self.finish_removal(&stuck).await;
                if let (Err(error), false) = (outcome, all_stuck(&self.read_view()).is_empty()) {
                    tracing::warn!(error = %error.chain(), next_try = ?delay, "a removal failed and is tried again");
                }
            }
            self.retrying.0.store(false, Ordering::Release);
            // Something may have got stuck since it was looked for, and found this task still there.
            let none = all_stuck(&self.read_view()).is_empty();
            if none || self.retrying.0.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }

    /// Whoever was quicker has removed it, or has made another of that id: then there is nothing to do.
    async fn finish_removal(&self, stuck: &Stuck) -> Result<(), Error> {
        match stuck {
            Stuck::Sandbox(id) => {
                let _lane = self.lanes.enter(LaneKey::Sandbox(id.clone())).await;
                let is_going = self.read_view().sandbox(id.as_str()).is_ok_and(|it| it.lifecycle.is_going());
                if is_going { self.tear_down(id).await } else { Ok(()) }
            }
            Stuck::Change(id) => {
                let _lane = self.lanes.enter(LaneKey::Sandbox(id.clone())).await;
                let read_view = self.read_view();
                let is_there = read_view.sandbox(id.as_str()).is_ok_and(|it| it.change.is_some());
                if is_there { self.take_change_back(id).await } else { Ok(()) }
            }
            Stuck::Network(id) => self.tear_network_down(id.clone()).await,
        }
    }
}

fn all_stuck(read_view: &ReadView) -> Vec<Stuck> {
    let sandboxes = read_view.sandboxes().flat_map(|sandbox| {
        let whole = sandbox.lifecycle.is_stuck().then(|| Stuck::Sandbox(sandbox.id().clone()));
        let change = sandbox.change.as_ref().filter(|change| change.lifecycle.is_stuck());
        whole.or_else(|| change.map(|_| Stuck::Change(sandbox.id().clone())))
    });
    let networks = read_view.networks().filter(|network| network.lifecycle.is_stuck());
    sandboxes.chain(networks.map(|network| Stuck::Network(network.id.clone()))).collect()
}

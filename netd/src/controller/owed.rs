//! Grants that are owed to drivers are released when nobody here has them any more: at once, or, where the driver fails or
//! doesn't answer, later with back-off.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use cnm::{
    Error as Refusal, Kind, api,
    grant::{Holder, Owed},
    id::{DriverName, SandboxId},
};
use futures::future::join_all;
use tokio::sync::{Notify, watch};

use super::{
    Controller,
    retry::{FIRST_DELAY, LONGEST_DELAY},
    state::ReleaseFailure,
};
use crate::Error;

/// How much is given back to one at the same time.
const RELEASES_AT_A_TIME: usize = 16;

/// How it stands between us and those whom we ask.
#[derive(Debug, Default)]
pub(super) struct RemoteDrivers {
    /// Those that didn't take something back, with what wakes the task that tries again.
    backing_off: Mutex<BTreeMap<DriverName, Arc<Notify>>>,
    /// Sandboxes that somebody waits to remove, and how many do: nobody is asked for these any more.
    pub(super) removals: watch::Sender<BTreeMap<SandboxId, usize>>,
}

/// What came of giving something back.
enum Outcome {
    Released,
    Refused(ReleaseFailure),
    TimedOut(ReleaseFailure),
}

/// What came of giving back what was due to one.
struct ReleaseRound {
    /// Something is left.
    left: bool,
    /// Not even an answer came.
    timed_out: bool,
}

impl RemoteDrivers {
    fn is_backing_off(&self, to: &DriverName) -> bool {
        self.backing_off.lock().unwrap_or_else(PoisonError::into_inner).contains_key(to)
    }

    fn back_off(&self, to: &DriverName) -> Option<Arc<Notify>> {
        let mut backing_off = self.backing_off.lock().unwrap_or_else(PoisonError::into_inner);
        if backing_off.contains_key(to) {
            return None;
        }
        let woken = Arc::new(Notify::new());
        backing_off.insert(to.clone(), woken.clone());
        Some(woken)
    }

    fn recovered(&self, to: &DriverName) {
        self.backing_off.lock().unwrap_or_else(PoisonError::into_inner).remove(to);
    }

    /// It has answered something: what is due to it is tried at once.
    pub(super) fn is_back(&self, to: &DriverName) {
        if let Some(woken) = self.backing_off.lock().unwrap_or_else(PoisonError::into_inner).get(to) {
            woken.notify_one();
        }
    }
}

impl Controller {
    /// What is owed to others and not in use here.
    pub(crate) async fn owed(&self) -> Result<Vec<api::Owed>, Error> {
        self.state.decide(|state| state.owed.to_api()).await
    }

    /// Gives back what is due to some, if they take it now. To those that didn't lately it is given back later, with what
    /// else is due to them: nobody waits for that.
    pub(super) async fn release_due(&self, to: BTreeSet<DriverName>) {
        join_all(to.into_iter().map(|to| self.release_due_to(to))).await;
    }

    async fn release_due_to(&self, to: DriverName) {
        if self.drivers.is_backing_off(&to) {
            return;
        }
        // It fails when netd is stopping: what is due is stored.
        if let Ok(ReleaseRound { left: true, .. }) = self.release_round(&to, |round| round.left).await {
            self.release_later(to);
        }
    }

    /// Gives back what was due when netd ended.
    pub(super) fn release_left_over(&self) {
        let controller = self.clone();
        tokio::spawn(async move {
            if let Ok(to) = controller.state.decide(|state| state.owed.drivers_owed()).await {
                controller.release_due(to).await;
            }
        });
    }

    fn release_later(&self, to: DriverName) {
        if let Some(woken) = self.drivers.back_off(&to) {
            tokio::spawn(self.clone().retry_releases(to, woken));
        }
    }

    async fn retry_releases(self, to: DriverName, woken: Arc<Notify>) {
        let mut delay = FIRST_DELAY;
        loop {
            tokio::select! {
                () = tokio::time::sleep(delay) => delay = (delay * 2).min(LONGEST_DELAY),
                () = woken.notified() => delay = FIRST_DELAY,
            }
            match self.release_round(&to, |round| round.timed_out).await {
                Err(_) => return,
                Ok(ReleaseRound { left: true, .. }) => continue,
                Ok(ReleaseRound { left: false, .. }) => {}
            }
            self.drivers.recovered(&to);
            // Something may have become due while this task was still there to see to it.
            return Box::pin(self.release_due_to(to)).await;
        }
    }

    /// Gives back all that is due to one, until that is to stop.
    async fn release_round(
        &self,
        to: &DriverName,
        stop: impl Fn(&ReleaseRound) -> bool,
    ) -> Result<ReleaseRound, Error> {
        let (mut round, mut tried) = (ReleaseRound { left: false, timed_out: false }, BTreeSet::new());
        while !stop(&round) {
            let (asked, passed) = (to.clone(), tried.clone());
            let due = self.state.decide(move |state| state.owed.take_due(&asked, &passed, RELEASES_AT_A_TIME)).await?;
            if due.is_empty() {
                break;
            }
            tried.extend(due.iter().map(|owed| owed.holder.clone()));
            for outcome in join_all(due.into_iter().map(|owed| self.release(owed))).await {
                let (failed, timed_out) = match outcome {
                    Outcome::Released => continue,
                    Outcome::Refused(failed) => (failed, false),
                    Outcome::TimedOut(failed) => (failed, true),
                };
                round = ReleaseRound { left: true, timed_out: round.timed_out || timed_out };
                let ReleaseFailure { holder, error } = &failed;
                tracing::warn!(%error, "driver {to} has not released what it granted for {holder}: it is asked again");
                self.state.decide(move |state| state.owed.release_failed(failed)).await?;
            }
        }
        Ok(round)
    }

    async fn release(&self, owed: Owed) -> Outcome {
        let failed = |holder: Holder, error: &Refusal| ReleaseFailure { holder, error: error.message.clone() };
        let Some(grantor) = self.planners.grantor(&owed.to) else {
            let error = Refusal::new(Kind::NotFound, format!("there is no driver {}", owed.to));
            return Outcome::Refused(failed(owed.holder, &error));
        };
        let deadline = grantor.deadline();
        // A task of its own: a panic in it is its own.
        let (holder, asked) = (owed.holder.clone(), grantor.clone());
        let releasing = tokio::spawn(async move { tokio::time::timeout(deadline, asked.release(&owed)).await });
        match releasing.await {
            Ok(Ok(Ok(()))) => {
                let released = holder.clone();
                if let Ok(commit) = self.state.decide(move |state| state.released(&released)).await {
                    super::sandboxes::store_quietly(Some(commit)).await;
                }
                Outcome::Released
            }
            Ok(Ok(Err(error))) => Outcome::Refused(failed(holder, &error)),
            Ok(Err(_)) => {
                let error = Refusal::new(Kind::Unavailable, format!("it did not answer within {deadline:?}"));
                Outcome::TimedOut(failed(holder, &error))
            }
            Err(_) => Outcome::TimedOut(failed(holder, &Refusal::new(Kind::Internal, "asking it failed"))),
        }
    }
}

//! Sandboxes: put and remove.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use cnm::{
    Kind,
    id::{NetworkId, OwnerName, SandboxId},
    sandbox::Sandbox,
    spec::{NamespaceSpec, SandboxSpec},
};

use super::{
    Controller, Timed, Timing,
    lanes::{LaneGuard, LaneKey},
    prepare::Prepared,
    state::{ChangeRequest, Gone, Leaving, NewSandbox, Reserved},
};
use crate::{
    Error, port_process,
    ports::{self, BoundSocket},
    store::Commit,
};

/// So many ports of our choice may turn out to be somebody else's before we give up.
pub(super) const MOST_PORTS_AVOIDED: usize = 1000;

/// What putting a sandbox led to.
#[derive(Debug, Clone)]
pub(crate) enum PutSandbox {
    /// It was there, just as asked for.
    There(Arc<Sandbox>),
    /// It was there, and has become what is asked for.
    Changed(Arc<Sandbox>),
    /// It is new.
    Made(Arc<Sandbox>),
}

impl Controller {
    /// Makes a sandbox, finds the one that is as asked for, or has one become that.
    #[tracing::instrument(level = "debug", skip_all, fields(sandbox = %spec.id))]
    pub(crate) async fn put_sandbox(&self, spec: SandboxSpec) -> Result<Timed<PutSandbox>, Error> {
        let _lane = self.lanes.enter(LaneKey::Sandbox(spec.id.clone())).await;
        let mut prepared = Prepared::default();
        let put = self.put_prepared(spec, &mut prepared).await;
        self.release_unused(prepared).await;
        put
    }

    async fn put_prepared(&self, spec: SandboxSpec, prepared: &mut Prepared) -> Result<Timed<PutSandbox>, Error> {
        let id = spec.id.clone();
        let mut timing = Timing::default();
        let mut avoided = BTreeSet::new();
        let (Reserved { plan, commit, loopback_pending, .. }, bound) = loop {
            let (asked, but, grants) = (spec.clone(), avoided.clone(), prepared.grants());
            let decision = self.state.decide(move |state| state.reserve_sandbox(asked, &but, &grants));
            let mut reserved = match timing.measure("decide", decision).await? {
                Ok(NewSandbox::There(sandbox)) => return Ok(timing.of(PutSandbox::There(sandbox))),
                Ok(NewSandbox::Differs) => {
                    let Timed { value, timing } =
                        self.change(&id, ChangeRequest::Replace(Box::new(spec)), prepared, timing).await?;
                    return Ok(timing.of(PutSandbox::Changed(value)));
                }
                Ok(NewSandbox::Leftover) => {
                    timing.measure("leftover", self.tear_down(&id)).await?;
                    continue;
                }
                Ok(NewSandbox::NeedsGrants(requests)) => {
                    timing.measure("prepare", self.prepare_sandbox(&id, requests, prepared)).await?;
                    continue;
                }
                Ok(NewSandbox::Reserved(reserved)) => reserved,
                Err(error) => return Err(error),
            };
            let failure = match ports::bind_all(std::mem::take(&mut reserved.sockets)) {
                Ok(bound) => break (reserved, bound),
                Err(failure) => failure,
            };
            let may_choose = failure.taken && !failure.spec.fixed && avoided.len() < MOST_PORTS_AVOIDED;
            let place = (failure.spec.protocol, failure.spec.port);
            let refused = self.give_up_sandbox::<()>(&id, failure.error, Vec::new()).await;
            match refused {
                Err(_) if may_choose => drop(avoided.insert(place)),
                Err(error) => return Err(port_process::explain(error).await),
                Ok(()) => {}
            }
        };
        let attempt = || format!("set up sandbox {id}");
        let made = async {
            timing.measure("reserve", commit.done()).await?;
            check_namespace(&spec.namespace).await?;
            self.apply_loopback(loopback_pending, attempt).await?;
            timing.measure("apply", self.apply(plan, attempt)).await
        };
        match made.await {
            Ok(applied) => timing.extend(applied.spans),
            Err(error) => return self.give_up_sandbox(&id, error, bound).await,
        }
        let programmed = id.clone();
        let stored = async {
            let decision = self.state.decide(move |state| state.sandbox_programmed(&programmed, bound));
            let (sandbox, commit) = timing.measure("programmed", decision).await??;
            timing.measure("commit", commit.done()).await?;
            Ok(sandbox)
        };
        match stored.await {
            Ok(sandbox) => Ok(timing.of(PutSandbox::Made(sandbox))),
            Err(error) => self.take_sandbox_back(id, error).await,
        }
    }

    /// Takes away a sandbox that the kernel has and the store doesn't; that it isn't stored is the answer.
    async fn take_sandbox_back<T>(&self, id: SandboxId, error: Error) -> Result<T, Error> {
        let leaving = id.clone();
        let decision = self.state.decide(move |state| state.sandbox_leaving(&leaving));
        let leaving = decision.await??;
        if let Err(failed) = self.take_away(&id, leaving, &mut Timing::default()).await {
            tracing::error!(error = %failed.chain(), "sandbox {id} could not be stored and can't be removed");
        }
        Err(error)
    }

    /// Gives back what a sandbox that failed had been given; the failure is the answer.
    async fn give_up_sandbox<T>(&self, id: &SandboxId, error: Error, bound: Vec<BoundSocket>) -> Result<T, Error> {
        let failed = id.clone();
        let decision = self.state.decide(move |state| (state.sandbox_failed(&failed, &error, bound), error));
        let (gone, error) = decision.await?;
        self.conclude_quietly(id, gone).await;
        self.retry_later();
        Err(error)
    }

    /// Has networks have what sandboxes on them need, and nothing that nobody needs: in the lane of each, as it is then.
    pub(super) async fn apply_loopback(
        &self,
        networks: Vec<NetworkId>,
        attempt: impl Fn() -> String,
    ) -> Result<(), Error> {
        for id in networks {
            let _lane = self.lanes.enter(LaneKey::Network(id.clone())).await;
            let asked = id.clone();
            let Some(plan) = self.state.decide(move |state| state.loopback_plan(&asked)).await?? else { continue };
            self.apply(plan.clone(), &attempt).await?;
            self.state.decide(move |state| state.model.loopback_applied(&id, &plan)).await?;
        }
        Ok(())
    }

    /// The same where it belongs to no request that could fail.
    async fn apply_loopback_or_warn(&self, networks: Vec<NetworkId>) {
        if let Err(error) =
            self.apply_loopback(networks, || "change how ports are published on loopback".to_owned()).await
        {
            let error = error.chain();
            self.warn(format!("publishing on the host's loopback addresses is not as it should be: {error}")).await;
        }
    }

    /// What is left to do when something is gone: networks may need less, ports may lead elsewhere, others get theirs back.
    pub(super) async fn conclude(&self, id: &SandboxId, gone: Option<Gone>) -> Result<(), Error> {
        let Some(Gone { commit, loopback_pending, sockets, due }) = gone else { return Ok(()) };
        self.apply_loopback_or_warn(loopback_pending).await;
        if !sockets.is_empty() {
            let (id, bound) = (id.clone(), ports::bind_all(sockets));
            self.state.decide(move |state| state.add_bound(&id, bound)).await?;
        }
        let stored = commit.done().await;
        self.release_due(due).await;
        stored
    }

    /// On the way out of a failure, which is what the caller has to hear of.
    pub(super) async fn conclude_quietly(&self, id: &SandboxId, gone: Option<Gone>) {
        if let Err(error) = self.conclude(id, gone).await {
            tracing::error!(error = %error.chain(), "a failed request's outcome is not stored");
        }
    }

    /// Takes a sandbox of this owner's down.
    pub(crate) async fn remove_sandbox_of(&self, owner: &OwnerName, id: SandboxId) -> Result<Timed<()>, Error> {
        // Nobody else keeps it from what it is about.
        self.refuse_others(owner, &id)?;
        let _lane = self.lane_to_remove(&id).await;
        self.refuse_others(owner, &id)?;
        self.tear_down_timed(&id).await
    }

    /// Certain in the sandbox's lane, where nobody else changes whose it is. One that isn't there is nobody's: who changes it
    /// says so.
    pub(super) fn refuse_others(&self, owner: &OwnerName, id: &SandboxId) -> Result<(), Error> {
        match self.read_view().sandbox(id.as_str()) {
            Ok(sandbox) if sandbox.spec.owner != *owner => {
                let whose = &sandbox.spec.owner;
                let sentence =
                    format!("sandbox {id} is {whose}'s, not {owner}'s: only its owner may change or remove it");
                Err(cnm::Error::new(Kind::Forbidden, sentence).into())
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn lane_to_remove(&self, id: &SandboxId) -> LaneGuard {
        let _notice = self.announce_removal(id);
        self.lanes.enter(LaneKey::Sandbox(id.clone())).await
    }

    pub(super) async fn tear_down(&self, id: &SandboxId) -> Result<(), Error> {
        self.tear_down_timed(id).await.map(|timed| timed.value)
    }

    /// To be called in the sandbox's lane.
    async fn tear_down_timed(&self, id: &SandboxId) -> Result<Timed<()>, Error> {
        let mut timing = Timing::default();
        let leaving = id.clone();
        let decision = self.state.decide(move |state| state.sandbox_leaving(&leaving));
        let leaving = timing.measure("decide", decision).await??;
        self.take_away(id, leaving, &mut timing).await?;
        Ok(timing.of(()))
    }

    /// Stores and applies the plan of a sandbox that is going, and forgets it.
    async fn take_away(&self, id: &SandboxId, leaving: Leaving, timing: &mut Timing) -> Result<(), Error> {
        let id = id.clone();
        let Leaving { plan, commit, drained, loopback_pending } = leaving;
        let applied = async {
            timing.measure("reserve", commit.done()).await?;
            timing.measure("apply", self.apply(plan.clone(), || format!("take down sandbox {id}"))).await
        };
        match applied.await {
            Ok(applied) => timing.extend(applied.spans),
            Err(error) => {
                let reason = error.chain();
                let commit = self.state.decide(move |state| state.sandbox_stuck(&id, plan, reason)).await?;
                store_quietly(commit).await;
                self.retry_later();
                return Err(error);
            }
        }
        drained.done().await;
        self.apply_loopback_or_warn(loopback_pending).await;
        let leaving = id.clone();
        let gone = self.state.decide(move |state| state.sandbox_gone(&leaving));
        let gone = timing.measure("forget", gone).await?;
        timing.measure("commit", self.conclude(&id, gone)).await
    }
}

/// Refuses somebody else's namespace that isn't there or isn't one. Only for a sandbox that is to be made: the request
/// of one that is there may be repeated when its namespace has gone.
async fn check_namespace(namespace: &NamespaceSpec) -> Result<(), Error> {
    let NamespaceSpec::Path(path) = namespace else { return Ok(()) };
    let asked = path.clone();
    let checked = tokio::task::spawn_blocking(move || kernel::is_network_namespace(Path::new(&asked)));
    let why = match checked.await.map_err(|_| Error::Panicked)? {
        Ok(true) => return Ok(()),
        Ok(false) => "it is something else".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(cnm::Error::invalid(format!("{path:?} is not a network namespace: {why}; give the path of one")).into())
}

/// Waits for a change that is stored on the way out of a failure: the failure is what the caller has to hear of.
pub(super) async fn store_quietly(commit: Option<Commit>) {
    if let Some(commit) = commit
        && let Err(error) = commit.done().await
    {
        tracing::error!(error = %error.chain(), "a failed request's outcome is not stored");
    }
}

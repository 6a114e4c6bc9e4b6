//! Changes of sandboxes: by a PUT of another desired state, by connecting and disconnecting.

use std::{collections::BTreeSet, sync::Arc};

use cnm::{
    diff,
    id::{OwnerName, SandboxId},
    observed::ObserveScope,
    sandbox::Sandbox,
    spec::EndpointSpec,
};

use super::{
    Controller, Timed, Timing,
    lanes::LaneKey,
    prepare::Prepared,
    sandboxes::{MOST_PORTS_AVOIDED, store_quietly},
    state::{ChangeRequest, Changed, NewChange, Reserved},
};
use crate::{
    Error, port_process,
    ports::{self, BoundSocket},
    read_view::{no_such_endpoint, show_endpoint},
};

impl Controller {
    /// Attaches a sandbox of this owner's to one more network.
    #[tracing::instrument(level = "debug", skip(self, owner, spec), fields(network = %spec.network))]
    pub(crate) async fn connect_of(
        &self,
        owner: &OwnerName,
        id: SandboxId,
        spec: EndpointSpec,
    ) -> Result<cnm::api::Endpoint, Error> {
        let _lane = self.lanes.enter(LaneKey::Sandbox(id.clone())).await;
        self.refuse_others(owner, &id)?;
        let mut prepared = Prepared::default();
        let changed = self.change(&id, ChangeRequest::Connect(spec), &mut prepared, Timing::default()).await;
        self.release_unused(prepared).await;
        let sandbox = changed?.value;
        let endpoint = sandbox.endpoints.last().ok_or_else(|| no_such_endpoint(&id, "that is new"))?;
        Ok(show_endpoint(&sandbox, endpoint))
    }

    /// Detaches a sandbox of this owner's from a network.
    #[tracing::instrument(level = "debug", skip(self, owner))]
    pub(crate) async fn disconnect_of(&self, owner: &OwnerName, id: SandboxId, endpoint: String) -> Result<(), Error> {
        let _lane = self.lanes.enter(LaneKey::Sandbox(id.clone())).await;
        self.refuse_others(owner, &id)?;
        self.change(&id, ChangeRequest::Disconnect(endpoint), &mut Prepared::default(), Timing::default())
            .await
            .map(drop)
    }

    /// Has a sandbox become what is wished, or leaves it as it is. To be called in its lane.
    pub(super) async fn change(
        &self,
        id: &SandboxId,
        change: ChangeRequest,
        prepared: &mut Prepared,
        mut timing: Timing,
    ) -> Result<Timed<Arc<Sandbox>>, Error> {
        self.refuse_lost(id).await?;
        let (Reserved { plan, commit, loopback_pending, .. }, bound) =
            self.reserve_change(id, &change, prepared, &mut timing).await?;
        let attempt = || format!("change sandbox {id}");
        let stored = async {
            timing.measure("reserve", commit.done()).await?;
            self.apply_loopback(loopback_pending, attempt).await?;
            let applied = timing.measure("apply", self.apply(plan, attempt)).await?;
            timing.extend(applied.spans);
            let asked = id.clone();
            let commit = self.state.decide(move |state| state.store_changed(&asked)).await??;
            timing.measure("commit", commit.done()).await
        };
        if let Err(error) = stored.await {
            return Err(self.undo_change(id, error, bound).await);
        }
        let asked = id.clone();
        let changed = self.state.decide(move |state| state.changed(&asked, bound));
        let Changed { sandbox, gone, drained } = timing.measure("changed", changed).await??;
        drained.done().await;
        self.conclude(id, Some(gone)).await?;
        Ok(timing.of(sandbox))
    }

    /// Decides on a change and binds the ports that come by it. Ports of our choice that turn out to be somebody else's are
    /// chosen anew.
    async fn reserve_change(
        &self,
        id: &SandboxId,
        change: &ChangeRequest,
        prepared: &mut Prepared,
        timing: &mut Timing,
    ) -> Result<(Reserved, Vec<BoundSocket>), Error> {
        let mut avoided = BTreeSet::new();
        loop {
            let (asked, change, but, grants) = (id.clone(), change.clone(), avoided.clone(), prepared.grants());
            let decision = self.state.decide(move |state| state.reserve_change(&asked, change, &but, &grants));
            let mut reserved = match timing.measure("decide", decision).await?? {
                NewChange::Leftover => {
                    timing.measure("leftover", self.take_change_back(id)).await?;
                    continue;
                }
                NewChange::NeedsGrants(requests) => {
                    timing.measure("prepare", self.prepare_sandbox(id, requests, prepared)).await?;
                    continue;
                }
                NewChange::Reserved(reserved) => reserved,
            };
            let failure = match ports::bind_all(std::mem::take(&mut reserved.sockets)) {
                Ok(bound) => return Ok((reserved, bound)),
                Err(failure) => failure,
            };
            let may_choose = failure.taken && !failure.spec.fixed && avoided.len() < MOST_PORTS_AVOIDED;
            avoided.insert((failure.spec.protocol, failure.spec.port));
            let refused = self.give_up_change(id, failure.error, Vec::new()).await;
            if !may_choose {
                return Err(port_process::explain(refused).await);
            }
        }
    }

    /// Gives back what a change had been given of which nothing is applied; answers with why.
    async fn give_up_change(&self, id: &SandboxId, error: Error, bound: Vec<BoundSocket>) -> Error {
        let given_up = id.clone();
        match self.state.decide(move |state| state.unchanged(&given_up, bound)).await {
            Ok(gone) => self.conclude_quietly(id, gone).await,
            Err(stopping) => return stopping,
        }
        error
    }

    /// The same when some or all of it may be applied.
    async fn undo_change(&self, id: &SandboxId, error: Error, bound: Vec<BoundSocket>) -> Error {
        let Err(failed) = self.restore(id).await else { return self.give_up_change(id, error, bound).await };
        tracing::warn!(error = %failed.chain(), "a change of sandbox {id} failed and can't be undone now");
        if let Err(stopping) = self.change_stays(id, failed.chain(), bound).await {
            return stopping;
        }
        error
    }

    async fn change_stays(&self, id: &SandboxId, reason: String, bound: Vec<BoundSocket>) -> Result<(), Error> {
        let stuck = id.clone();
        let commit = self.state.decide(move |state| state.change_stuck(&stuck, reason, bound)).await?;
        store_quietly(commit).await;
        self.retry_later();
        Ok(())
    }

    /// Takes back what is left of a change that failed. To be called in the sandbox's lane.
    pub(super) async fn take_change_back(&self, id: &SandboxId) -> Result<(), Error> {
        if let Err(error) = self.restore(id).await {
            self.change_stays(id, error.chain(), Vec::new()).await?;
            return Err(error);
        }
        let taken_back = id.clone();
        let gone = self.state.decide(move |state| state.unchanged(&taken_back, Vec::new())).await?;
        self.conclude(id, gone).await
    }

    /// Has the kernel hold what a sandbox is made of, and nothing of what it was to become. What undid operations one by one
    /// knows nothing of what went by itself with what they took away.
    async fn restore(&self, id: &SandboxId) -> Result<(), Error> {
        let asked = id.clone();
        let (desired, unwanted) = self.state.decide(move |state| state.before_change(&asked)).await??;
        let scope = ObserveScope::of(desired.iter().chain(&unwanted));
        let observed = self.on_host("observe the host's links", move |host| host.observe(&scope)).await?;
        let plan = diff::restore(&desired, &unwanted, &observed);
        self.apply(plan, || format!("undo a change of sandbox {id}")).await.map(drop)
    }
}

//! Sandboxes and endpoints: put, remove, connect, disconnect.

use std::{path::Path, sync::Arc};

use cnm::{
    id::{EndpointId, SandboxId},
    plan::Plan,
    sandbox::Sandbox,
    spec::{EndpointSpec, NamespaceSpec, SandboxSpec},
};

use super::{
    Controller, Timed, Timing,
    lanes::Subject,
    ledger::{Leaving, NewEndpoint, NewSandbox},
};
use crate::{
    Error, holder,
    published::{find_endpoint, show_endpoint},
    relay::LetGo,
    store::Commit,
};

/// What putting a sandbox led to.
#[derive(Debug, Clone)]
pub(crate) enum PutSandbox {
    /// The same request had been made before.
    There(Arc<Sandbox>),
    /// It is new.
    Made(Arc<Sandbox>),
}

impl Controller {
    /// Makes a sandbox, or finds the one that the same request made.
    #[tracing::instrument(level = "debug", skip_all, fields(sandbox = %spec.id))]
    pub(crate) async fn put_sandbox(&self, spec: SandboxSpec) -> Result<Timed<PutSandbox>, Error> {
        let id = spec.id.clone();
        let _turn = self.lanes.enter(Subject::Sandbox(id.clone())).await;
        let mut timing = Timing::default();
        let (plan, commit) = loop {
            let spec = spec.clone();
            let decision = self.owner.decide(move |ledger| ledger.reserve_sandbox(&spec));
            match timing.measure("decide", decision).await? {
                Ok(NewSandbox::There(sandbox)) => return Ok(timing.of(PutSandbox::There(sandbox))),
                Ok(NewSandbox::Leftover) => timing.measure("leftover", self.tear_down(&id)).await?,
                Ok(NewSandbox::Reserved(plan, commit)) => break (plan, commit),
                Err(error) => return Err(holder::explain(error).await),
            }
        };
        let made = async {
            timing.measure("reserve", commit.done()).await?;
            check_namespace(spec.namespace).await?;
            timing.measure("apply", self.apply(plan, || format!("set up sandbox {id}"))).await
        };
        match made.await {
            Ok(applied) => timing.extend(applied.spans),
            Err(error) => return self.give_up_sandbox(id, error).await,
        }
        let programmed = id.clone();
        let stored = async {
            let decision = self.owner.decide(move |ledger| ledger.sandbox_programmed(&programmed));
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
        let decision = self.owner.decide(move |ledger| ledger.sandbox_leaving(&leaving));
        let Leaving { plan, commit, let_go } = decision.await??;
        settle_quietly(Some(commit)).await;
        if let Err(failed) = self.take_away(&id, plan, let_go, &mut Timing::default()).await {
            tracing::error!(error = %failed.chain(), "sandbox {id} could not be stored and can't be taken away");
        }
        Err(error)
    }

    /// Gives back what a sandbox that failed had been given; the failure is the answer.
    async fn give_up_sandbox<T>(&self, id: SandboxId, error: Error) -> Result<T, Error> {
        let (commit, error) = self.owner.decide(move |ledger| (ledger.sandbox_failed(&id, &error), error)).await?;
        settle_quietly(commit).await;
        self.retry_later();
        Err(error)
    }

    /// Takes a sandbox down.
    #[tracing::instrument(level = "debug", skip(self))]
    pub(crate) async fn remove_sandbox(&self, id: SandboxId) -> Result<Timed<()>, Error> {
        let _turn = self.lanes.enter(Subject::Sandbox(id.clone())).await;
        self.tear_down_timed(&id).await
    }

    pub(super) async fn tear_down(&self, id: &SandboxId) -> Result<(), Error> {
        self.tear_down_timed(id).await.map(|timed| timed.value)
    }

    /// To be called in the sandbox's lane.
    async fn tear_down_timed(&self, id: &SandboxId) -> Result<Timed<()>, Error> {
        let mut timing = Timing::default();
        let leaving = id.clone();
        let decision = self.owner.decide(move |ledger| ledger.sandbox_leaving(&leaving));
        let Leaving { plan, commit, let_go } = timing.measure("decide", decision).await??;
        timing.measure("reserve", commit.done()).await?;
        self.take_away(id, plan, let_go, &mut timing).await?;
        Ok(timing.of(()))
    }

    /// Applies the plan of a sandbox that is going, and forgets it.
    async fn take_away(&self, id: &SandboxId, plan: Plan, let_go: LetGo, timing: &mut Timing) -> Result<(), Error> {
        let id = id.clone();
        let applied = self.apply(plan.clone(), || format!("take down sandbox {id}"));
        match timing.measure("apply", applied).await {
            Ok(applied) => timing.extend(applied.spans),
            Err(error) => {
                let reason = error.chain();
                let commit = self.owner.decide(move |ledger| ledger.sandbox_stuck(&id, plan, reason)).await?;
                settle_quietly(commit).await;
                self.retry_later();
                return Err(error);
            }
        }
        let_go.done().await;
        let commit = self.owner.decide(move |ledger| ledger.sandbox_gone(&id));
        if let Some(commit) = timing.measure("forget", commit).await? {
            timing.measure("commit", commit.done()).await?;
        }
        Ok(())
    }

    /// Attaches a sandbox to one more network.
    #[tracing::instrument(level = "debug", skip(self, spec), fields(network = %spec.network))]
    pub(crate) async fn connect(&self, id: SandboxId, spec: EndpointSpec) -> Result<cnm::api::Endpoint, Error> {
        let _turn = self.lanes.enter(Subject::Sandbox(id.clone())).await;
        let sandbox = id.clone();
        let reserved = match self.owner.decide(move |ledger| ledger.reserve_endpoint(&sandbox, spec)).await? {
            Ok(reserved) => reserved,
            Err(error) => return Err(holder::explain(error).await),
        };
        let NewEndpoint { id: endpoint, plan, commit } = reserved;
        let connected = async {
            commit.done().await?;
            self.apply(plan, || format!("connect sandbox {id}")).await
        };
        if let Err(error) = connected.await {
            let (commit, error) =
                self.owner.decide(move |ledger| (ledger.endpoint_failed(&id, &endpoint, &error), error)).await?;
            settle_quietly(commit).await;
            self.retry_later();
            return Err(error);
        }
        let (sandbox, programmed) = (id.clone(), endpoint.clone());
        let stored = async {
            let decision = self.owner.decide(move |ledger| ledger.endpoint_programmed(&sandbox, &programmed));
            let (sandbox, commit) = decision.await??;
            commit.done().await?;
            Ok(sandbox)
        };
        match stored.await {
            Ok(sandbox) => Ok(show_endpoint(&sandbox, find_endpoint(&sandbox, endpoint.as_str())?)),
            Err(error) => self.take_endpoint_back(id, endpoint, error).await,
        }
    }

    /// Takes away an endpoint that the kernel has and the store doesn't; that it isn't stored is the answer.
    async fn take_endpoint_back<T>(&self, id: SandboxId, endpoint: EndpointId, error: Error) -> Result<T, Error> {
        let (sandbox, leaving) = (id.clone(), endpoint.clone());
        let decision = self.owner.decide(move |ledger| ledger.endpoint_leaving(&sandbox, &leaving));
        let Leaving { plan, commit, .. } = decision.await??;
        settle_quietly(Some(commit)).await;
        if let Err(failed) = self.take_endpoint_away(id, endpoint, plan).await {
            tracing::error!(error = %failed.chain(), "an endpoint could not be stored and can't be taken away");
        }
        Err(error)
    }

    /// Detaches a sandbox from a network.
    #[tracing::instrument(level = "debug", skip(self))]
    pub(crate) async fn disconnect(&self, id: SandboxId, endpoint: String) -> Result<(), Error> {
        let _turn = self.lanes.enter(Subject::Sandbox(id.clone())).await;
        let sandbox = id.clone();
        let decided = self.owner.decide(move |ledger| {
            let endpoint = find_endpoint(ledger.sandbox(&sandbox)?, &endpoint)?.id.clone();
            let leaving = ledger.endpoint_leaving(&sandbox, &endpoint)?;
            Ok::<_, Error>((endpoint, leaving))
        });
        let (endpoint, Leaving { plan, commit, .. }) = decided.await??;
        commit.done().await?;
        self.take_endpoint_away(id, endpoint, plan).await
    }

    /// Applies the plan of an endpoint that is going, and forgets it.
    async fn take_endpoint_away(&self, id: SandboxId, endpoint: EndpointId, plan: Plan) -> Result<(), Error> {
        if let Err(error) = self.apply(plan.clone(), || format!("disconnect sandbox {id}")).await {
            let reason = error.chain();
            let stuck = self.owner.decide(move |ledger| ledger.endpoint_stuck(&id, &endpoint, plan, reason));
            settle_quietly(stuck.await?).await;
            self.retry_later();
            return Err(error);
        }
        match self.owner.decide(move |ledger| ledger.endpoint_gone(&id, &endpoint)).await? {
            Some(commit) => commit.done().await,
            None => Ok(()),
        }
    }
}

/// Refuses somebody else's namespace that isn't there or isn't one. Only for a sandbox that is to be made: the request
/// of one that is there may be repeated when its namespace has gone.
async fn check_namespace(namespace: NamespaceSpec) -> Result<(), Error> {
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
pub(super) async fn settle_quietly(commit: Option<Commit>) {
    if let Some(commit) = commit
        && let Err(error) = commit.done().await
    {
        tracing::error!(error = %error.chain(), "a failed request's outcome is not stored");
    }
}

//! Before a decision, grants are requested of the drivers that give some: with a deadline, and with no lane held but that of the
//! object that it is for. The answers enter the decision as a value.

use std::{pin::pin, sync::Arc, time::Duration};

use cnm::{
    Error as Refusal, Kind,
    grant::{Grant, GrantRequest, Grantor, Grants, Holder},
    id::SandboxId,
};
use futures::future::try_join_all;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use tracing::Instrument;

use super::{Controller, owed::RemoteDrivers};
use crate::Error;

/// An answer that comes after its deadline is waited for as long, to be given back.
const LATEST_ANSWER: Duration = Duration::from_secs(600);

/// What a request was granted, from when it asks until it is done.
#[derive(Default)]
pub(super) struct Prepared {
    grants: Grants,
    guards: Vec<GrantGuard>,
}

/// A grant, or a request for one, that a task uses. However the task ends, what isn't used any more is released.
struct GrantGuard(Option<(Controller, Holder)>);

/// Somebody waits to remove a sandbox.
pub(super) struct RemovalNotice {
    drivers: Arc<RemoteDrivers>,
    sandbox: SandboxId,
}

/// An answer, with its guard.
type Answered = Result<(GrantRequest, Grant, GrantGuard), Error>;

impl Prepared {
    /// For the next decision.
    pub(super) fn grants(&self) -> Grants {
        self.grants.clone()
    }
}

impl Controller {
    /// Asks others all that a decision about a sandbox needs, unless somebody comes to remove it.
    pub(super) async fn prepare_sandbox(
        &self,
        id: &SandboxId,
        requests: Vec<GrantRequest>,
        prepared: &mut Prepared,
    ) -> Result<(), Error> {
        let mut removals = self.drivers.removals.subscribe();
        let removed = async {
            // The sender is as old as netd.
            let _ = removals.wait_for(|removals| removals.contains_key(id)).await;
            Refusal::new(Kind::Conflict, format!("sandbox {id} is being removed: try again")).into()
        };
        self.prepare(requests, prepared, removed).await
    }

    /// Asks others all that a decision needs, side by side, unless it is called off. What was asked for is owed to them from
    /// before they hear of it.
    pub(super) async fn prepare(
        &self,
        requests: Vec<GrantRequest>,
        prepared: &mut Prepared,
        called_off: impl Future<Output = Error>,
    ) -> Result<(), Error> {
        let stored_requests = requests.clone();
        let stored = self.state.decide(move |state| state.about_to_ask(&stored_requests)).await?;
        let guard = |request: &GrantRequest| GrantGuard(Some((self.clone(), request.holder())));
        let requests: Vec<_> = requests.into_iter().map(|request| (guard(&request), request)).collect();
        stored.done().await?;
        let answers = try_join_all(requests.into_iter().map(|(guard, request)| self.ask(request, guard)));
        let answers = tokio::select! {
            biased;
            error = called_off => return Err(error),
            answers = answers => answers?,
        };
        for (request, grant, guard) in answers {
            prepared.grants.add(&request, grant);
            prepared.guards.push(guard);
        }
        Ok(())
    }

    async fn ask(&self, request: GrantRequest, guard: GrantGuard) -> Answered {
        let Some(grantor) = self.planners.grantor(request.to()) else {
            let message = format!("there is no driver {}, which {request} needs", request.to());
            return Err(Refusal::new(Kind::NotFound, message).into());
        };
        let (answer, answered) = oneshot::channel();
        let asking = self.clone().ask_until_answered(grantor, request, guard, answer);
        tokio::spawn(asking.instrument(tracing::Span::current()));
        answered.await.unwrap_or(Err(Error::Panicked))
    }

    /// Asks one until it answers, whether or not anybody still waits for that: only then can it be released. The guard is
    /// dropped unless it reaches who waits.
    async fn ask_until_answered(
        self,
        grantor: Arc<dyn Grantor>,
        request: GrantRequest,
        guard: GrantGuard,
        answer: oneshot::Sender<Answered>,
    ) {
        let mut call = pin!(async {
            match &request {
                GrantRequest::Network(request) => grantor.request_network(request).await.map(Grant::Network),
                GrantRequest::Endpoint(request) => grantor.request_endpoint(request).await.map(Grant::Endpoint),
            }
        });
        let deadline = grantor.deadline();
        match timeout(deadline, &mut call).await {
            Ok(answered) => {
                let grant = self.note_answer(&request, answered).await;
                let answered = grant.map(|grant| (request.clone(), grant, guard));
                // Nobody may wait any more.
                drop(answer.send(answered));
            }
            Err(_) => {
                let why = format!(
                    "driver {} did not answer within {deadline:?} when it was asked for {request}",
                    request.to()
                );
                let refusal = Refusal::new(Kind::Unavailable, format!("{why}: see whether it runs, and try again"));
                drop(answer.send(Err(refusal.into())));
                if let Ok(late) = timeout(LATEST_ANSWER, call).await
                    && let Err(error) = self.note_answer(&request, late).await
                {
                    tracing::debug!(error = %error.chain(), "an answer that came too late");
                }
            }
        }
    }

    /// Stores what was given, which may be needed to give it back.
    async fn note_answer(&self, request: &GrantRequest, answered: Result<Grant, Refusal>) -> Result<Grant, Error> {
        let grant = answered.map_err(|error| {
            let message = format!("driver {} has refused {request}: {}", request.to(), error.message);
            Error::from(Refusal::new(error.kind, message))
        })?;
        self.drivers.is_back(request.to());
        let (holder, given) = (request.holder(), grant.clone());
        if let Some(stored) = self.state.decide(move |state| state.answered(&holder, given)).await? {
            stored.done().await?;
        }
        Ok(grant)
    }

    /// The request is done: what it was granted and has no record here is given back.
    pub(super) async fn release_unused(&self, prepared: Prepared) {
        let holders = prepared.guards.into_iter().filter_map(GrantGuard::release).collect();
        self.release_unused_of(holders).await;
    }

    async fn release_unused_of(&self, holders: Vec<Holder>) {
        if holders.is_empty() {
            return;
        }
        // It fails when netd is stopping: the next one gives back what no record speaks of.
        if let Ok(due) = self.state.decide(move |state| state.no_longer_in_use(holders)).await {
            self.release_due(due).await;
        }
    }

    /// To be held while a removal waits for its turn: who asks others for the sandbox, and has that turn, gives it up.
    pub(super) fn announce_removal(&self, sandbox: &SandboxId) -> RemovalNotice {
        self.drivers.removals.send_modify(|removals| *removals.entry(sandbox.clone()).or_default() += 1);
        RemovalNotice { drivers: self.drivers.clone(), sandbox: sandbox.clone() }
    }
}

impl GrantGuard {
    fn release(mut self) -> Option<Holder> {
        self.0.take().map(|(_, holder)| holder)
    }
}

impl Drop for GrantGuard {
    fn drop(&mut self) {
        let Some((controller, holder)) = self.0.take() else { return };
        // There is none when netd is stopping.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { controller.release_unused_of(vec![holder]).await });
        }
    }
}

impl Drop for RemovalNotice {
    fn drop(&mut self) {
        self.drivers.removals.send_modify(|removals| {
            if let Some(waiting) = removals.get_mut(&self.sandbox) {
                *waiting -= 1;
                if *waiting == 0 {
                    removals.remove(&self.sandbox);
                }
            }
        });
    }
}

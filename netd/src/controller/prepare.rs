//! Before a decision, others are asked for what it needs of them: with a deadline, and with no lane held but that of the object
//! that it is for. The answers enter the decision as a value.

use std::{sync::Arc, time::Duration};

use cnm::{
    Error as Refusal, Kind,
    grant::{Ask, Grant, Grantor, Grants, Holder},
    id::SandboxId,
};
use futures::future::try_join_all;
use tokio::{runtime::Handle, sync::oneshot, time::timeout};
use tracing::Instrument;

use super::{Controller, owed::Others};
use crate::Error;

/// An answer that comes after its deadline is waited for as long, to be given back.
const LATEST_ANSWER: Duration = Duration::from_secs(600);

/// What a request was granted, from when it asks until it is done.
#[derive(Default)]
pub(super) struct Prepared {
    grants: Grants,
    in_hand: Vec<InHand>,
}

/// What a task has in hand of what others were asked for. However the task ends, it is let go.
struct InHand(Option<(Controller, Holder)>);

/// Somebody waits to remove a sandbox.
pub(super) struct Departure {
    others: Arc<Others>,
    sandbox: SandboxId,
}

/// An answer, in hand.
type Answered = Result<(Ask, Grant, InHand), Error>;

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
        asks: Vec<Ask>,
        prepared: &mut Prepared,
    ) -> Result<(), Error> {
        let mut leaving = self.others.leaving.subscribe();
        let removed = async {
            // The sender is as old as netd.
            let _ = leaving.wait_for(|leaving| leaving.contains_key(id)).await;
            Refusal::new(Kind::Conflict, format!("sandbox {id} is being removed: try again")).into()
        };
        self.prepare(asks, prepared, removed).await
    }

    /// Asks others all that a decision needs, side by side, unless it is called off. What was asked for is owed to them from
    /// before they hear of it.
    pub(super) async fn prepare(
        &self,
        asks: Vec<Ask>,
        prepared: &mut Prepared,
        called_off: impl Future<Output = Error>,
    ) -> Result<(), Error> {
        let questions = asks.clone();
        let stored = self.owner.decide(move |ledger| ledger.about_to_ask(&questions)).await?;
        let in_hand = |ask: &Ask| InHand(Some((self.clone(), ask.holder())));
        let asks: Vec<_> = asks.into_iter().map(|ask| (in_hand(&ask), ask)).collect();
        stored.done().await?;
        let answers = try_join_all(asks.into_iter().map(|(in_hand, ask)| self.ask(ask, in_hand)));
        let answers = tokio::select! {
            biased;
            error = called_off => return Err(error),
            answers = answers => answers?,
        };
        for (ask, grant, in_hand) in answers {
            prepared.grants.add(&ask, grant);
            prepared.in_hand.push(in_hand);
        }
        Ok(())
    }

    async fn ask(&self, ask: Ask, in_hand: InHand) -> Answered {
        let (to, what) = (ask.to().clone(), ask.to_string());
        let Some(grantor) = self.planners.grantor(&to) else {
            return Err(Refusal::new(Kind::NotFound, format!("there is no driver {to}, which {what} needs")).into());
        };
        let deadline = grantor.deadline();
        let (answer, answered) = oneshot::channel();
        // It is asked until it answers, whether or not anybody still waits for that: only then can it be given back.
        let asking = self.clone().ask_until_answered(grantor, ask, in_hand, answer);
        tokio::spawn(asking.instrument(tracing::Span::current()));
        match timeout(deadline, answered).await {
            Ok(answered) => answered.unwrap_or(Err(Error::Panicked)),
            Err(_) => {
                let why = format!("driver {to} did not answer within {deadline:?} when it was asked for {what}");
                Err(Refusal::new(Kind::Unavailable, format!("{why}: see whether it runs, and try again")).into())
            }
        }
    }

    async fn ask_until_answered(
        self,
        grantor: Arc<dyn Grantor>,
        ask: Ask,
        in_hand: InHand,
        answer: oneshot::Sender<Answered>,
    ) {
        let asked = async {
            match &ask {
                Ask::Network(ask) => grantor.ask_network(ask).await.map(Grant::Network),
                Ask::Endpoint(ask) => grantor.ask_endpoint(ask).await.map(Grant::Endpoint),
            }
        };
        let Ok(answered) = timeout(LATEST_ANSWER, asked).await else { return };
        let answered = async {
            let grant = answered.map_err(|error| refused(&ask, error))?;
            self.others.is_back(ask.to());
            let (holder, given) = (ask.holder(), grant.clone());
            if let Some(stored) = self.owner.decide(move |ledger| ledger.answered(&holder, given)).await? {
                stored.done().await?;
            }
            Ok((ask, grant, in_hand))
        };
        // When nobody waits any more, what is in hand is dropped here.
        let _ = answer.send(answered.await);
    }

    /// The request is done: what it was granted and has no record here is given back.
    pub(super) async fn let_go(&self, prepared: Prepared) {
        let holders = prepared.in_hand.into_iter().filter_map(InHand::release).collect();
        self.let_go_of(holders).await;
    }

    async fn let_go_of(&self, holders: Vec<Holder>) {
        if holders.is_empty() {
            return;
        }
        // It fails when netd is stopping: the next one gives back what no record speaks of.
        if let Ok(due) = self.owner.decide(move |ledger| ledger.let_go(holders)).await {
            self.pay(due).await;
        }
    }

    /// To be held while a removal waits for its turn: who asks others for the sandbox, and has that turn, gives it up.
    pub(super) fn depart(&self, sandbox: &SandboxId) -> Departure {
        self.others.leaving.send_modify(|leaving| *leaving.entry(sandbox.clone()).or_default() += 1);
        Departure { others: self.others.clone(), sandbox: sandbox.clone() }
    }
}

fn refused(ask: &Ask, error: Refusal) -> Error {
    Refusal::new(error.kind, format!("driver {} has refused {ask}: {}", ask.to(), error.message)).into()
}

impl InHand {
    fn release(mut self) -> Option<Holder> {
        self.0.take().map(|(_, holder)| holder)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let Some((controller, holder)) = self.0.take() else { return };
        // There is none when netd is stopping.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { controller.let_go_of(vec![holder]).await });
        }
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.others.leaving.send_modify(|leaving| {
            if let Some(waiting) = leaving.get_mut(&self.sandbox) {
                *waiting -= 1;
                if *waiting == 0 {
                    leaving.remove(&self.sandbox);
                }
            }
        });
    }
}

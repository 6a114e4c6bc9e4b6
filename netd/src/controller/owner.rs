//! The one task that owns the state: requests visit it in turn, decide, and leave; nobody else holds the state, and no
//! visit waits for anything.

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::ledger::Ledger;
use crate::Error;

/// How many visits may wait; more make their requests wait, not the memory grow.
const WAITING: usize = 256;

type Visit = Box<dyn FnOnce(&mut Ledger) + Send>;

/// The way to the state.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    visits: mpsc::Sender<Visit>,
}

impl Owner {
    /// Starts the task; it ends when the last handle is dropped.
    pub(crate) fn start(mut ledger: Ledger) -> (Self, JoinHandle<()>) {
        let (visits, mut waiting) = mpsc::channel::<Visit>(WAITING);
        let task = tokio::spawn(async move {
            while let Some(visit) = waiting.recv().await {
                visit(&mut ledger);
            }
        });
        (Self { visits }, task)
    }

    /// Decides something.
    ///
    /// # Errors
    /// When the task is gone.
    pub(crate) async fn decide<R: Send + 'static>(
        &self,
        decision: impl FnOnce(&mut Ledger) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (answer, answered) = oneshot::channel();
        let visit: Visit = Box::new(move |ledger| {
            // Nobody waits any more when the request was given up.
            let _ = answer.send(decision(ledger));
        });
        self.visits.send(visit).await.map_err(|_| Error::ShuttingDown)?;
        answered.await.map_err(|_| Error::ShuttingDown)
    }
}

//! The one thread that owns the state: requests visit it in turn, decide, and leave; nobody else holds the state, and no
//! visit waits for anything: neither for the kernel nor for a disk nor for anybody.

use std::{io, thread};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
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

/// Comes when the thread has ended.
pub(crate) type OwnerEnd = oneshot::Receiver<()>;

impl Owner {
    /// Starts the thread; it ends when the last handle is dropped. To be called in a runtime.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(mut ledger: Ledger) -> io::Result<(Self, OwnerEnd)> {
        let (visits, mut waiting) = mpsc::channel::<Visit>(WAITING);
        let (ended, end) = oneshot::channel::<()>();
        let runtime = Handle::current();
        let serve = move || {
            let _ended = ended;
            // Relays are started in visits, and start tasks.
            let _runtime = runtime.enter();
            while let Some(visit) = waiting.blocking_recv() {
                visit(&mut ledger);
            }
        };
        thread::Builder::new().name("netd-owner".to_owned()).spawn(serve)?;
        Ok((Self { visits }, end))
    }

    /// Decides something.
    ///
    /// # Errors
    /// When the thread is gone.
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

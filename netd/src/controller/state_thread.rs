//! The one thread that has the state: decisions are made on it one after the other; nobody else has the state, and no
//! decision waits for anything: neither for the kernel nor for a disk nor for anybody.

use std::{io, thread};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::state::ControllerState;
use crate::Error;

/// How many decisions may wait; more make their requests wait, not the memory grow.
const WAITING: usize = 256;

type Decision = Box<dyn FnOnce(&mut ControllerState) + Send>;

/// A handle on the thread.
#[derive(Debug, Clone)]
pub(crate) struct StateThread {
    decisions: mpsc::Sender<Decision>,
}

/// Comes when the thread has ended.
pub(crate) type StateThreadEnd = oneshot::Receiver<()>;

impl StateThread {
    /// Starts the thread; it ends when the last handle is dropped. To be called in a runtime.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(mut state: ControllerState) -> io::Result<(Self, StateThreadEnd)> {
        let (decisions, mut waiting) = mpsc::channel::<Decision>(WAITING);
        let (ended, end) = oneshot::channel::<()>();
        let runtime = Handle::current();
        let serve = move || {
            let _ended = ended;
            // Relays are started by decisions, and start tasks.
            let _runtime = runtime.enter();
            while let Some(decision) = waiting.blocking_recv() {
                decision(&mut state);
            }
        };
        thread::Builder::new().name("netd-state".to_owned()).spawn(serve)?;
        Ok((Self { decisions }, end))
    }

    /// Decides something.
    ///
    /// # Errors
    /// When the thread is gone.
    pub(crate) async fn decide<R: Send + 'static>(
        &self,
        decide_now: impl FnOnce(&mut ControllerState) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (answer, answered) = oneshot::channel();
        let decision: Decision = Box::new(move |state| {
            // Nobody waits any more when the request was given up.
            let _ = answer.send(decide_now(state));
        });
        self.decisions.send(decision).await.map_err(|_| Error::ShuttingDown)?;
        answered.await.map_err(|_| Error::ShuttingDown)
    }
}

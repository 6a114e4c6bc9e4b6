//! Execs: further processes in running containers, from the request that describes one until some time after its end.
//!
//! They live in memory only, as Docker's do: an exec that outlives berthd runs on to its own end, and is forgotten.

mod registry;

use jiff::Timestamp;
use runtime::ExecSpec;
use runtime::protocol::Streams;
use runtime::spec::{Id, TerminalSize};
use tokio::sync::watch;

use crate::detach::DetachKeys;
use crate::error::{Error, Result};

pub(crate) use registry::Registry;

/// A further process of a container.
#[derive(Debug)]
pub(crate) struct Exec {
    /// The container that it is in.
    pub(crate) container: Id,
    /// What it runs, completely.
    pub(crate) spec: ExecSpec,
    /// Which of its streams the request wants.
    pub(crate) streams: Streams,
    /// What detaches a client from it.
    pub(crate) detach_keys: DetachKeys,
    /// The same as the request wrote it, to be shown.
    pub(crate) detach_keys_text: String,
    /// It has all capabilities, to be shown.
    pub(crate) privileged: bool,
    phase: watch::Sender<Phase>,
}

/// How far an exec is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Described, not started.
    Created,
    /// Being started; nobody else may start it.
    Starting,
    /// It runs.
    Running {
        /// As the host sees it.
        pid: i32,
    },
    /// It ended, or couldn't be started.
    Ended {
        /// Its exit code.
        code: u8,
        /// When.
        at: Timestamp,
        /// As the host saw it, if it ran.
        pid: Option<i32>,
    },
}

/// An exec as a request describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// What it runs.
    pub(crate) spec: ExecSpec,
    /// Which of its streams are wanted.
    pub(crate) streams: Streams,
    /// What detaches a client.
    pub(crate) detach_keys: DetachKeys,
    /// The same as text.
    pub(crate) detach_keys_text: String,
    /// It has all capabilities.
    pub(crate) privileged: bool,
}

impl Exec {
    pub(crate) fn new(container: Id, description: Description) -> Self {
        let Description { spec, streams, detach_keys, detach_keys_text, privileged } = description;
        let phase = watch::Sender::new(Phase::Created);
        Self { container, spec, streams, detach_keys, detach_keys_text, privileged, phase }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &Id {
        &self.spec.id
    }

    /// Whether it has a terminal.
    pub(crate) fn terminal(&self) -> Option<TerminalSize> {
        self.spec.process.terminal
    }

    /// How far it is.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Refuses an exec that was started before.
    pub(crate) fn may_start(&self) -> Result<()> {
        match self.phase() {
            Phase::Created => Ok(()),
            Phase::Starting | Phase::Running { .. } => {
                Err(Error::conflict(format!("exec command {} is already running", self.id())))
            }
            Phase::Ended { .. } => Err(Error::conflict(format!("exec command {} has already run", self.id()))),
        }
    }

    /// Makes the caller the one who starts it; an exec runs once.
    pub(crate) fn claim_start(&self) -> Result<()> {
        let claimed = self.phase.send_if_modified(|phase| {
            let free = *phase == Phase::Created;
            if free {
                *phase = Phase::Starting;
            }
            free
        });
        if claimed { Ok(()) } else { self.may_start() }
    }

    /// Its process runs.
    pub(crate) fn started(&self, pid: i32) {
        self.phase.send_replace(Phase::Running { pid });
    }

    /// Waits until it has been started, or can't be any more.
    pub(crate) async fn begun(&self) -> Phase {
        let mut changes = self.phase.subscribe();
        // The sender is in `self` and can't go away.
        let _ = changes.wait_for(|phase| !matches!(phase, Phase::Created | Phase::Starting)).await;
        self.phase()
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        let mut changes = self.phase.subscribe();
        // The sender is in `self` and can't go away.
        let _ = changes.wait_for(|phase| matches!(phase, Phase::Ended { .. })).await;
    }
}

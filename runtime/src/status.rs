//! The status of a container or an exec.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a container or exec is in its life. Read from files and locks, so it is exact whoever was restarted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Its shim is at work; it doesn't run yet.
    Creating,
    /// Its first process runs.
    Running(Started),
    /// It is frozen (containers only).
    Paused(Started),
    /// It ended.
    Exited(Exit),
    /// Its shim or monitor died without a word; [`crate::Runtime::recover`] ends what is left of it.
    Orphaned,
    /// Nothing is known under this id: never started, or deleted.
    Gone,
}

/// A first process that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its pid as the host sees it.
    pub pid: i32,
    /// When it began.
    pub at: Timestamp,
}

/// How a first process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, or 128 + signal.
    pub code: u8,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// The kernel killed something of the container for lack of memory.
    pub oom_killed: bool,
    /// When it ended.
    pub at: Timestamp,
    /// What went wrong around it, if anything did.
    pub error: Option<String>,
}

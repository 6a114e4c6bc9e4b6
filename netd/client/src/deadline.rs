//! How long calls may take: the deadline of every kind of call is here, and nowhere else.

use std::time::Duration;

/// netd begins a call within this. One that hasn't answered a handshake either by then stands still, and the call is given up.
pub(crate) const BEGUN_WITHIN: Duration = Duration::from_secs(5);

/// A call that takes longer is looked into: is there a netd that answers at all?
pub(crate) const LOOKED_INTO_AFTER: Duration = Duration::from_secs(1);

/// How long a call may take that netd has begun, being at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// What is answered from memory, and the beginning of a stream, which itself has none.
    Read,
    /// One object comes, changes or goes. The kernel may be busy with others' links, a peer or a plugin be asked.
    Change,
    /// Any number of objects go.
    Many,
}

impl Deadline {
    pub(crate) const fn after(self) -> Duration {
        Duration::from_secs(match self {
            Self::Read => 15,
            Self::Change => 60,
            Self::Many => 600,
        })
    }
}

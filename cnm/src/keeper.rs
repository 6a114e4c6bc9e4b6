//! The protocol of `netd-keeper`, which holds descriptors by name while the daemons that use them are away.
//!
//! Each message is one packet of a `SOCK_SEQPACKET` socket, as JSON; a descriptor goes with it (`SCM_RIGHTS`). A keeper may
//! be older than who asks it: a request that it doesn't understand is answered with [`Reply::Refused`].

use serde::{Deserialize, Serialize};

/// No message is longer.
pub const MESSAGE_BYTES: usize = 8192;

/// What a daemon asks of the keeper. What it keeps or takes is in its hands until its connection ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Holds the descriptor that comes along, in place of another of that name.
    Keep {
        /// What to call it.
        name: String,
        /// Told to who takes it, for it to see whether it is still what it needs.
        mark: String,
        /// For a listening socket: what is said to who connects while no daemon serves it for long. Empty: they wait.
        #[serde(default)]
        farewell: String,
    },
    /// Asks for a descriptor, which the keeper holds further on.
    Take {
        /// What it was called.
        name: String,
    },
    /// Holds the descriptor that comes along, of something that isn't served but reached by its path.
    Hold {
        /// What to call it; what is kept has names of its own.
        name: String,
    },
    /// Asks for a descriptor that is held, and where.
    Find {
        /// What it was called.
        name: String,
    },
    /// Closes a descriptor.
    Drop {
        /// What it was called.
        name: String,
    },
}

/// The keeper's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// Kept, or dropped.
    Done,
    /// The descriptor that was asked for comes along.
    Here {
        /// What was said of it when it came.
        mark: String,
    },
    /// It is held. The descriptor comes along if it was asked for.
    Held {
        /// The keeper's process.
        process: u32,
        /// Its number there.
        descriptor: i32,
    },
    /// It holds nothing of that name.
    Nothing,
    /// It can't be done.
    Refused {
        /// Why not.
        message: String,
    },
}

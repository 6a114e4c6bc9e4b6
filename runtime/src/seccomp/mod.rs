//! System call filters: which one a process has, and how a profile becomes a program for the kernel.

use serde::{Deserialize, Serialize};

mod profile;

pub use profile::{Action, Condition, Operator, Profile, Scope, SyscallRule};

/// Which system calls a process may make.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seccomp {
    /// What Docker's default profile allows, which depends on the capabilities too.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// What a profile in Docker's format says.
    Custom(Box<Profile>),
}

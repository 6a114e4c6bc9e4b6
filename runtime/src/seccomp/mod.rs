//! System call filters: which one a process has, how a profile becomes programs for the kernel, and their installation.
//!
//! Compiling takes milliseconds, so it is done once for each profile and set of capabilities, by the library (see
//! `Filters`); shims get the result as a file.

mod cache;
mod compile;
mod default;
mod evaluate;
mod filter;
mod profile;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use cache::Filters;
pub(crate) use filter::Filter;
pub use profile::{
    Action, Architectures, Condition, InvalidKernelVersion, KernelVersion, Operator, Profile, Scope, SyscallRule,
};

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

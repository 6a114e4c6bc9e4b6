//! Docker's seccomp profile format, parsed and validated.

use serde::{Deserialize, Serialize};

use crate::Error;

/// A profile as `--security-opt seccomp=FILE` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to system calls that no rule names.
    pub default_action: Action,
    /// The errno for [`Action::Errno`] as the default action.
    #[serde(default)]
    pub default_errno_ret: Option<u16>,
    /// The rules.
    #[serde(default)]
    pub syscalls: Vec<SyscallRule>,
}

impl Profile {
    /// Parses the JSON text of a profile.
    ///
    /// # Errors
    /// When it is not JSON or has something that can't be enforced here.
    pub fn parse(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| Error::Invalid {
            what: "seccomp profile",
            value: text.chars().take(40).collect(),
            reason: error.to_string(),
        })
    }
}

/// What happens to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// It is made.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// It is made, and logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// It fails with an errno.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// The thread gets SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// A tracer is told.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// The thread is killed.
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    /// The process is killed.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
}

/// What happens to some system calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyscallRule {
    /// Their names; those that this architecture doesn't have are passed over.
    #[serde(default)]
    pub names: Vec<String>,
    /// What happens to them.
    pub action: Action,
    /// The errno for [`Action::Errno`]; EPERM without it.
    #[serde(default)]
    pub errno_ret: Option<u16>,
    /// All must hold for the rule to apply.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub args: Vec<Condition>,
    /// Where the rule counts.
    #[serde(default)]
    pub includes: Scope,
    /// Where it doesn't.
    #[serde(default)]
    pub excludes: Scope,
}

/// Where a rule counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// With one of these capabilities.
    pub caps: Vec<String>,
    /// On one of these architectures, as Go names them.
    pub arches: Vec<String>,
    /// On kernels from this version on.
    pub min_kernel: Option<String>,
}

/// A condition on an argument of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which argument, from 0.
    pub index: u8,
    /// What it is compared to.
    pub value: u64,
    /// What a masked argument is compared to.
    #[serde(default)]
    pub value_two: u64,
    /// How.
    #[serde(rename = "op")]
    pub operator: Operator,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// argument ≠ value
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// argument < value
    #[serde(rename = "SCMP_CMP_LT")]
    Less,
    /// argument ≤ value
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    /// argument = value
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// argument ≥ value
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    /// argument > value
    #[serde(rename = "SCMP_CMP_GT")]
    Greater,
    /// argument & value = value two
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

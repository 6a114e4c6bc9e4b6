//! Docker's seccomp profile format, parsed and validated.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Error;
use crate::capabilities::CapabilitySet;

/// A profile as `--security-opt seccomp=FILE` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What happens to system calls that no rule names.
    pub default_action: Action,
    /// The errno for [`Action::Errno`] as the default action.
    #[serde(default)]
    pub default_errno_ret: Option<u16>,
    /// Which architectures' programs may run, as libseccomp names them, besides this machine's own.
    #[serde(default, deserialize_with = "null_is_absent", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// The same by the machine's own architecture.
    #[serde(default, deserialize_with = "null_is_absent", skip_serializing_if = "Vec::is_empty")]
    pub arch_map: Vec<Architectures>,
    /// The rules.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub syscalls: Vec<SyscallRule>,
}

/// Which architectures' programs may run on machines of one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Architectures {
    /// The machine's.
    pub architecture: String,
    /// Those that its kernel runs too.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub sub_architectures: Vec<String>,
}

/// What the format has besides, and what can't be had here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Unsupported {
    #[serde(deserialize_with = "null_is_absent")]
    flags: Vec<String>,
    #[serde(deserialize_with = "null_is_absent")]
    listener_path: String,
}

impl Profile {
    /// Parses the JSON text of a profile.
    ///
    /// # Errors
    /// When it is not JSON or has something that can't be enforced here.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused =
            |reason: String| Error::Invalid { what: "seccomp profile", value: text.chars().take(40).collect(), reason };
        let mut profile: Self = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        let Unsupported { flags, listener_path } =
            serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        if let Some(flag) = flags.first() {
            return Err(refused(format!("flag {flag} is not supported, leave flags out")));
        }
        if !listener_path.is_empty() {
            return Err(refused("notifying a listener (listenerPath) is not supported".to_owned()));
        }
        if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
            return Err(refused("use either 'architectures' or 'archMap'".to_owned()));
        }
        for rule in &mut profile.syscalls {
            // Tools that know of one of them write the other empty.
            match (rule.name.take().filter(|name| !name.is_empty()), rule.names.is_empty()) {
                (None, _) => {}
                (Some(name), true) => rule.names.push(name),
                (Some(_), false) => return Err(refused("use either 'name' or 'names'".to_owned())),
            }
        }
        Ok(profile)
    }

    /// Whether programs of an architecture may run on a machine of another.
    pub(super) fn names_architecture(&self, machine: &str, architecture: &str) -> bool {
        let mapped = self.arch_map.iter().filter(|entry| entry.architecture == machine);
        self.architectures
            .iter()
            .chain(mapped.flat_map(|entry| &entry.sub_architectures))
            .any(|name| name == architecture)
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
    /// The one name of a rule in the oldest form of profiles; [`Profile::parse`] makes it one of `names`.
    #[serde(default, skip_serializing)]
    pub(super) name: Option<String>,
    /// Their names; those that this architecture doesn't have are passed over.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub names: Vec<String>,
    /// What happens to them.
    pub action: Action,
    /// The errno for [`Action::Errno`]; EPERM without it.
    #[serde(default)]
    pub errno_ret: Option<u16>,
    /// All must hold for the rule to apply.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub args: Vec<Condition>,
    /// Where the rule counts: everywhere, unless something is named.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub includes: Scope,
    /// Where it doesn't.
    #[serde(default, deserialize_with = "null_is_absent")]
    pub excludes: Scope,
}

impl SyscallRule {
    /// A rule for calls with any arguments, which counts everywhere.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>, action: Action) -> Self {
        Self {
            name: None,
            names: names.into_iter().map(str::to_owned).collect(),
            action,
            errno_ret: None,
            args: Vec::new(),
            includes: Scope::default(),
            excludes: Scope::default(),
        }
    }

    /// Whether it counts for a process with these capabilities, on a machine of this architecture with this kernel: all
    /// that it includes must hold, and nothing that it excludes.
    pub(super) fn counts(&self, capabilities: CapabilitySet, architecture: &str, kernel: KernelVersion) -> bool {
        let Self { includes, excludes, .. } = self;
        let included = includes.caps.iter().all(|name| capabilities.contains(name))
            && (includes.arches.is_empty() || includes.arches.iter().any(|arch| arch == architecture))
            && includes.min_kernel.is_none_or(|version| kernel >= version);
        let excluded = excludes.caps.iter().any(|name| capabilities.contains(name))
            || excludes.arches.iter().any(|arch| arch == architecture)
            || excludes.min_kernel.is_some_and(|version| kernel >= version);
        included && !excluded
    }
}

/// Where a rule counts, or where it doesn't.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    /// With these capabilities.
    #[serde(deserialize_with = "null_is_absent")]
    pub caps: Vec<String>,
    /// On these architectures, as Go names them.
    #[serde(deserialize_with = "null_is_absent")]
    pub arches: Vec<String>,
    /// On kernels from this version on.
    pub min_kernel: Option<KernelVersion>,
}

/// The first two numbers of a kernel's version; written `4.8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelVersion(u32, u32);

/// A text that is no kernel's version.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no kernel version: two numbers such as 4.8 are expected")]
pub struct InvalidKernelVersion(String);

impl KernelVersion {
    /// That of the running kernel, whose release has more behind the two numbers.
    pub(super) fn running() -> Result<Self, Error> {
        let name = nix::sys::utsname::uname().map_err(Error::io("ask for the kernel's version"))?;
        let release = name.release().to_string_lossy();
        let numbers: Vec<&str> = release.split(|c: char| !c.is_ascii_digit()).take(2).collect();
        numbers.join(".").parse().map_err(|_| Error::NotSupported {
            what: format!("kernel release {release:?}"),
            reason: "it doesn't begin with two numbers".to_owned(),
        })
    }
}

impl FromStr for KernelVersion {
    type Err = InvalidKernelVersion;

    fn from_str(text: &str) -> Result<Self, InvalidKernelVersion> {
        let invalid = || InvalidKernelVersion(text.to_owned());
        let (major, minor) = text.split_once('.').ok_or_else(invalid)?;
        Ok(Self(major.parse().map_err(|_| invalid())?, minor.parse().map_err(|_| invalid())?))
    }
}

impl TryFrom<String> for KernelVersion {
    type Error = InvalidKernelVersion;

    fn try_from(text: String) -> Result<Self, InvalidKernelVersion> {
        text.parse()
    }
}

impl From<KernelVersion> for String {
    fn from(version: KernelVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
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
    #[serde(default, deserialize_with = "null_is_absent")]
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

/// Profiles are written by Go programs, for which an empty list is `null` as well.
fn null_is_absent<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

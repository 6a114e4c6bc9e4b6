//! A process to be run in a container: its first one, or an exec.

use serde::{Deserialize, Serialize};

use crate::capabilities::CapabilitySet;
use crate::seccomp::Seccomp;

/// A process to be run in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments, at least one; a program without a slash is looked for in the `PATH` of `env`.
    pub args: Vec<String>,
    /// Environment as `NAME=value`, later ones winning. `HOME` is set from the container's `/etc/passwd` unless given.
    pub env: Vec<String>,
    /// Working directory; made if it isn't there.
    pub cwd: String,
    /// Who it runs as.
    pub user: UserSpec,
    /// Its bounding, permitted and effective capabilities (see [`crate::capabilities::effective`]).
    pub capabilities: CapabilitySet,
    /// Setuid programs and file capabilities give it nothing.
    pub no_new_privileges: bool,
    /// Its filter of system calls.
    pub seccomp: Seccomp,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// A terminal of this size, instead of pipes.
    pub terminal: Option<TerminalSize>,
    /// What it reads from.
    pub stdin: Stdin,
}

/// `name|uid[:group|gid]`, looked up in the container's own `/etc/passwd` and `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserSpec {
    /// `name`, `uid`, `name:group`, `uid:gid`; empty is root.
    pub user: String,
    /// Names or numbers of further groups.
    pub additional_groups: Vec<String>,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Width.
    pub columns: u16,
    /// Height.
    pub rows: u16,
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// What a process reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// Nothing: it is at its end from the beginning.
    #[default]
    Closed,
    /// Attached clients, one after the other; it stays open between them.
    Open,
    /// The first attached client; it is at its end when that client's is.
    Once,
}

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// What is limited.
    pub kind: RlimitKind,
    /// What holds; `u64::MAX` is unlimited.
    pub soft: u64,
    /// What `soft` can be raised to; `u64::MAX` is unlimited.
    pub hard: u64,
}

macro_rules! rlimit_kinds {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// What a resource limit is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum RlimitKind {
            $(#[doc = $doc] $variant,)*
        }

        impl RlimitKind {
            /// The kind with the name that `ulimit` options use, such as `nofile`.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name that `ulimit` options use.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

rlimit_kinds! {
    Core "core" "Size of core dumps in bytes.",
    Cpu "cpu" "CPU time in seconds.",
    Data "data" "Size of the data segment in bytes.",
    Fsize "fsize" "Size of files written in bytes.",
    Locks "locks" "Number of file locks.",
    Memlock "memlock" "Locked memory in bytes.",
    Msgqueue "msgqueue" "Bytes in POSIX message queues.",
    Nice "nice" "Ceiling of the nice value.",
    Nofile "nofile" "Number of open files.",
    Nproc "nproc" "Number of processes of the user.",
    Rss "rss" "Resident memory in bytes; Linux ignores it.",
    Rtprio "rtprio" "Ceiling of the real-time priority.",
    Rttime "rttime" "Microseconds of real-time scheduling without a blocking call.",
    Sigpending "sigpending" "Number of pending signals.",
    Stack "stack" "Size of the stack in bytes.",
}

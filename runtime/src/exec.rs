//! A further process in a running container.

use serde::{Deserialize, Serialize};

use crate::spec::{Id, Process};

/// A further process in a running container: a full description, nothing is taken over from the container's first
/// process but its namespaces, its cgroup and its root filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Names the exec within its container.
    pub id: Id,
    /// What to run. `privileged` execs have all capabilities and no seccomp filter in here.
    pub process: Process,
}

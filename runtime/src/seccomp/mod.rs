//! System call filters: which one a process has, how a profile becomes programs for the kernel, and their installation.

use std::borrow::Cow;
use std::io;

use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};

mod compile;
mod default;
mod profile;
#[cfg(test)]
mod tests;

pub use profile::{
    Action, Architectures, Condition, InvalidKernelVersion, KernelVersion, Operator, Profile, Scope, SyscallRule,
};

use crate::Result;
use crate::capabilities::CapabilitySet;

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

/// The programs of one process's filter, ready for the kernel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter(Vec<BpfProgram>);

impl Filter {
    /// Compiles the filter of a process with these capabilities.
    pub(crate) fn compile(seccomp: &Seccomp, capabilities: CapabilitySet) -> Result<Self> {
        let profile = match seccomp {
            Seccomp::Unconfined => return Ok(Self::default()),
            Seccomp::Default => Cow::Owned(default::profile()),
            Seccomp::Custom(profile) => Cow::Borrowed(profile.as_ref()),
        };
        compile::compile(&profile, capabilities, KernelVersion::running()?).map(Self)
    }

    /// Puts the calling thread behind the filter, for good. Without `no_new_privs` this takes `CAP_SYS_ADMIN`.
    pub(crate) fn install(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|program| {
            let length = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
            let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
            // SAFETY: seccompiler's instructions have the kernel's layout (`repr(C)`, the same four fields as
            // libc::sock_filter), the length is theirs, and they outlive the call. Not seccompiler's own function,
            // because that sets no_new_privs, which a container has only if it asks for it.
            let result = unsafe {
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, std::ptr::from_ref(&program))
            };
            if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        })
    }
}

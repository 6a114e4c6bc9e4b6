//! The programs of one process's filter: compiled, stored, installed.

use std::borrow::Cow;
use std::io;

use seccompiler::{BpfProgram, sock_filter};

use super::profile::KernelVersion;
use super::{Seccomp, compile, default};
use crate::Result;
use crate::capabilities::CapabilitySet;

/// Length of a stored instruction: the kernel's `struct sock_filter`.
const INSTRUCTION_BYTES: usize = 8;

/// The programs of one process's filter, ready for the kernel.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filter(pub(super) Vec<BpfProgram>);

impl Filter {
    /// Compiles the filter of a process with these capabilities.
    pub(super) fn compile(seccomp: &Seccomp, capabilities: CapabilitySet) -> Result<Self> {
        let profile = match seccomp {
            Seccomp::Unconfined => return Ok(Self::default()),
            Seccomp::Default => Cow::Owned(default::profile()),
            Seccomp::Custom(profile) => Cow::Borrowed(profile.as_ref()),
        };
        compile::compile(&profile, capabilities, KernelVersion::running()?).map(Self)
    }

    /// As a file has it: for each program the number of its instructions (32 bits), then these as the kernel has them.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for program in &self.0 {
            let length = u32::try_from(program.len()).expect("the kernel's limit is 4096 instructions");
            bytes.extend(length.to_ne_bytes());
            for sock_filter { code, jt, jf, k } in program {
                bytes.extend(code.to_ne_bytes());
                bytes.extend([*jt, *jf]);
                bytes.extend(k.to_ne_bytes());
            }
        }
        bytes
    }

    /// What a file has; `None` when it is damaged.
    pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut programs = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk()?;
            let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
            let (program, rest) = rest.split_at_checked(length.checked_mul(INSTRUCTION_BYTES)?)?;
            programs.push(program.chunks_exact(INSTRUCTION_BYTES).map(instruction).collect::<Option<_>>()?);
            bytes = rest;
        }
        Some(Self(programs))
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

fn instruction(bytes: &[u8]) -> Option<sock_filter> {
    let &[a, b, jt, jf, ref k @ ..] = bytes else { return None };
    Some(sock_filter { code: u16::from_ne_bytes([a, b]), jt, jf, k: u32::from_ne_bytes(k.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_and_what_is_cut_short_is_not() {
        let filter = Filter::compile(&Seccomp::Default, CapabilitySet::default_for_containers()).expect("compiles");
        let bytes = filter.to_bytes();
        assert_eq!(Filter::from_bytes(&bytes), Some(filter));
        assert_eq!(Filter::from_bytes(&[]), Some(Filter::default()), "no filter at all");
        for length in [1, 4, 11, bytes.len() - 1] {
            assert_eq!(Filter::from_bytes(&bytes[..length]), None, "{length}");
        }
    }
}

//! What a filter answers to a system call, without making it.

use seccompiler::sock_filter;

use super::Filter;

/// This machine's ABI: `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_AARCH64` of `linux/audit.h`.
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE: u32 = 0xc000_003e;
/// See above.
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE: u32 = 0xc000_00b7;

impl Filter {
    /// Whether the filter lets a system call of this machine's own ABI pass.
    pub(crate) fn lets_pass(&self, number: i64, arguments: [u64; 6]) -> bool {
        self.0.iter().all(|program| {
            let answer =
                answer(program, NATIVE, number, arguments).map(|answer| answer & libc::SECCOMP_RET_ACTION_FULL);
            matches!(answer, Some(libc::SECCOMP_RET_ALLOW | libc::SECCOMP_RET_LOG))
        })
    }
}

/// What one program answers to a call, as the kernel would run it; `None` where it has an instruction that none of ours has.
pub(super) fn answer(program: &[sock_filter], architecture: u32, number: i64, arguments: [u64; 6]) -> Option<u32> {
    // `struct seccomp_data` of `linux/seccomp.h`.
    let mut data = Vec::new();
    data.extend(u32::try_from(number).ok()?.to_ne_bytes());
    data.extend(architecture.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    let (mut accumulator, mut next) = (0_u32, 0_usize);
    loop {
        let sock_filter { code, jt, jf, k } = *program.get(next)?;
        next += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match u32::from(code) {
            LOAD => {
                let at = usize::try_from(k).ok()?;
                accumulator = u32::from_ne_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?);
            }
            JUMP => next = next.checked_add(usize::try_from(k).ok()?)?,
            RETURN => return Some(k),
            EQUAL => next += branch(accumulator == k),
            GREATER => next += branch(accumulator > k),
            GREATER_OR_EQUAL => next += branch(accumulator >= k),
            AND => accumulator &= k,
            _ => return None,
        }
    }
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const GREATER: u32 = libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K;
const GREATER_OR_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;

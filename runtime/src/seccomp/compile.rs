//! From a profile to programs for the kernel.
//!
//! The kernel takes the strictest answer of all programs that a process has, and `seccompiler` makes programs that know
//! one action, one default and one ABI. So a profile becomes, for each ABI, one program for its default action, which
//! lets pass every system call that a rule names, and one program for each other action, which answers for the calls of
//! its rules and lets the rest pass. Where there are several ABIs, each program leaves the calls of the others alone.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use syscalls::Sysno;

use super::profile::{Action, Condition, KernelVersion, Operator, Profile, SyscallRule};
use crate::capabilities::CapabilitySet;
use crate::{Error, Result};

/// Rules by system call number; an empty list of rules matches always, as `seccompiler` has it.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: (TargetArch, &str) = (TargetArch::x86_64, "amd64");
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: (TargetArch, &str) = (TargetArch::aarch64, "arm64");

/// A set of system call numbers that a program may be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Abi {
    /// This machine's own.
    Native,
    /// That of 32-bit programs on x86-64.
    #[cfg(target_arch = "x86_64")]
    I386,
}

impl Abi {
    /// Those that a profile lets programs use.
    fn of(profile: &Profile) -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        if profile.names_architecture("SCMP_ARCH_X86_64", "SCMP_ARCH_X86") {
            return vec![Self::Native, Self::I386];
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = profile;
        vec![Self::Native]
    }

    /// How much of an argument is compared to a value.
    fn length(self, value: u64) -> SeccompCmpArgLen {
        match self {
            Self::Native => SeccompCmpArgLen::Qword,
            // A 64-bit program that enters by int 0x80 fills the other half as it likes: the filter is shown it, the call
            // isn't.
            #[cfg(target_arch = "x86_64")]
            Self::I386 if u32::try_from(value).is_ok() => SeccompCmpArgLen::Dword,
            #[cfg(target_arch = "x86_64")]
            Self::I386 => SeccompCmpArgLen::Qword,
        }
    }

    /// A system call's number; none when there is no such call.
    fn number(self, name: &str) -> Option<i64> {
        match self {
            Self::Native => Some(i64::from(Sysno::from_str(name).ok()?.id())),
            #[cfg(target_arch = "x86_64")]
            Self::I386 => Some(i64::from(syscalls::x86::Sysno::from_str(name).ok()?.id())),
        }
    }
}

/// The programs that make up a profile, for a process with these capabilities on this kernel.
pub(super) fn compile(
    profile: &Profile,
    capabilities: CapabilitySet,
    kernel: KernelVersion,
) -> Result<Vec<BpfProgram>> {
    let rules: Vec<&SyscallRule> =
        profile.syscalls.iter().filter(|rule| rule.counts(capabilities, ARCHITECTURE.1, kernel)).collect();
    let abis = Abi::of(profile);
    let mut programs = Vec::new();
    for &abi in &abis {
        for mut program in compile_for(abi, profile, &rules)? {
            #[cfg(target_arch = "x86_64")]
            if abis.len() > 1 {
                x86::answer_only_for(abi, &mut program)?;
            }
            programs.push(program);
        }
    }
    // The last, because the kernel takes the newest of answers that are equally strict.
    #[cfg(target_arch = "x86_64")]
    programs.push(x86::without_x32());
    Ok(programs)
}

fn compile_for(abi: Abi, profile: &Profile, counting: &[&SyscallRule]) -> Result<Vec<BpfProgram>> {
    let default = kernel_action(profile.default_action, profile.default_errno_ret);
    let mut actions: Vec<(SeccompAction, Rules)> = Vec::new();
    let mut named = Rules::new();
    for rule in counting {
        let action = kernel_action(rule.action, rule.errno_ret);
        if action == default {
            continue;
        }
        add(abi, &mut named, rule)?;
        if action != SeccompAction::Allow {
            match actions.iter_mut().find(|(known, _)| *known == action) {
                Some((_, rules)) => add(abi, rules, rule)?,
                None => {
                    let mut rules = Rules::new();
                    add(abi, &mut rules, rule)?;
                    actions.push((action, rules));
                }
            }
        }
    }
    let mut programs = Vec::new();
    if default != SeccompAction::Allow {
        programs.push(program(named, default, SeccompAction::Allow)?);
    }
    for (action, rules) in actions {
        programs.push(program(rules, SeccompAction::Allow, action)?);
    }
    Ok(programs)
}

fn program(rules: Rules, otherwise: SeccompAction, matched: SeccompAction) -> Result<BpfProgram> {
    SeccompFilter::new(rules, otherwise, matched, ARCHITECTURE.0)
        .and_then(BpfProgram::try_from)
        .map_err(|error| unusable(error.to_string()))
}

fn add(abi: Abi, rules: &mut Rules, rule: &SyscallRule) -> Result<()> {
    let alternatives = alternatives(abi, &rule.args)?;
    for name in &rule.names {
        // Profiles name the calls of every architecture.
        let Some(number) = abi.number(name) else { continue };
        match rules.get_mut(&number) {
            // Matches always already.
            Some(known) if known.is_empty() => {}
            Some(known) if !alternatives.is_empty() => known.extend(alternatives.iter().cloned()),
            _ => drop(rules.insert(number, alternatives.clone())),
        }
    }
    Ok(())
}

/// What a rule's conditions come to: one of these must hold, or nothing need hold when there are none. All conditions hold
/// together, unless two are of the same argument: then each is enough, as runc has it and as profiles are written for it.
fn alternatives(abi: Abi, conditions: &[Condition]) -> Result<Vec<SeccompRule>> {
    let indices: BTreeSet<u8> = conditions.iter().map(|condition| condition.index).collect();
    let together = if indices.len() == conditions.len() { conditions.len() } else { 1 };
    let chunks = conditions.chunks(together.max(1));
    chunks
        .map(|chunk| {
            let chunk = chunk.iter().map(|condition| kernel_condition(abi, condition)).collect::<Result<Vec<_>>>()?;
            SeccompRule::new(chunk).map_err(|error| unusable(error.to_string()))
        })
        .collect()
}

fn kernel_condition(abi: Abi, condition: &Condition) -> Result<SeccompCondition> {
    let Condition { index, value, value_two, operator } = *condition;
    let (operator, value) = match operator {
        Operator::NotEqual => (SeccompCmpOp::Ne, value),
        Operator::Less => (SeccompCmpOp::Lt, value),
        Operator::LessOrEqual => (SeccompCmpOp::Le, value),
        Operator::Equal => (SeccompCmpOp::Eq, value),
        Operator::GreaterOrEqual => (SeccompCmpOp::Ge, value),
        Operator::Greater => (SeccompCmpOp::Gt, value),
        Operator::MaskedEqual => (SeccompCmpOp::MaskedEq(value), value_two),
    };
    SeccompCondition::new(index, abi.length(value), operator, value).map_err(|error| unusable(error.to_string()))
}

fn kernel_action(action: Action, errno: Option<u16>) -> SeccompAction {
    let errno = u32::from(errno.unwrap_or(libc::EPERM as u16));
    match action {
        Action::Allow => SeccompAction::Allow,
        Action::Log => SeccompAction::Log,
        Action::Errno => SeccompAction::Errno(errno),
        Action::Trap => SeccompAction::Trap,
        Action::Trace => SeccompAction::Trace(errno),
        Action::KillThread => SeccompAction::KillThread,
        Action::KillProcess => SeccompAction::KillProcess,
    }
}

/// What is particular to the two ABIs of x86-64 besides its own.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use seccompiler::{BpfProgram, sock_filter};

    use super::{Abi, unusable};
    use crate::Result;

    /// `AUDIT_ARCH_I386` and `AUDIT_ARCH_X86_64` of `linux/audit.h`.
    const I386: u32 = 0x4000_0003;
    const X86_64: u32 = 0xc000_003e;

    /// Numbers of the x32 ABI have this bit, and the same architecture as native ones.
    const X32_BIT: u32 = 0x4000_0000;

    /// Refuses x32 calls as a kernel without them does: the other programs don't know their numbers, and would let them
    /// pass where a profile allows what it doesn't name.
    pub(super) fn without_x32() -> BpfProgram {
        let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        let at_least = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
        let answer = (libc::BPF_RET | libc::BPF_K) as u16;
        vec![
            sock_filter { code: load, jt: 0, jf: 0, k: 0 },
            sock_filter { code: at_least, jt: 0, jf: 1, k: X32_BIT },
            sock_filter { code: answer, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32 },
            sock_filter { code: answer, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
        ]
    }

    /// Makes a program leave the calls of the other ABI to the programs for that. As `seccompiler` builds it, it begins
    /// with loading the architecture, comparing it with its own, and killing whatever is foreign.
    pub(super) fn answer_only_for(abi: Abi, program: &mut BpfProgram) -> Result<()> {
        match program.as_mut_slice() {
            [_, own, foreign, ..] if own.k == X86_64 && foreign.k == libc::SECCOMP_RET_KILL_PROCESS => {
                own.k = match abi {
                    Abi::Native => X86_64,
                    Abi::I386 => I386,
                };
                foreign.k = libc::SECCOMP_RET_ALLOW;
                Ok(())
            }
            _ => Err(unusable("its program doesn't begin with the architecture".to_owned())),
        }
    }
}

fn unusable(reason: String) -> Error {
    Error::Invalid { what: "seccomp profile", value: "syscalls".to_owned(), reason }
}

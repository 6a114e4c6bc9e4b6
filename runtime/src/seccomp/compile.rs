//! From a profile to programs for the kernel.
//!
//! The kernel takes the strictest answer of all programs that a process has, and `seccompiler` makes programs that know
//! one action and one default. So a profile becomes one program for its default action, which lets pass every system
//! call that a rule names, and one program for each other action, which answers for the calls of its rules and lets the
//! rest pass.

use std::collections::BTreeMap;
use std::str::FromStr;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use syscalls::Sysno;

use super::profile::{Action, Condition, Operator, Profile, Scope, SyscallRule};
use crate::capabilities::CapabilitySet;
use crate::{Error, Result};

/// Rules by system call number; an empty list of rules matches always, as `seccompiler` has it.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: (TargetArch, &str) = (TargetArch::x86_64, "amd64");
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: (TargetArch, &str) = (TargetArch::aarch64, "arm64");

/// The programs that make up a profile, for a process with these capabilities.
pub(super) fn compile(profile: &Profile, capabilities: CapabilitySet) -> Result<Vec<BpfProgram>> {
    let default = kernel_action(profile.default_action, profile.default_errno_ret);
    let mut actions: Vec<(SeccompAction, Rules)> = Vec::new();
    let mut named = Rules::new();
    for rule in profile.syscalls.iter().filter(|rule| counts(rule, capabilities)) {
        let action = kernel_action(rule.action, rule.errno_ret);
        if action == default {
            continue;
        }
        add(&mut named, rule)?;
        if action != SeccompAction::Allow {
            match actions.iter_mut().find(|(known, _)| *known == action) {
                Some((_, rules)) => add(rules, rule)?,
                None => {
                    let mut rules = Rules::new();
                    add(&mut rules, rule)?;
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

fn counts(rule: &SyscallRule, capabilities: CapabilitySet) -> bool {
    let Scope { caps, arches, min_kernel: _ } = &rule.includes;
    // Every kernel that berth supports is newer than any version that profiles name.
    let included = caps.iter().all(|name| capabilities.contains(name))
        && (arches.is_empty() || arches.iter().any(|arch| arch == ARCHITECTURE.1));
    let excluded = rule.excludes.caps.iter().any(|name| capabilities.contains(name))
        || rule.excludes.arches.iter().any(|arch| arch == ARCHITECTURE.1);
    included && !excluded
}

fn add(rules: &mut Rules, rule: &SyscallRule) -> Result<()> {
    let condition = match rule.args.as_slice() {
        [] => None,
        conditions => Some(
            conditions
                .iter()
                .map(kernel_condition)
                .collect::<Result<Vec<_>>>()
                .and_then(|conditions| SeccompRule::new(conditions).map_err(|error| unusable(error.to_string())))?,
        ),
    };
    for name in &rule.names {
        // Profiles name the calls of every architecture.
        let Ok(number) = Sysno::from_str(name) else { continue };
        let number = i64::from(number.id());
        match (&condition, rules.get_mut(&number)) {
            // Matches always already.
            (_, Some(known)) if known.is_empty() => {}
            (Some(condition), Some(known)) => known.push(condition.clone()),
            (Some(condition), None) => {
                rules.insert(number, vec![condition.clone()]);
            }
            (None, _) => {
                rules.insert(number, Vec::new());
            }
        }
    }
    Ok(())
}

fn kernel_condition(condition: &Condition) -> Result<SeccompCondition> {
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
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, value).map_err(|error| unusable(error.to_string()))
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

fn unusable(reason: String) -> Error {
    Error::Invalid { what: "seccomp profile", value: "syscalls".to_owned(), reason }
}

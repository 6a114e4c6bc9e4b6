//! Filters are run on every kind of call that the default profile tells apart.

use super::*;
use crate::capabilities::CapabilitySet;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// The kernel's answer when it has asked every program, the newest first: the one with the highest precedence, which is the
/// lowest action as a signed number.
fn answer_to(filter: &Filter, architecture: u32, number: i64, first: u64) -> u32 {
    let answers = filter.0.iter().rev().map(|program| {
        evaluate::answer(program, architecture, number, [first, 0, 0, 0, 0, 0]).expect("an instruction of ours")
    });
    answers.min_by_key(|answer| (answer & libc::SECCOMP_RET_ACTION_FULL).cast_signed()).unwrap_or(ALLOW)
}

fn answer(filter: &Filter, number: i64, first: u64) -> u32 {
    answer_to(filter, evaluate::NATIVE, number, first)
}

fn custom(text: &str, capabilities: CapabilitySet) -> Filter {
    let profile = Profile::parse(text).expect("parses");
    Filter::compile(&Seccomp::Custom(Box::new(profile)), capabilities).expect("compiles")
}

#[test]
fn the_default_profile_tells_calls_apart() {
    let plain = Filter::compile(&Seccomp::Default, CapabilitySet::default_for_containers()).expect("compiles");
    let all = Filter::compile(&Seccomp::Default, CapabilitySet::ALL).expect("compiles");
    let table = [
        (libc::SYS_read, 0, ALLOW, ALLOW, "read"),
        (libc::SYS_mount, 0, EPERM, ALLOW, "mount"),
        (libc::SYS_unshare, 0, EPERM, ALLOW, "unshare"),
        (libc::SYS_chroot, 0, ALLOW, ALLOW, "chroot, for which the default capabilities suffice"),
        (libc::SYS_clone, 0x11, ALLOW, ALLOW, "a thread or child"),
        (libc::SYS_clone, libc::CLONE_NEWUSER as u64, EPERM, ALLOW, "a child in a new user namespace"),
        (libc::SYS_clone, libc::CLONE_NEWNS as u64 | 0x11, EPERM, ALLOW, "a child in a new mount namespace"),
        (libc::SYS_clone3, 0, ENOSYS, ALLOW, "clone3"),
        (libc::SYS_personality, 0xffff_ffff, ALLOW, ALLOW, "asking for the personality"),
        (libc::SYS_personality, 0x40_0000, EPERM, EPERM, "READ_IMPLIES_EXEC"),
        (libc::SYS_socket, libc::AF_INET as u64, ALLOW, ALLOW, "an internet socket"),
        (libc::SYS_socket, 45, ALLOW, ALLOW, "a socket of the last family that is known"),
        (libc::SYS_socket, 46, EPERM, EPERM, "a socket of a family that isn't known yet"),
        (libc::SYS_socket, 38, EPERM, EPERM, "a socket of the kernel's cryptography"),
        (libc::SYS_socket, 1 << 32 | 38, EPERM, EPERM, "the same, with what the kernel doesn't look at"),
        (libc::SYS_socket, 40, EPERM, EPERM, "a vsock socket"),
        (libc::SYS_socket, 1 << 32 | 40, EPERM, EPERM, "the same, with what the kernel doesn't look at"),
        (libc::SYS_personality, 1 << 32, EPERM, EPERM, "a personality with what the kernel doesn't look at"),
        (libc::SYS_keyctl, 0, EPERM, EPERM, "keyctl"),
        (libc::SYS_io_uring_setup, 0, EPERM, EPERM, "io_uring"),
        (libc::SYS_bpf, 0, EPERM, ALLOW, "bpf"),
        (4095, 0, EPERM, EPERM, "a call that doesn't exist yet"),
    ];
    for (number, first, expected, expected_with_all, what) in table {
        assert_eq!(answer(&plain, number, first), expected, "{what}, default capabilities");
        assert_eq!(answer(&all, number, first), expected_with_all, "{what}, all capabilities");
    }
}

#[test]
fn a_profile_of_ones_own_is_enforced() {
    let filter = custom(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_GT"}]},
            {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": null, "includes": {"caps": ["CAP_SYS_ADMIN"]}}
        ]}"#,
        CapabilitySet::EMPTY,
    );
    assert_eq!(answer(&filter, libc::SYS_mkdirat, 0), ENOSYS);
    assert_eq!(answer(&filter, libc::SYS_kill, 6), libc::SECCOMP_RET_KILL_PROCESS);
    assert_eq!(answer(&filter, libc::SYS_kill, 5), ALLOW);
    assert_eq!(answer(&filter, libc::SYS_read, 0), ALLOW);
}

/// As runc has it.
#[test]
fn two_conditions_of_one_argument_are_alternatives() {
    let filter = custom(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [
                {"index": 0, "value": 38, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]},
            {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [
                {"index": 0, "value": 5, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]}
        ]}"#,
        CapabilitySet::EMPTY,
    );
    for (family, expected) in [(38, EPERM), (39, ALLOW), (40, EPERM)] {
        assert_eq!(answer(&filter, libc::SYS_socket, family), expected, "{family}");
    }
    assert_eq!(answer(&filter, libc::SYS_kill, 5), ALLOW, "the signal is another");
}

#[test]
fn rules_count_where_they_say() {
    let filter = custom(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "comment": "as profiles were once written"},
            {"names": ["mkdirat"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "4.8"}},
            {"names": ["unlinkat"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "1000.0"}},
            {"names": ["renameat2"], "action": "SCMP_ACT_ERRNO", "excludes": {"minKernel": "4.8"}},
            {"names": ["linkat"], "action": "SCMP_ACT_ERRNO", "excludes": {"minKernel": "1000.0"}}
        ]}"#,
        CapabilitySet::EMPTY,
    );
    let table = [
        (libc::SYS_mkdirat, EPERM),
        (libc::SYS_unlinkat, ALLOW),
        (libc::SYS_renameat2, ALLOW),
        (libc::SYS_linkat, EPERM),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_mkdir, EPERM),
    ];
    for (number, expected) in table {
        assert_eq!(answer(&filter, number, 0), expected, "{number}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_other_abis_of_x86_64_are_told_apart() {
    use syscalls::x86::Sysno as I386;

    const AUDIT_ARCH_I386: u32 = 0x4000_0003;
    const X32_BIT: i64 = 0x4000_0000;
    let i386 = |filter: &Filter, call: I386, first| answer_to(filter, AUDIT_ARCH_I386, i64::from(call.id()), first);
    let default = Filter::compile(&Seccomp::Default, CapabilitySet::default_for_containers()).expect("compiles");
    let table = [
        (I386::write, 0, ALLOW),
        (I386::socketcall, 1, EPERM),
        (I386::socketcall, 1 << 32 | 1, EPERM),
        (I386::socketcall, 2, ALLOW),
        (I386::mount, 0, EPERM),
        (I386::clone, libc::CLONE_NEWUSER as u64, EPERM),
        (I386::clone, 0x11, ALLOW),
        (I386::clone3, 0, ENOSYS),
        (I386::socket, 2, ALLOW),
        (I386::socket, 38, EPERM),
        (I386::socket, 1 << 32 | 38, EPERM),
        (I386::socket, 40, EPERM),
    ];
    for (call, first, expected) in table {
        assert_eq!(i386(&default, call, first), expected, "{call}");
    }
    assert_eq!(answer(&default, libc::SYS_read | X32_BIT, 0), ENOSYS);

    // Number 39 is mkdir in one ABI and getpid in the other.
    let rules = r#""syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]"#;
    let native_only = custom(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {rules}}}"#), CapabilitySet::EMPTY);
    assert_eq!(i386(&native_only, I386::write, 0), libc::SECCOMP_RET_KILL_PROCESS);
    assert_eq!(answer(&native_only, libc::SYS_mkdir | X32_BIT, 0), ENOSYS, "what isn't known isn't let pass");
    let map = r#""archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}]"#;
    let both = custom(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {map}, {rules}}}"#), CapabilitySet::EMPTY);
    assert_eq!((i386(&both, I386::mkdir, 0), i386(&both, I386::getpid, 0)), (EPERM, ALLOW));
    assert_eq!((answer(&both, libc::SYS_mkdir, 0), answer(&both, libc::SYS_getpid, 0)), (EPERM, ALLOW));
}

#[test]
fn null_in_a_profile_is_absence() {
    let rule = r#"{"names": ["mkdir"], "name": "", "action": "SCMP_ACT_ERRNO", "errnoRet": null, "comment": null, "args": null, "includes": null, "excludes": null}"#;
    let scoped = r#"{"names": ["rmdir"], "name": null, "action": "SCMP_ACT_ERRNO",
        "args": [{"index": 0, "value": 5, "valueTwo": null, "op": "SCMP_CMP_EQ"}],
        "includes": {"caps": null, "arches": null, "minKernel": null}, "excludes": {"caps": null}}"#;
    let nulls =
        r#""defaultErrnoRet": null, "architectures": null, "archMap": null, "flags": null, "listenerPath": null"#;
    let filter = custom(
        &format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", {nulls}, "syscalls": [{rule}, {scoped}]}}"#),
        CapabilitySet::EMPTY,
    );
    assert_eq!(answer(&filter, libc::SYS_mkdir, 0), EPERM);
    assert_eq!((answer(&filter, libc::SYS_rmdir, 5), answer(&filter, libc::SYS_rmdir, 6)), (EPERM, ALLOW));
    let mapped = custom(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": null}], "syscalls": null}"#,
        CapabilitySet::EMPTY,
    );
    assert_eq!(answer(&mapped, libc::SYS_mkdir, 0), ALLOW);
}

#[test]
fn a_profile_that_is_none_is_refused() {
    let allow = r#"{"defaultAction": "SCMP_ACT_ALLOW","#;
    let table = [
        (String::new(), "EOF"),
        ("[]".to_owned(), "invalid length"),
        (r#"{"syscalls": []}"#.to_owned(), "missing field `defaultAction`"),
        (r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#.to_owned(), "unknown variant"),
        (format!(r#"{allow} "flags": ["SECCOMP_FILTER_FLAG_LOG"]}}"#), "flag SECCOMP_FILTER_FLAG_LOG is not supported"),
        (format!(r#"{allow} "listenerPath": "/run/x"}}"#), "listenerPath"),
        (
            format!(
                r#"{allow} "architectures": ["SCMP_ARCH_X86"], "archMap": [{{"architecture": "SCMP_ARCH_X86"}}]}}"#
            ),
            "use either 'architectures' or 'archMap'",
        ),
        (
            format!(r#"{allow} "syscalls": [{{"name": "a", "names": ["b"], "action": "SCMP_ACT_KILL"}}]}}"#),
            "use either 'name' or 'names'",
        ),
        (
            format!(
                r#"{allow} "syscalls": [{{"names": ["b"], "action": "SCMP_ACT_KILL", "includes": {{"minKernel": "new"}}}}]}}"#
            ),
            "\"new\" is no kernel version",
        ),
    ];
    for (text, complaint) in table {
        let error = Profile::parse(&text).expect_err("refused").to_string();
        assert!(error.starts_with("invalid seccomp profile") && error.contains(complaint), "{text}: {error}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn every_name_in_the_default_profile_is_spelt_right() {
    use std::str::FromStr as _;

    let known = |name: &str| syscalls::Sysno::from_str(name).is_ok() || syscalls::x86::Sysno::from_str(name).is_ok();
    // Calls of other architectures.
    let foreign = "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2 recv send";
    let names = default::profile().syscalls.into_iter().flat_map(|rule| rule.names);
    let misspelt: Vec<_> =
        names.filter(|name| !known(name) && !foreign.split_whitespace().any(|known| known == name)).collect();
    assert!(misspelt.is_empty(), "{misspelt:?}");
}

#[test]
fn a_filter_is_asked_without_making_the_call() {
    let of = |seccomp: &Seccomp| Filter::compile(seccomp, CapabilitySet::default_for_containers()).expect("compiles");
    let new_user_namespace = [u64::from(libc::CLONE_NEWUSER.cast_unsigned()), 0, 0, 0, 0, 0];
    let default = of(&Seccomp::Default);
    assert!(default.lets_pass(libc::SYS_clone, [0; 6]) && !default.lets_pass(libc::SYS_clone, new_user_namespace));
    assert!(!default.lets_pass(libc::SYS_reboot, [0; 6]), "what no rule names is refused");
    assert!(of(&Seccomp::Unconfined).lets_pass(libc::SYS_reboot, [0; 6]));
    let logged = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["setsid"],"action":"SCMP_ACT_LOG"}]}"#;
    assert!(custom(logged, CapabilitySet::EMPTY).lets_pass(libc::SYS_setsid, [0; 6]));
}

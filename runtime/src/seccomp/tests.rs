//! Filters are run on every kind of call that the default profile tells apart.

use seccompiler::sock_filter;

use super::*;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// What one program answers to a call, as the kernel would run it.
fn run(program: &[sock_filter], number: i64, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(u32::try_from(number).expect("a system call's number").to_ne_bytes());
    data.extend(AUDIT_ARCH.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    arguments.iter().for_each(|argument| data.extend(argument.to_ne_bytes()));
    let (mut accumulator, mut next) = (0_u32, 0_usize);
    loop {
        let sock_filter { code, jt, jf, k } = program[next];
        next += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => {
                let at = k as usize;
                accumulator = u32::from_ne_bytes(data[at..at + 4].try_into().expect("four bytes"));
            }
            0x05 => next += k as usize,
            0x06 => return k,
            0x15 => next += branch(accumulator == k),
            0x25 => next += branch(accumulator > k),
            0x35 => next += branch(accumulator >= k),
            0x54 => accumulator &= k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// The kernel's answer when it has asked every program: the one with the highest precedence, which is the lowest action as a signed number.
fn answer(filter: &Filter, number: i64, first: u64) -> u32 {
    let answers = filter.0.iter().map(|program| run(program, number, [first, 0, 0, 0, 0, 0]));
    answers.min_by_key(|answer| (answer & libc::SECCOMP_RET_ACTION_FULL).cast_signed()).unwrap_or(ALLOW)
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
        (libc::SYS_socket, 40, EPERM, EPERM, "a vsock socket"),
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
    let profile = Profile::parse(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["kill"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_GT"}]},
            {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": null, "includes": {"caps": ["CAP_SYS_ADMIN"]}}
        ]}"#,
    )
    .expect("parses");
    let filter = Filter::compile(&Seccomp::Custom(Box::new(profile)), CapabilitySet::EMPTY).expect("compiles");
    assert_eq!(answer(&filter, libc::SYS_mkdirat, 0), ENOSYS);
    assert_eq!(answer(&filter, libc::SYS_kill, 6), libc::SECCOMP_RET_KILL_PROCESS);
    assert_eq!(answer(&filter, libc::SYS_kill, 5), ALLOW);
    assert_eq!(answer(&filter, libc::SYS_read, 0), ALLOW);
}

#[test]
fn a_profile_that_is_none_is_refused() {
    for text in ["", "[]", r#"{"syscalls": []}"#, r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#] {
        let error = Profile::parse(text).expect_err("refused");
        assert!(error.to_string().starts_with("invalid seccomp profile"), "{error}");
    }
}

#[test]
fn every_name_in_the_default_profile_is_spelt_right() {
    let known = |name: &str| {
        use std::str::FromStr;
        syscalls::Sysno::from_str(name).is_ok()
    };
    // Calls of other architectures, and those newer than the table.
    let foreign = |name: &str| {
        name.ends_with("32")
            || name.ends_with("64")
            || [
                "_llseek",
                "_newselect",
                "arm_sync_file_range",
                "breakpoint",
                "cacheflush",
                "ipc",
                "mmap2",
                "recv",
                "send",
            ]
            .contains(&name)
            || ["set_tls", "sigprocmask", "sigreturn", "socketcall", "stime", "ugetrlimit", "umount", "waitpid"]
                .contains(&name)
            || ["sync_file_range2", "getxattrat", "listxattrat", "removexattrat", "setxattrat", "uretprobe"]
                .contains(&name)
    };
    if cfg!(target_arch = "x86_64") {
        let misspelt: Vec<_> = default::profile()
            .syscalls
            .into_iter()
            .flat_map(|rule| rule.names)
            .filter(|name| !known(name) && !foreign(name))
            .collect();
        assert!(misspelt.is_empty(), "{misspelt:?}");
    }
}

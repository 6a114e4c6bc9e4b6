//! System calls: what the default filter lets containers make, by each ABI of the kernel's, with and without capabilities.
//! Every call here has arguments with which the kernel itself refuses it, so what it says tells who was asked.

use berth_tests::{Host, started};
use nix::libc as c;

const EPERM: &str = "1";
const ENOSYS: &str = "38";

/// A capability, and calls that are let through with it.
struct Group {
    capability: &'static str,
    calls: Vec<String>,
}

fn native(number: c::c_long, arguments: &str) -> String {
    format!("native:{number}:{arguments}")
}

fn group(capability: &'static str, calls: &[(c::c_long, &str)]) -> Group {
    Group { capability, calls: calls.iter().map(|(number, arguments)| native(*number, arguments)).collect() }
}

fn groups() -> Vec<Group> {
    let mut groups = vec![
        group("DAC_READ_SEARCH", &[(c::SYS_open_by_handle_at, "-1,0,0")]),
        group("SYS_ADMIN", &ADMIN),
        group("SYS_BOOT", &[(c::SYS_reboot, "0,0,0,0")]),
        group("SYS_CHROOT", &[(c::SYS_chroot, "1")]),
        group(
            "SYS_MODULE",
            &[(c::SYS_init_module, "1,0,1"), (c::SYS_finit_module, "-1,1,-1"), (c::SYS_delete_module, "1,0")],
        ),
        group("SYS_PACCT", &[(c::SYS_acct, "1")]),
        group(
            "SYS_PTRACE",
            &[(c::SYS_kcmp, "-1,-1,99"), (c::SYS_pidfd_getfd, "-1,-1,-1"), (c::SYS_process_madvise, "-1,1,1,0,-1")],
        ),
        group("SYS_TIME", &[(c::SYS_settimeofday, "1,1"), (c::SYS_clock_settime, "9999,1")]),
        group("SYS_TTY_CONFIG", &[(c::SYS_vhangup, "0")]),
        group(
            "SYS_NICE",
            &[
                (c::SYS_get_mempolicy, "0,0,0,0,-1"),
                (c::SYS_mbind, "1,0,99,0,0,0"),
                (c::SYS_set_mempolicy, "99,0,0"),
                (c::SYS_set_mempolicy_home_node, "1,0,-1,-1"),
            ],
        ),
        group("SYSLOG", &[(c::SYS_syslog, "99,0,0")]),
        group("BPF", &[(c::SYS_bpf, "0x7fffffff,0,0")]),
        group("PERFMON", &[(c::SYS_perf_event_open, "0,-1,-1,-1,0")]),
    ];
    #[cfg(target_arch = "x86_64")]
    {
        groups.push(group("SYS_RAWIO", &[(c::SYS_ioperm, "-1,-1,0"), (c::SYS_iopl, "99")]));
        // mount, umount2, setns, unshare, clone with CLONE_NEWUSER and CLONE_FS, clone3.
        let i386 = ["21:0,1,0,0,0", "52:1,-1", "346:-1,0", "310:1", "120:0x10000200,0", "435:1,0"];
        let admin = groups.iter_mut().find(|group| group.capability == "SYS_ADMIN").expect("it is above");
        admin.calls.extend(i386.map(|call| format!("i386:{call}")));
    }
    groups
}

const ADMIN: [(c::c_long, &str); 22] = [
    (c::SYS_bpf, "0x7fffffff,0,0"),
    // CLONE_NEWUSER and CLONE_NEWNS don't go with CLONE_FS.
    (c::SYS_clone, "0x10000200,0"),
    (c::SYS_clone, "0x20200,0"),
    (c::SYS_clone3, "1,0"),
    (c::SYS_fanotify_init, "-1,0"),
    (c::SYS_fsconfig, "-1,0,0,0,0"),
    (c::SYS_fsmount, "-1,0,0"),
    (c::SYS_fsopen, "1,0"),
    (c::SYS_fspick, "-1,1,-1"),
    (c::SYS_mount, "0,1,0,0,0"),
    (c::SYS_mount_setattr, "-1,1,-1,1,0"),
    (c::SYS_move_mount, "-1,1,-1,1,-1"),
    (c::SYS_open_tree, "-1,1,-1"),
    (c::SYS_perf_event_open, "0,-1,-1,-1,0"),
    (c::SYS_quotactl, "-1,0,0,0"),
    (c::SYS_quotactl_fd, "-1,-1,0,0"),
    (c::SYS_setdomainname, "0,-1"),
    (c::SYS_sethostname, "0,-1"),
    (c::SYS_setns, "-1,0"),
    (c::SYS_syslog, "99,0,0"),
    (c::SYS_umount2, "1,-1"),
    (c::SYS_unshare, "1"),
];

/// What the probe says to the calls, one after the other.
fn answers(host: &Host, flags: &[&str], calls: &[String]) -> Vec<String> {
    let mut run = vec!["run", "--rm", "--network", "none"];
    run.extend(flags);
    run.extend(["probe", "/bin/probe"]);
    run.extend(calls.iter().map(String::as_str));
    let answers: Vec<String> = host.docker(&run).ok().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), calls.len(), "{answers:?}");
    answers
}

/// Calls for which a capability is needed reach the kernel with that capability, and with no other.
#[test]
fn calls_that_need_a_capability_are_let_through_with_it_alone() {
    let (_world, host) = started();
    super::load_probe(&host);
    let groups = groups();
    let all: Vec<String> = groups.iter().flat_map(|group| group.calls.clone()).collect();
    let refusal = |call: &String| {
        let clone3 = call.starts_with(&native(c::SYS_clone3, "")) || call.starts_with("i386:435:");
        if clone3 { ENOSYS } else { EPERM }
    };
    let drop = ["--cap-drop", "SYS_CHROOT"];
    let unfiltered = answers(&host, &["--security-opt", "seccomp=unconfined", drop[0], drop[1]], &all);
    for ((call, answer), kernels) in all.iter().zip(answers(&host, &drop, &all)).zip(&unfiltered) {
        assert_eq!(answer, refusal(call), "{call} without capabilities, to which the kernel itself says {kernels}");
    }
    let told_apart = all.iter().zip(&unfiltered).filter(|(call, kernels)| refusal(call) != kernels.as_str()).count();
    assert!(told_apart > 10, "the kernel's own refusals would hide the filter's: {unfiltered:?}");
    for Group { capability, calls } in &groups {
        let flags = ["--cap-drop", "ALL", "--cap-add", capability];
        let unfiltered = answers(&host, &[&flags[..], &["--security-opt", "seccomp=unconfined"]].concat(), &all);
        for ((call, answer), kernels) in all.iter().zip(answers(&host, &flags, &all)).zip(&unfiltered) {
            // SYS_ADMIN stands for some of the others.
            match calls.contains(call) {
                true if kernels == refusal(call) => {
                    eprintln!("SKIPPED: {call} with {capability}: the kernel itself refuses it as the filter would");
                }
                true => assert_eq!(&answer, kernels, "{call} with {capability}"),
                false => assert_eq!(answer, refusal(call), "{call} with {capability}"),
            }
        }
    }
}

/// CVE-2026-31431: the kernel's cryptography has no business in a container, and its faults are the host's. Neither has the
/// hypervisor. The filter sees 64 bits of the family, the kernel looks at 32.
#[test]
fn sockets_that_reach_beyond_the_container_are_refused_by_every_abi() {
    const ALG: &str = "38,5,0";
    const VSOCK: &str = "40,1,0";
    let (_world, host) = started();
    super::load_probe(&host);
    let socket = c::SYS_socket;
    let refused = [ALG, VSOCK, "0x100000026,5,0", "0x100000028,1,0", "46,1,0", "19,1,0", "-1,1,0"];
    let mut refused: Vec<String> = refused.iter().map(|arguments| native(socket, arguments)).collect();
    let mut let_through: Vec<String> =
        ["1,1,0", "2,2,0", "10,1,0", "16,3,0"].iter().map(|arguments| native(socket, arguments)).collect();
    let has_i386 = answers(&host, &["--security-opt", "seccomp=unconfined"], &["i386:20:0".to_owned()]) == ["0"];
    if has_i386 {
        let socketcalls = ["1,@38", "1,@40", "1,@2", "0x100000001,@38", "0x100000001,@40"];
        refused.extend(socketcalls.iter().map(|arguments| format!("i386:102:{arguments}")));
        let direct = [ALG, VSOCK, "0x100000026,5,0", "0x100000028,1,0"];
        refused.extend(direct.iter().map(|arguments| format!("i386:359:{arguments}")));
        let_through.extend(["2,2,0", "1,1,0"].iter().map(|arguments| format!("i386:359:{arguments}")));
    } else {
        eprintln!("SKIPPED: the calls of 32-bit programs, which this kernel doesn't have (CONFIG_IA32_EMULATION)");
    }
    for flags in [&["--cap-add", "ALL"][..], &[], &["-u", "guest"]] {
        for (call, answer) in refused.iter().zip(answers(&host, flags, &refused)) {
            assert_eq!(answer, EPERM, "{call} with {flags:?}");
        }
        for (call, answer) in let_through.iter().zip(answers(&host, flags, &let_through)) {
            assert_eq!(answer, "0", "{call} with {flags:?}");
        }
    }
}

/// The same numbers are other calls in other ABIs: a filter that knows one alone can be gone around by another.
#[test]
fn calls_that_no_capability_allows_are_refused_by_every_abi() {
    let (_world, host) = started();
    super::load_probe(&host);
    let calls = [
        (c::SYS_keyctl, "-1,0,0,0,0"),
        (c::SYS_add_key, "1,1,1,0,0"),
        (c::SYS_request_key, "1,1,1,0"),
        (c::SYS_io_uring_setup, "0,1"),
        (c::SYS_io_uring_enter, "-1,0,0,0,0,0"),
        (c::SYS_io_uring_register, "-1,-1,0,0"),
        (c::SYS_userfaultfd, "-1"),
        (c::SYS_kexec_load, "0,99,0,-1"),
        (c::SYS_swapon, "1,-1"),
        (c::SYS_pivot_root, "1,1"),
        (c::SYS_personality, "0x400000"),
        (c::SYS_personality, "0x100000000"),
    ];
    let mut calls: Vec<String> = calls.iter().map(|(number, arguments)| native(*number, arguments)).collect();
    // keyctl, io_uring_setup, userfaultfd, kexec_load, pivot_root; and mkdir, whose number is getpid's of the 64-bit ABI.
    #[cfg(target_arch = "x86_64")]
    calls.extend(["288:-1", "425:0,1", "374:-1", "283:0,99,0,-1", "217:1,1"].map(|call| format!("i386:{call}")));
    for (call, answer) in calls.iter().zip(answers(&host, &["--cap-add", "ALL"], &calls)) {
        assert!(answer == EPERM || answer == "signal 11", "{call}: {answer}");
    }
    // getpid, read and mount of x32.
    #[cfg(target_arch = "x86_64")]
    {
        let calls = [39, 0, 165].map(|number| native(0x4000_0000 | number, "-1,0,0,0,0"));
        assert_eq!(answers(&host, &["--cap-add", "ALL"], &calls), [ENOSYS; 3]);
    }
}

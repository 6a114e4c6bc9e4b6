//! The default profile: the system calls that Docker's default profile lets a container make.

use super::profile::{Action, Condition, Operator, Profile, Scope, SyscallRule};

/// Allowed always.
const ALLOWED: &str = "
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
    clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
    epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
    exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2
    fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
    futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32
    geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid
    getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt
    gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl
    ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
    lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat
    lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock
    mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
    mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
    name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
    pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
    process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename
    renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
    rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
    select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
    setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid
    setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown
    sigaltstack signalfd signalfd4 sigprocmask sigreturn socketpair splice stat stat64 statfs statfs64
    statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
    unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev";

/// Allowed on one architecture.
const BY_ARCHITECTURE: [(&str, &str); 2] = [
    ("amd64", "arch_prctl modify_ldt"),
    ("arm64", "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"),
];

/// Allowed with a capability.
const BY_CAPABILITY: [(&str, &str); 13] = [
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl \
         quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_PACCT", "acct"),
    ("CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
];

/// Every `CLONE_NEW…` flag: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// Linux, and the two personalities that older programs ask for, each with and without address randomisation; asking.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Address families up to this one are allowed: AF_UNIX to AF_ROSE.
const FIRST_FAMILIES_END: u64 = 12;

/// Those above it, from AF_NETBEUI to AF_MCTP. The ones left out are gone from the kernel, or reach beyond the container:
/// AF_ALG (38) its cryptography, whose faults are the host's (CVE-2026-31431), and AF_VSOCK (40) the hypervisor. Equal is
/// what they are compared by, because the kernel looks at the lower half of the argument alone and the filter at all of it.
const FAMILIES: [u64; 25] =
    [13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45];

/// The call of socketcall(2) that makes a socket.
const SYS_SOCKET: u64 = 1;

/// The default profile. It goes through the same compiler as a user's own.
pub(super) fn profile() -> Profile {
    let mut syscalls = vec![allow(ALLOWED)];
    for (arch, names) in BY_ARCHITECTURE {
        let includes = Scope { arches: vec![arch.to_owned()], ..Scope::default() };
        syscalls.push(SyscallRule { includes, ..allow(names) });
    }
    for (capability, names) in BY_CAPABILITY.into_iter().chain([("CAP_PERFMON", "perf_event_open")]) {
        let includes = Scope { caps: vec![capability.to_owned()], ..Scope::default() };
        syscalls.push(SyscallRule { includes, ..allow(names) });
    }
    for persona in PERSONALITIES {
        syscalls.push(when(0, Operator::Equal, persona, 0, allow("personality")));
    }
    syscalls.push(when(0, Operator::Less, FIRST_FAMILIES_END, 0, allow("socket")));
    for family in FAMILIES {
        syscalls.push(when(0, Operator::Equal, family, 0, allow("socket")));
    }
    // Which family it makes a socket of is behind a pointer, where no filter can look. Docker leaves that to AppArmor and
    // SELinux, which aren't in use here. What is done with sockets that are there already goes on.
    syscalls.push(when(0, Operator::NotEqual, SYS_SOCKET, 0, allow("socketcall")));
    let without_sys_admin = || Scope { caps: vec!["CAP_SYS_ADMIN".to_owned()], ..Scope::default() };
    let clone = when(0, Operator::MaskedEqual, NEW_NAMESPACES, 0, allow("clone"));
    syscalls.push(SyscallRule { excludes: without_sys_admin(), ..clone });
    // Its flags are behind a pointer, where no filter can look: programs fall back to clone on ENOSYS.
    syscalls.push(SyscallRule {
        errno_ret: Some(libc::ENOSYS as u16),
        excludes: without_sys_admin(),
        ..SyscallRule::new(["clone3"], Action::Errno)
    });
    Profile {
        default_action: Action::Errno,
        default_errno_ret: Some(libc::EPERM as u16),
        architectures: vec!["SCMP_ARCH_X86".to_owned()],
        arch_map: Vec::new(),
        syscalls,
    }
}

fn allow(names: &str) -> SyscallRule {
    SyscallRule::new(names.split_whitespace(), Action::Allow)
}

fn when(index: u8, operator: Operator, value: u64, value_two: u64, rule: SyscallRule) -> SyscallRule {
    SyscallRule { args: vec![Condition { index, value, value_two, operator }], ..rule }
}

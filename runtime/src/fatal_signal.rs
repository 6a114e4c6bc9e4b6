//! Whether a signal ends a process for certain, by what the kernel says of the process. Pure.

/// Signals that end nobody, or only stop, where nothing is said about them (signal(7)).
const NOT_FATAL: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// `status` is `/proc/PID/status`. The first process of a pid namespace gets no signal that it doesn't handle, but for SIGKILL.
pub(crate) fn is_fatal(status: &str, signal: i32) -> bool {
    if signal == libc::SIGKILL {
        return true;
    }
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let in_set = |name: &str| {
        let set = value(name).and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        let number = u32::try_from(signal - 1).unwrap_or(u32::MAX);
        set.zip(1_u64.checked_shl(number)).is_none_or(|(set, bit)| set & bit != 0)
    };
    let inner_pid = value("NSpid").unwrap_or_default().split_whitespace().skip(1).last();
    let is_first_process = inner_pid == Some("1");
    !NOT_FATAL.contains(&signal) && !is_first_process && !["SigBlk", "SigIgn", "SigCgt"].into_iter().any(in_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_nobody_outlives() {
        let status = |pids: &str, blocked: &str, ignored: &str, caught: &str| {
            format!("Name:\tx\nNSpid:\t{pids}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n")
        };
        let (none, term) = ("0000000000000000", "0000000000004000");
        let table = [
            // In the host's pid namespace.
            (status("700", none, none, none), libc::SIGTERM, true),
            (status("700", none, none, none), libc::SIGUSR1, true),
            (status("700", none, none, none), 64, true),
            (status("700", none, none, none), libc::SIGWINCH, false),
            (status("700", none, none, none), libc::SIGSTOP, false),
            (status("700", term, none, none), libc::SIGTERM, false),
            (status("700", none, term, none), libc::SIGTERM, false),
            (status("700", none, none, term), libc::SIGTERM, false),
            (status("700", term, term, term), libc::SIGKILL, true),
            // In one of its own, and in another container's.
            (status("700\t1", none, none, none), libc::SIGTERM, false),
            (status("700\t1", none, none, none), libc::SIGKILL, true),
            (status("700\t12", none, none, none), libc::SIGTERM, true),
            // What can't be read promises nothing.
            (String::new(), libc::SIGTERM, false),
        ];
        for (status, signal, fatal) in table {
            assert_eq!(is_fatal(&status, signal), fatal, "{signal}: {status}");
        }
    }
}

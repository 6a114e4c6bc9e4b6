//! netd-keeper: holds descriptors by name while the daemons that use them are away. Its standard input is the socket it serves;
//! called with `namespaces`, it ignores SIGTERM, and scripts/install leaves it be.
#![forbid(unsafe_code)]

use std::os::fd::AsFd as _;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};

fn main() -> ExitCode {
    let listener = std::io::stdin().as_fd().try_clone_to_owned();
    // Whoever ends a terminal or a process group doesn't mean the sockets; SIGTERM does.
    let mut ignored: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT].into_iter().collect();
    // `systemctl kill netd` tells everything in the service's cgroup to end: namespaces that netd and this hold would be lost, and
    // containers' networks with them. It ends with its socket's path.
    if std::env::args_os().nth(1).is_some_and(|word| word == "namespaces") {
        ignored.add(Signal::SIGTERM);
    }
    match ignored.thread_block().map_err(Into::into).and_then(|()| netd::keeper::serve(listener?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netd-keeper: its standard input must be the socket it serves, as berthd starts it: {error}");
            ExitCode::FAILURE
        }
    }
}

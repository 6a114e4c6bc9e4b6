//! A host for one test: a network and a mount namespace of its own, and a run directory, all gone after the test.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};

/// Runs a test on a thread in a fresh host. Threads that the test starts are in it as well.
pub(crate) fn in_fresh_host<T: Send>(test: impl FnOnce(&Path) -> T + Send) -> T {
    assert!(geteuid().is_root(), "this test makes network namespaces: run it as root (scripts/test)");
    let result = thread::scope(|scope| {
        scope
            .spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("a network and a mount namespace");
                let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
                mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
                run("ip", &["link", "set", "lo", "up"]);
                // A new namespace begins with what the machine has here.
                run("sysctl", &["-qw", "net.ipv4.ip_forward=0"]);
                // On a tmpfs of this mount namespace: nothing is left, whatever the test does.
                let run_dir = PathBuf::from("/mnt");
                mount(Some("tmpfs"), &run_dir, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("a tmpfs");
                let run_dir = run_dir.join("berth");
                fs::create_dir(&run_dir).expect("a run directory");
                test(&run_dir)
            })
            .join()
    });
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a program that must succeed; what it printed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output().expect("the program can be run");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! What a sandbox's network namespace has from its birth, and what it takes.

use std::{process::Command, sync::Arc};

use cnm::plan::Plan;
use kernel::{Host as _, InProcessKeeper, Kernel};
use nix::sys::resource::{UsageWho, getrusage};

use crate::{
    host::{in_fresh_host, run},
    topology::namespace,
};

/// What tells whether this process has started others. None that has begun is without page faults, which are counted once it
/// has been waited for; until then it is among the children.
fn traces_of_children() -> (i64, String) {
    let faults = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").minor_page_faults();
    let threads = std::fs::read_dir("/proc/self/task").expect("its threads").flatten();
    // A thread may end meanwhile: what it has started is another one's child then.
    (
        faults,
        threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()).collect(),
    )
}

#[test]
fn low_ports_and_pings_are_anybodys_from_birth_by_no_step_and_no_process_of_their_own() {
    const ALONE: &str = "BERTH_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // Children are counted for a process, which may have other tests beside this one.
        let name = "namespaces::low_ports_and_pings_are_anybodys_from_birth_by_no_step_and_no_process_of_their_own";
        let mut alone = Command::new(std::env::current_exe().expect("this"));
        assert!(alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").status().expect("it starts").success());
        return;
    }
    in_fresh_host(|run_dir| {
        let read = |path: &str, keys: &[&str]| {
            let keys = keys.iter().map(|key| format!("/proc/sys/net/ipv4/{key}"));
            let arguments: Vec<_> = [format!("--net={path}"), "cat".to_owned()].into_iter().chain(keys).collect();
            run("nsenter", &arguments.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let keys = ["ip_unprivileged_port_start", "ping_group_range"];
        let of_the_host = read("/proc/thread-self/ns/net", &keys);
        let kernel = Kernel::new(run_dir, Arc::new(InProcessKeeper::default())).expect("the host");
        // The namespace and nothing else: whoever plans a sandbox plans no setting.
        let plan = Plan::make(vec![namespace("s1")]);
        assert_eq!(plan.ops.len(), 1);
        let before = traces_of_children();
        assert!(before.0 > 0, "programs have run for this test");
        kernel.apply(&plan).expect("a namespace");
        assert_eq!(traces_of_children(), before, "a process was started for it");
        let pin = run_dir.join("netns/s1");
        assert_eq!(read(&pin.to_string_lossy(), &keys), "0\n0\t2147483647\n");
        assert_eq!(read("/proc/thread-self/ns/net", &keys), of_the_host);
        assert_ne!(of_the_host, "0\n0\t2147483647\n");
    });
}

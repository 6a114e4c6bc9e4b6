//! What is left when the caller, the shim or the monitor is killed: nothing, or something that can be put right.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use common::{World, id, monitor_of, network};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime::{Error, Status, Target};

fn assert_nothing_is_left(world: &World, name: &str) {
    assert_eq!(world.runtime.status(Target::Container(&id(name))).expect("known"), Status::Gone);
    world.assert_no_cgroup(name);
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let directory = world.directory.path().to_string_lossy().into_owned();
    assert!(!mounts.contains(&directory), "a mount is left: {mounts}");
}

#[test]
fn an_aborted_start_leaves_nothing() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    world.runtime.start(&spec).expect("begins").abort().expect("undone");
    assert_nothing_is_left(&world, "c");
    world.start(&spec);
}

#[test]
fn a_network_that_is_not_there_is_an_error_that_leaves_nothing() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    let nowhere = runtime::spec::Network::Namespace("/run/nowhere".into());
    let error = world.runtime.start(&spec).expect("begins").release(&nowhere).expect_err("no such namespace");
    assert!(matches!(&error, Error::Start { exit_code: 125, .. }), "{error:?}");
    assert_nothing_is_left(&world, "c");
}

/// Run by the test below in a process of its own, which is killed in the middle.
#[test]
fn caller_to_be_killed() {
    let Ok(point) = std::env::var("BERTH_TEST_KILL_POINT") else { return };
    let world = World::new();
    // The parent looks after what is left.
    let directory = std::env::var("BERTH_TEST_RUN_DIR").expect("given");
    let runtime = runtime::Runtime::new(directory, common::binaries()).expect("runtime");
    let mut spec = world.spec("c", &["sleep", "1000"]);
    spec.cgroup_parent = std::env::var("BERTH_TEST_CGROUP").expect("given").into();
    let die = || kill(Pid::this(), Signal::SIGKILL).expect("killed");
    let starting = runtime.start(&spec).expect("begins");
    if point == "before-release" {
        die();
    }
    if let Ok(microseconds) = point.parse::<u64>() {
        // A different moment each time is the purpose; nothing waits for it.
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_micros(microseconds));
            kill(Pid::this(), Signal::SIGKILL)
        });
    }
    starting.release(&network()).expect("starts");
    die();
}

#[test]
fn a_caller_that_is_killed_leaves_nothing_or_a_container_that_runs() {
    let world = World::new();
    let points = ["before-release", "0", "2000", "5000", "10000", "15000", "20000", "30000", "after-release"];
    let (mut undone, mut running) = (0, 0);
    for point in points {
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "caller_to_be_killed", "--nocapture"])
            .env("BERTH_TEST_KILL_POINT", point)
            .env("BERTH_TEST_RUN_DIR", world.directory.path().join("run"))
            .env("BERTH_TEST_CGROUP", &world.cgroup_parent)
            .stdout(Stdio::null())
            .status()
            .expect("run");
        assert_eq!(status.signal(), Some(9));
        let c = id("c");
        let target = Target::Container(&c);
        // Whoever is still at work ends on its own; the monitor, when there is one, goes on.
        loop {
            match world.runtime.status(target).expect("known") {
                Status::Gone => {
                    undone += 1;
                    assert_nothing_is_left(&world, "c");
                    break;
                }
                Status::Running(started) => {
                    running += 1;
                    assert_eq!(world.runtime.pids(&c).expect("listed"), [started.pid]);
                    world.runtime.delete(target).expect("deleted");
                    assert_nothing_is_left(&world, "c");
                    break;
                }
                Status::Creating | Status::Orphaned => std::thread::yield_now(),
                other => panic!("{point}: {other:?}"),
            }
        }
    }
    assert!(undone >= 1 && running >= 1, "{undone} undone, {running} running");
}

#[test]
fn a_monitor_that_is_killed_is_noticed_and_its_container_ended() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    let started = world.start(&spec);
    let target = Target::Container(&spec.id);
    let watch = world.runtime.watch(target).expect("watched");
    kill(monitor_of(started.pid), Signal::SIGKILL).expect("killed");
    let error = watch.wait().expect_err("it died");
    assert_eq!(error.to_string(), "monitor of c died, and how the process ended isn't known");
    assert_eq!(world.runtime.status(target).expect("known"), Status::Orphaned);
    match world.runtime.recover(target).expect("ended") {
        Status::Exited(exit) => {
            assert_eq!((exit.code, exit.error.as_deref()), (137, Some("its monitor died, so it was killed")));
        }
        other => panic!("{other:?}"),
    }
    assert!(world.runtime.pids(&spec.id).expect("listed").is_empty());
    world.runtime.delete(target).expect("deleted");
    assert_nothing_is_left(&world, "c");
}

#[test]
fn a_shim_that_is_killed_leaves_what_delete_removes() {
    let world = World::new();
    let spec = world.spec("c", &["sleep", "1000"]);
    let target = Target::Container(&spec.id);
    let starting = world.runtime.start(&spec).expect("begins");
    // Creating, once its shim has come up.
    common::until("a shim", || world.runtime.status(target).expect("known") == Status::Creating);
    world.runtime.delete(target).expect("deleted");
    assert!(matches!(starting.release(&network()), Err(Error::Broken { .. })));
    assert_nothing_is_left(&world, "c");
}

#[test]
fn what_has_ended_is_known_to_whoever_comes_later() {
    let world = World::new();
    let spec = world.spec("c", &["sh", "-c", "exit 4"]);
    let exit = world.run(&spec);
    let later = runtime::Runtime::new(world.directory.path().join("run"), common::binaries()).expect("runtime");
    let target = Target::Container(&spec.id);
    assert_eq!(later.status(target).expect("known"), Status::Exited(exit.clone()));
    let watch = later.watch(target).expect("watched");
    let _ = watch.as_fd();
    assert_eq!(watch.wait().expect("long ago"), exit);
    assert_eq!(later.list().expect("listed"), [spec.id]);
}

#[test]
fn a_monitor_is_small() {
    let world = World::new();
    let started = world.start(&world.spec("c", &["sleep", "1000"]));
    let monitor = monitor_of(started.pid);
    // It is the monitor once the caller has been told and the shim has become it: it answers then.
    drop(world.runtime.attach(Target::Container(&id("c")), runtime::protocol::Streams::default()).expect("answers"));
    let status = fs::read_to_string(format!("/proc/{monitor}/status")).expect("it runs");
    assert!(status.contains("Name:\tberth-monitor"), "{status}");
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).expect("a size");
    let kibibytes: u64 = resident.trim().parse().expect("a number");
    assert!(kibibytes < 4096, "{kibibytes} KiB resident");
}

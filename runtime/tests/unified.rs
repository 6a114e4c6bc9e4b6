//! The same on a machine whose only cgroup hierarchy is v2, which a mount namespace makes of one where v1 is there too.
//! What only controllers can do is not in here: they may all belong to v1.

mod common;

use std::fs;
use std::process::Command;

use common::{World, id, script};
use nix::sys::signal::Signal;
use runtime::spec::{Namespaces, OwnOrHost};
use runtime::{ContainerSpec, Status, Target};

#[test]
fn containers_live_in_a_hierarchy_of_v2_alone() {
    let program = std::env::current_exe().expect("this program");
    let script = "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(program)
        .args(["inside::", "--ignored", "--nocapture"])
        .output()
        .expect("unshare, from Debian's package util-linux");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("3 passed"), "{said}");
}

mod inside {
    use super::*;

    #[test]
    #[ignore = "the test above runs it in a mount namespace"]
    fn a_container_sees_its_own_cgroup_and_no_foreign_device() {
        let world = World::new();
        let text = "grep ^0: /proc/self/cgroup; grep -c . /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x 2>&1; \
                    cat /dev/null && busybox mknod /tmp/mem c 1 1 && cat /tmp/mem 2>&1";
        let mut spec = world.spec("c", &["sh", "-c", text]);
        spec.namespaces = Namespaces { cgroup: OwnOrHost::Own, ..Namespaces::default() };
        let (output, code) = world.output(spec);
        let expected = "0::/\n2\nmkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system\n\
                        cat: can't open '/tmp/mem': Operation not permitted\n";
        assert_eq!((output.as_str(), code), (expected, 1));
    }

    #[test]
    #[ignore = "the test above runs it in a mount namespace"]
    fn it_is_frozen_thawed_listed_and_killed() {
        let world = World::new();
        let spec = world.spec("c", &["sleep", "1000"]);
        let started = world.start(&spec);
        let target = Target::Container(&spec.id);
        let (output, _) = world.exec("c", "e", script("grep ^0: /proc/self/cgroup"));
        assert_eq!(output, format!("0::{}/c\n", world.cgroup_parent.display()));
        assert_eq!(world.runtime.pids(&spec.id).expect("listed"), [started.pid]);
        world.runtime.pause(&spec.id).expect("frozen");
        assert_eq!(world.runtime.status(target).expect("known"), Status::Paused(started));
        world.runtime.resume(&spec.id).expect("thawed");
        assert_eq!(world.runtime.status(target).expect("known"), Status::Running(started));
        assert!(world.runtime.stats(&spec.id).expect("read").cpu.total_nanoseconds > 0);
        world.runtime.pause(&spec.id).expect("frozen");
        world.runtime.delete(target).expect("a frozen one is killed too");
        assert_eq!(world.runtime.status(target).expect("known"), Status::Gone);
        world.assert_no_cgroup("c");
    }

    #[test]
    #[ignore = "the test above runs it in a mount namespace"]
    fn cgroups_that_it_makes_end_with_it() {
        let world = World::new();
        let text = "cd /sys/fs/cgroup && mkdir threads && echo threaded > threads/cgroup.type && { sleep 1000 & } && \
                    echo $! > threads/cgroup.threads && : > /tmp/ready && exec sleep 1000";
        let spec = ContainerSpec { privileged: true, ..world.spec("c", &["sh", "-c", text]) };
        world.start(&spec);
        let ready = spec.rootfs.upper.join("tmp/ready");
        common::until("its cgroup", || {
            assert!(matches!(world.runtime.status(Target::Container(&id("c"))), Ok(Status::Running(_))));
            ready.exists()
        });
        assert!(fs::read_to_string(world.cgroup("", "c").join("threads/cgroup.procs")).is_err(), "it is threaded");
        assert_eq!(world.runtime.pids(&spec.id).expect("listed").len(), 2);
        world.runtime.signal(Target::Container(&spec.id), Signal::SIGTERM as i32, true).expect("sent to all");
        world.runtime.delete(Target::Container(&spec.id)).expect("deleted");
        world.assert_no_cgroup("c");
    }
}

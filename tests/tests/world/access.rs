//! Who may talk to the daemons, and what those who can't are told.

use berth_tests::World;

#[test]
fn without_the_group_sockets_are_roots() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    for socket in ["berth.sock", "netd.sock"] {
        assert_eq!(host.sh(&format!("stat -c '%a %U' /run/berth/{socket}")).ok(), "600 root");
    }
}

#[test]
fn the_group_may_do_everything() {
    let mut world = World::new();
    let mut host = world.host();
    // A group and two users of this host only.
    let files = host.directory().join("etc");
    std::fs::create_dir(&files).expect("a directory");
    host.sh(&format!(
        "cp /etc/group {0}/group && cp /etc/passwd {0}/passwd && echo 'berth:x:7777:insider' >> {0}/group && \
         printf 'insider:x:7001:7001::/:/bin/sh\\noutsider:x:7002:7002::/:/bin/sh\\n' >> {0}/passwd && \
         mount --bind {0}/group /etc/group && mount --bind {0}/passwd /etc/passwd",
        files.display()
    ))
    .ok();
    host.start();
    for socket in ["berth.sock", "netd.sock"] {
        assert_eq!(host.sh(&format!("stat -c '%a %U %g' /run/berth/{socket}")).ok(), "660 root 7777");
    }
    // Copied to where other users may read it.
    let berth = "/run/berth-client";
    host.sh(&format!("cp {} {berth} && chmod 755 {berth}", berth_tests::world::binary("berth").display())).ok();
    let as_user = |user: u32, groups: &str, command: &str| {
        host.sh(&format!("setpriv --reuid {user} --regid {user} {groups} -- sh -c '{command}'"))
    };
    let run = format!("{berth} run --rm busybox echo hello && {berth} net create mine && {berth} net rm mine");
    assert_eq!(as_user(7001, "--groups 7777", &run).ok().lines().next(), Some("hello"));
    for command in [format!("{berth} ps"), format!("{berth} net ls")] {
        let said = as_user(7002, "--clear-groups", &command);
        assert_ne!(said.code, 0);
        assert!(said.stderr.contains("denied") && said.stderr.contains("group"), "{said:?}");
    }
}

#[test]
fn a_daemon_that_is_not_running() {
    let mut world = World::new();
    let host = world.host();
    for command in [["ps", "-a"], ["net", "ls"]] {
        let said = host.berth(&command).fails_with(1);
        assert!(said.contains("/run/berth/") && said.contains("start"), "{said}");
    }
}

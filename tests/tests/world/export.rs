//! `export`, and back by `import`.

use berth_tests::World;

#[test]
fn a_file_system_out_and_in_again() {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    let script = "echo mine > /root/file; ln /root/file /root/hard; ln -s file /root/soft; chown 7:8 /root/file; \
        chmod 4711 /root/file; mkfifo /root/pipe; mknod /root/null c 1 3; echo memory > /memory/file; echo ready; exec sleep 1000";
    let run = ["run", "-d", "--name", "cc", "--tmpfs", "/memory", "busybox", "sh", "-c", script];
    host.docker(&run).ok();
    host.wait_for_log("cc", "ready");
    let archive = |name: &str| host.directory().join(name).to_string_lossy().into_owned();
    host.docker(&["export", "-o", &archive("running.tar"), "cc"]).ok();
    host.berth(&["export", "-o", &archive("by-berth.tar"), "cc"]).ok();
    host.docker(&["kill", "cc"]).ok();
    host.docker(&["wait", "cc"]).ok();
    host.docker(&["export", "-o", &archive("stopped.tar"), "cc"]).ok();
    host.sh(&format!(
        "cmp {0} {1} && cmp {0} {2}",
        archive("running.tar"),
        archive("by-berth.tar"),
        archive("stopped.tar")
    ))
    .ok();
    let listed = host.sh(&format!("tar -tvf {} --numeric-owner", archive("stopped.tar"))).ok();
    for expected in ["-rws--x--x 7/8", "root/hard", "root/soft -> file", "prw", "1,3", "memory/", "etc/hosts"] {
        assert!(listed.contains(expected), "{expected}: {listed}");
    }
    assert!(!listed.contains("memory/file"), "what is mounted stays out: {listed}");
    host.docker(&["import", &archive("stopped.tar"), "flat:1"]).ok();
    let look = "stat -c '%a %u %g %h' /root/file; cat /root/soft; [ -p /root/pipe ]; [ -c /root/null ]";
    let said = host.docker(&["run", "--rm", "flat:1", "sh", "-c", look]).ok();
    assert_eq!(said, "4711 7 8 2\nmine");
    let refusal = host.terminal(&format!("{} export cc", berth_tests::world::binary("berth").display())).end();
    assert!(refusal.stdout.contains("standard output is a terminal"), "{refusal:?}");
}

//! The API's socket outlives the daemon: what has it mounted goes on asking.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};

use berth_tests::daemon::{Daemon, Ready, stop, wait_for_end};
use berth_tests::{Host, Outcome, World, started, world::binary};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where a container has the socket, as seen from its host.
fn mounted_in(host: &Host, container: &str) -> String {
    let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", container]).ok();
    let pid = host.sh(&format!("echo /proc/{pid}/root/run/api.sock")).ok();
    assert_eq!(host.http(&pid, "GET", "/_ping", None), (200, "OK".to_owned()));
    pid
}

/// A request that is on its way.
fn asking(host: &Host, socket: &str, path: &str) -> Child {
    let mut curl = host.command("curl");
    curl.args(["-sS", "--unix-socket", socket, &format!("http://localhost{path}")]);
    curl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("curl")
}

fn answer(request: Child) -> String {
    let output = request.wait_with_output().expect("curl");
    Outcome::from_output("curl".to_owned(), &output).ok()
}

/// The keepers that hold the API's listener; another holds namespaces.
fn listener_keepers(host: &Host) -> Vec<i32> {
    let mut keepers = host.processes("netd-keeper");
    keepers.retain(|pid| {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        command.is_ok_and(|command| !command.contains("namespaces"))
    });
    keepers
}

#[test]
fn a_container_that_has_the_socket_goes_on_whatever_becomes_of_the_daemon() {
    let (_world, mut host) = started();
    host.docker(&[
        "run",
        "-d",
        "--name",
        "agent",
        "-v",
        "/run/berth/berth.sock:/run/api.sock",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let mounted = mounted_in(&host, "agent");
    let inode = || host_inode(&mounted, &host);
    let before = inode();

    // Killed, or told to stop: who asks meanwhile waits for the next one.
    host.kill_berthd();
    let request = asking(&host, &mounted, "/_ping");
    host.start_berthd();
    assert_eq!(answer(request), "OK");
    stop(host.processes("berthd")[0]);
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(host.http(&mounted, "GET", "/_ping", None), (200, "OK".to_owned()));
    assert_eq!(host_inode("/run/berth/berth.sock", &host), before);

    // The holder is small, and one that is ended is replaced.
    assert_eq!(listener_keepers(&host).len(), 1);
    host.kill("netd-keeper");
    host.wait_for_daemon_log("berthd", "another holds the API's socket");
    host.kill_berthd();
    host.start_berthd();
    assert_eq!(host.http(&mounted, "GET", "/_ping", None), (200, "OK".to_owned()));

    // A second berthd is refused by name, though the socket answers to everybody.
    let second = host.sh(&format!("{} --root /var/lib/berth --run-dir /run/berth", binary("berthd").display()));
    let said = second.fails_with(1);
    assert!(said.contains("another daemon serves /run/berth/berth.sock already; stop it"), "{said}");

    // Somebody removed the socket: the next berthd makes another, and that one is held.
    host.kill_berthd();
    host.sh("rm /run/berth/berth.sock").ok();
    for _ in 0..2 {
        host.start_berthd();
        host.docker(&["ps"]).ok();
        host.kill_berthd();
    }
    // Nobody could reach the holder any more: it ends.
    wait_for_end(listener_keepers(&host)[0], |_| drop(host.sh("rm /run/berth/keeper.sock").ok()));
}

fn host_inode(path: &str, host: &Host) -> String {
    host.sh(&format!("stat -L -c %i {path}")).ok()
}

/// Starts a daemon as a service manager does, with its socket handed in.
fn activated(host: &Host, listener: &UnixListener, program: &str, flags: &str) -> Child {
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {} --root /var/lib/berth --run-dir /run/berth {flags}",
        binary(program).display()
    );
    let listener = listener.try_clone().expect("a socket");
    let log = std::fs::File::options().create(true).append(true).open(host.directory().join(format!("{program}.log")));
    let mut command = host.command("sh");
    command.args(["-c", &script]).stdin(std::os::fd::OwnedFd::from(listener)).stderr(log.expect("a log"));
    command.spawn().expect("a daemon")
}

#[test]
fn sockets_are_handed_in_and_netd_is_left_to_who_starts_it() {
    let mut world = World::new();
    let host = world.host();
    // As seen from here; the directory is the host's /run.
    let run = host.directory().join("run/berth");
    std::fs::create_dir_all(&run).expect("a directory");
    let netd_socket = UnixListener::bind(run.join("netd.sock")).expect("a socket");
    let api = UnixListener::bind(run.join("berth.sock")).expect("a socket");
    let inodes = || host.sh("stat -c %i /run/berth/netd.sock /run/berth/berth.sock").ok();
    let before = inodes();
    let flags = format!("--start-netd=false --cgroup-parent /{}", host.cgroup_parent());

    // berthd first: it waits for netd.
    let mut berthd = activated(&host, &api, "berthd", &flags);
    let request = asking(&host, "/run/berth/berth.sock", "/networks");
    let mut netd = activated(&host, &netd_socket, "netd", "");
    assert!(answer(request).contains("\"bridge\""));

    // netd is away: nobody else starts one, and who needs it waits.
    host.kill("netd");
    let _ = netd.wait();
    let request = asking(&host, "/run/berth/berth.sock", "/networks");
    assert_eq!(host.http("/run/berth/berth.sock", "GET", "/_ping", None).0, 200);
    assert_eq!(host.processes("netd"), Vec::<i32>::new());
    let mut netd = activated(&host, &netd_socket, "netd", "");
    assert!(answer(request).contains("\"bridge\""));

    // Told to stop, neither takes its socket away, and nobody else needs to hold it.
    for program in ["berthd", "netd"] {
        stop(host.processes(program)[0]);
    }
    assert!(netd.wait().expect("netd").success() && berthd.wait().expect("berthd").success(), "{}", host.logs());
    assert_eq!(inodes(), before);
    assert_eq!(host.processes("netd-keeper"), Vec::<i32>::new());
}

#[test]
fn a_hangup_ends_neither_daemon_and_no_container() {
    let (_world, host) = started();
    host.docker(&["run", "-d", "-i", "--name", "cat", "busybox", "cat"]).ok();
    host.signal("berth-monitor", Signal::SIGHUP);
    let mut attached = host.docker_command();
    let attached = attached.args(["attach", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut attached = attached.spawn().expect("docker");
    write!(attached.stdin.as_ref().expect("a pipe"), "it runs").expect("written");
    let mut said = [0; 7];
    attached.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("it is there");
    assert_eq!(&said, b"it runs");
    host.docker(&["rm", "-f", "cat"]).ok();
    attached.wait().expect("it ends with the container");
    for program in ["berthd", "netd"] {
        let pid = host.processes(program)[0];
        kill(Pid::from_raw(pid), Signal::SIGHUP).expect("it runs");
        host.wait_for_daemon_log(program, "SIGHUP: ");
        assert_eq!(host.processes(program), [pid]);
    }
    host.docker(&["network", "ls"]).ok();
}

#[test]
fn the_socket_is_the_same_by_another_name_and_one_that_nobody_serves_is_no_daemon() {
    let mut world = World::new();
    let mut host = world.host();
    host.start_netd();
    host.sh("ln -s /run/berth /run/alias").ok();
    let serve = |run_directory: &str, socket: &str| {
        let mut command = host.command(binary("berthd").to_str().expect("a path"));
        command.args([
            "--root",
            "/var/lib/berth",
            "--netd-socket",
            "/run/berth/netd.sock",
            "--run-dir",
            run_directory,
            "--socket",
            socket,
        ]);
        let ready = Ready::new(&host.directory().join("berthd.ready"));
        let daemon = Daemon::start(command, &host.directory().join("berthd.log"), ready);
        assert_eq!(host.http(socket, "GET", "/_ping", None), (200, "OK".to_owned()));
        daemon
    };
    serve("/run/berth", "/run/alias/berth.sock").kill();
    let inode = host_inode("/run/berth/berth.sock", &host);
    serve("/run/berth", "/run/berth/berth.sock").kill();
    assert_eq!(host_inode("/run/berth/berth.sock", &host), inode, "the other name is of the same");
    // It is held in another run directory, and nobody serves it.
    serve("/run/other", "/run/berth/berth.sock").kill();
    // What isn't served any more isn't held.
    let daemon = serve("/run/other", "/run/elsewhere.sock");
    let refused = host.sh("curl -sS --unix-socket /run/berth/berth.sock http://localhost/_ping").fails_with(7);
    assert!(refused.contains("onnect"), "{refused}");
    daemon.kill();
}

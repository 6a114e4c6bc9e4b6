//! Another container host beside berth, Docker's own daemon: its containers keep their network, whoever was started first.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Stdio},
};

use berth_tests::{
    Host, Outcome, World,
    daemon::{Daemon, Ready},
    image,
    world::binary,
};

const PAGE: &str = "Hello from berth";

/// Docker's daemon on a host. It ends with the host, as do its containers and their cgroups.
struct Docker {
    _daemon: Daemon,
}

impl Docker {
    fn start(host: &Host) -> Self {
        let program = binary("docker-engine/usr/sbin/dockerd");
        let programs = program.ancestors().nth(2).expect("what Debian's package brings").display();
        let ready = Ready::new(&host.directory().join("dockerd.ready"));
        let mut command = host.command("env");
        command.arg(format!("PATH={programs}/sbin:{programs}/bin:/usr/sbin:/usr/bin:/sbin:/bin")).arg(&program);
        command.args(["-H", "unix:///run/docker.sock", "--storage-driver", "vfs", "--cgroup-parent"]);
        command.arg(format!("/{}/docker", host.cgroup_parent()));
        let daemon = Daemon::start(command, &host.directory().join("dockerd.log"), ready);
        Outcome::of(Self::client(host).args(["import", &image::busybox().to_string_lossy(), "busybox"])).ok();
        Self { _daemon: daemon }
    }

    fn client(host: &Host) -> Command {
        let mut client = host.command("docker");
        client.args(["-H", "unix:///run/docker.sock"]);
        client
    }

    /// A container of Docker's, new or one to enter, reaches the wire.
    fn reaches_the_wire(host: &Host, neighbour: &Host, container: &[&str]) {
        let greeting = greet(neighbour.listen(9000));
        let script = format!("echo | nc -w 5 {} 9000", neighbour.address());
        let out = Outcome::of(Self::client(host).args(container).args(["sh", "-c", &script]));
        assert_eq!(out.ok(), "greetings", "from a container of Docker's to the wire");
        greeting.join().expect("a guest");
    }

    /// A container of Docker's reaches the wire, and the wire what it publishes.
    fn has_its_network(&self, host: &Host, neighbour: &Host) {
        Self::reaches_the_wire(host, neighbour, &["run", "--rm", "busybox"]);
        let serve = "httpd -p 80 -h /var/www && echo listening && exec sleep 1000";
        let run = ["run", "-d", "--name", "web", "-p", "5000:80", "busybox", "sh", "-c", serve];
        Outcome::of(Self::client(host).args(run)).ok();
        let mut logs = Self::client(host);
        let mut logs = logs.args(["logs", "-f", "web"]).stdout(Stdio::piped()).spawn().expect("the docker client");
        let mut line = String::new();
        BufReader::new(logs.stdout.take().expect("a pipe")).read_line(&mut line).expect("its word");
        assert_eq!(line, "listening\n");
        assert_eq!(neighbour.fetch(&format!("http://{}:5000", host.address())).ok(), PAGE);
        Outcome::of(Self::client(host).args(["rm", "-f", "web"])).ok();
        logs.wait().expect("the log's end");
    }
}

/// Says one thing to the first who comes.
fn greet(listener: TcpListener) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut guest, _) = listener.accept().expect("a guest");
        guest.write_all(b"greetings\n").expect("a guest who listens");
    })
}

#[test]
fn docker_started_after_berth_keeps_its_network() {
    let mut world = World::new();
    let (mut host, neighbour) = (world.host(), world.host());
    host.start();
    let guarded = host.sh("nft list set inet berth guarded").ok();
    assert!(guarded.contains("ipv4"), "netd switched forwarding on: {guarded}");
    host.serve("web", &["-p", "4000:80"]);
    let docker = Docker::start(&host);
    docker.has_its_network(&host, &neighbour);
    Outcome::of(Docker::client(&host).args(["run", "-d", "--name", "steady", "busybox", "sleep", "1000"])).ok();
    // netd comes back to a host on which both are: berthd starts another, that hears of no link of Docker's.
    host.kill_netd();
    host.docker(&["network", "ls"]).ok();
    Docker::reaches_the_wire(&host, &neighbour, &["exec", "steady"]);
    docker.has_its_network(&host, &neighbour);
    assert_eq!(neighbour.fetch(&format!("http://{}:4000", host.address())).ok(), PAGE);
    let greeting = greet(neighbour.listen(9001));
    let script = format!("echo | nc -w 5 {} 9001", neighbour.address());
    assert_eq!(host.docker(&["exec", "web", "sh", "-c", &script]).ok(), "greetings");
    greeting.join().expect("a guest");
}

#[test]
fn docker_started_before_berth_keeps_its_network() {
    let mut world = World::new();
    let (mut host, neighbour) = (world.host(), world.host());
    let docker = Docker::start(&host);
    docker.has_its_network(&host, &neighbour);
    host.start();
    docker.has_its_network(&host, &neighbour);
}

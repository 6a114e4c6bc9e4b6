//! Figures about many containers, networks and clients: what one costs beside hundreds, and what goes together.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use berth_tests::{Host, started, world::binary};

use super::{Figure, WARM_UP, Yardsticks, client, median, resident_mib, run};

/// So many start at a time.
const SIDE_BY_SIDE: usize = 8;
const NETWORKS: usize = 300;
const HALF_REQUESTS: usize = 4000;
/// How often it is a host's turn where two are compared.
const TURNS: usize = 60;
/// Daemons that take longer fail.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure(host: &mut Host, yardsticks: &Yardsticks, containers: usize) -> Vec<Figure> {
    let mounts = |host: &Host| host.sh("grep -c . /proc/self/mountinfo").ok().parse().unwrap_or(f64::NAN);
    let mounts_before = mounts(host);
    start(host, containers);
    let (among, mounts_after) = (among_over_alone(host), mounts(host));
    let (answers, known) = kill_and_start(host, containers);
    let all: Vec<String> = (0..containers).map(name).collect();
    let remove: Vec<&str> = ["rm", "-f"].into_iter().chain(all.iter().map(String::as_str)).collect();
    let removed = seconds(|| run(host, "docker", &remove));
    for number in 0..NETWORKS {
        run(host, "docker", &["network", "create", &format!("bench{number}")]);
    }
    let pruned = seconds(|| run(host, "docker", &["network", "prune", "-f"]));
    let figure = |what, measured, unit, mark| Figure { what, measured, unit, mark: Some(mark), docker: None };
    vec![
        figure("run --rm among many, over one alone", among, "×", 1.15),
        figure("mounts of the host's for a container", (mounts_after - mounts_before) / containers as f64, "", 1.0),
        figure("both daemons killed, many run: answers", answers, "s", yardsticks.clients(18.75) / 1e3),
        figure("the same: all are known", known, "s", yardsticks.clients(62.5) / 1e3),
        figure("rm -f of many", removed, "s", yardsticks.clients(125.0) / 1e3),
        figure("network prune of 300", pruned, "s", yardsticks.clients(125.0) / 1e3),
        figure("berthd, 4,000 half requests later: more", left_by_half_requests(host, "berthd"), "MiB", 8.0),
        figure("netd, 4,000 half requests later: more", left_by_half_requests(host, "netd"), "MiB", 8.0),
    ]
}

/// How much longer `run` takes than on a host that has no other containers: in turns, since a machine has quick and slow minutes.
fn among_over_alone(host: &Host) -> f64 {
    let (_world, alone) = started();
    let mut samples = [Vec::new(), Vec::new()];
    for round in 0..WARM_UP + TURNS {
        for (host, samples) in [host, &alone].into_iter().zip(&mut samples) {
            let took = seconds(|| run(host, "berth", &["run", "--rm", "busybox", "true"]));
            if round >= WARM_UP {
                samples.push(took);
            }
        }
    }
    let [among, alone] = samples.map(median);
    among / alone
}

fn name(number: usize) -> String {
    format!("bench{number}")
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn start(host: &Host, containers: usize) {
    let numbers: Vec<usize> = (0..containers).collect();
    for together in numbers.chunks(SIDE_BY_SIDE) {
        let start = |number: &usize| {
            let arguments = ["run", "-d", "--name", &name(*number), "busybox", "sleep", "100000"];
            client(host, "berth").args(arguments).spawn().expect("berth")
        };
        let clients: Vec<_> = together.iter().map(start).collect();
        for mut client in clients {
            assert!(client.wait().expect("berth").success(), "{}", host.logs());
        }
    }
}

/// How long until new daemons answer, and until they know all containers, in seconds.
fn kill_and_start(host: &mut Host, containers: usize) -> (f64, f64) {
    host.kill_berthd();
    host.kill_netd();
    let start = Instant::now();
    let parent = format!("/{}", host.cgroup_parent());
    for (program, more) in [("netd", &[][..]), ("berthd", &["--cgroup-parent", &parent])] {
        let mut daemon = host.command(&binary(program).display().to_string());
        daemon.args(["--root", "/var/lib/berth", "--run-dir", "/run/berth"]).args(more);
        // It ends with the host.
        let log = std::fs::File::options().append(true).open(host.directory().join(format!("{program}.log")));
        drop(daemon.stdout(Stdio::null()).stderr(log.expect("a log")).spawn().expect("a daemon"));
    }
    let socket = host.directory().join("run/berth/berth.sock");
    until(|| get(&socket, "/_ping").is_some_and(|reply| reply.ends_with("OK")));
    let answers = start.elapsed().as_secs_f64();
    until(|| get(&socket, "/containers/json").is_some_and(|reply| reply.matches("\"Id\":").count() == containers));
    (answers, start.elapsed().as_secs_f64())
}

fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "the daemons don't answer");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The reply, without a client that would be measured too.
fn get(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}

fn left_by_half_requests(host: &Host, program: &str) -> f64 {
    let socket = host.directory().join("run/berth").join(if program == "netd" { "netd.sock" } else { "berth.sock" });
    let resident = || host.processes(program).first().map_or(f64::NAN, |pid| resident_mib(*pid));
    let idle = resident();
    let half = |_| {
        let mut client = UnixStream::connect(&socket).expect("it listens");
        client.write_all(b"POST /v1/networks HTTP/1.1\r\nHost: half").expect("sent");
        client
    };
    drop((0..HALF_REQUESTS).map(half).collect::<Vec<_>>());
    // A second after they have left, it is given back.
    std::thread::sleep(Duration::from_secs(5));
    resident() - idle
}

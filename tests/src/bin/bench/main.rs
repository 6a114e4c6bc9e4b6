//! Measures the figures that berth promises: medians after a warm-up, on a host made of namespaces.
//!
//! `scripts/bench` builds the release binaries and runs this. Every figure stands beside its mark; machines are noisy,
//! so nothing here passes or fails. And machines differ: a mark of time is so many times what something else takes in the
//! same run, which isn't ours.
#![forbid(unsafe_code)]

mod build;
mod images;
mod many;

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use berth_tests::{Host, World, world::binary};
use clap::{Parser, ValueEnum};
use cnm::api::{EndpointRequest, NamespaceRequest, PortRange, PortRequest, SandboxPut};

const ROUNDS: usize = 20;
const WARM_UP: usize = 3;

/// Above this the figures say more about what else runs here.
const QUIET_LOAD: f64 = 0.5;

/// Prints the figures that berth promises, each beside its mark.
#[derive(Parser)]
#[command(name = "scripts/bench")]
struct Arguments {
    /// Measure one group only
    #[arg(long)]
    only: Option<Group>,
    /// Size of the image that is pulled and loaded
    #[arg(long, value_name = "NUMBER", default_value_t = 300)]
    image_megabytes: usize,
    /// How many containers are many
    #[arg(long, value_name = "NUMBER", default_value_t = 500)]
    containers: usize,
}

/// What marks of time are measured by, in milliseconds.
struct Yardsticks {
    /// `docker --version`: the client alone.
    client: f64,
    /// By plain tools: namespaces, a veth pair, and a program executed in them.
    bare: f64,
}

impl Yardsticks {
    fn measure() -> Self {
        let quietly = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?}");
        };
        let script = "ip link add v type veth peer name w && ip link set v up && exec busybox true";
        let bare = ["--net", "--mount", "--pid", "--fork", "sh", "-c", script];
        Self {
            client: time(|_| quietly("docker", &["--version"]), |_| ()),
            bare: time(|_| quietly("unshare", &bare), |_| ()),
        }
    }

    /// So many bare clients' time.
    fn clients(&self, times: f64) -> f64 {
        times * self.client
    }

    fn figures(&self) -> Vec<Figure> {
        let figure = |what, measured| Figure { what, measured, unit: "ms", mark: None, docker: None };
        vec![
            figure("yardstick: the docker client alone", self.client),
            figure("yardstick: namespaces, veth and exec", self.bare),
        ]
    }
}

/// What belongs together.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    Memory,
    Runs,
    Netd,
    Ports,
    SideBySide,
    Many,
    Images,
    Build,
}

impl Group {
    fn measure(self, host: &mut Host, yardsticks: &Yardsticks, arguments: &Arguments) -> Vec<Figure> {
        match self {
            Self::Memory => idle_memory(host),
            Self::Runs => runs(host, yardsticks),
            Self::Netd => netd_calls(host, yardsticks),
            Self::Ports => port_ranges(host, yardsticks),
            Self::SideBySide => side_by_side(host, yardsticks),
            Self::Many => many::measure(host, yardsticks, arguments.containers),
            Self::Images => images::measure(host, arguments.image_megabytes),
            Self::Build => build::measure(host),
        }
    }
}

/// One line of the result.
struct Figure {
    what: &'static str,
    measured: f64,
    unit: &'static str,
    mark: Option<f64>,
    docker: Option<f64>,
}

impl Figure {
    /// Whether the mark is met, where there is one. What couldn't be measured isn't.
    fn is_met(&self) -> Option<bool> {
        self.mark.map(|mark| self.measured <= mark)
    }

    fn print(&self) {
        let with_unit =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2} {}", self.unit));
        let met = match self.is_met() {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        println!(
            "{:<48} {:>10} {:>10} {met:>5} {:>12}",
            self.what,
            format!("{:.2} {}", self.measured, self.unit),
            with_unit(self.mark),
            with_unit(self.docker)
        );
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The median time of something, in milliseconds, and of what cleans up after it apart.
fn time(mut measured: impl FnMut(usize), mut clean_up: impl FnMut(usize)) -> f64 {
    let mut samples = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        let start = Instant::now();
        measured(round);
        let elapsed = milliseconds(start.elapsed());
        clean_up(round);
        if round >= WARM_UP {
            samples.push(elapsed);
        }
    }
    median(samples)
}

/// A client of the host's engine that runs outside of its namespaces: entering them would be measured, too.
fn client(host: &Host, program: &str) -> Command {
    let socket = format!("unix://{}", host.directory().join("run/berth/berth.sock").display());
    let mut command = if program == "berth" { Command::new(binary("berth")) } else { Command::new(program) };
    command.env("DOCKER_HOST", &socket).env("BERTH_HOST", &socket).env("DOCKER_CONFIG", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn run(host: &Host, program: &str, arguments: &[&str]) {
    let status = client(host, program).args(arguments).status().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {arguments:?}: {status}\n{}", host.logs());
}

fn runs(host: &Host, yardsticks: &Yardsticks) -> Vec<Figure> {
    let one = |program: &str, flags: &[&str]| {
        let arguments: Vec<_> = ["run", "--rm"].iter().chain(flags).chain(&["busybox", "true"]).copied().collect();
        time(|_| run(host, program, &arguments), |_| ())
    };
    vec![
        Figure {
            what: "docker run --rm busybox true",
            measured: one("docker", &[]),
            unit: "ms",
            mark: Some(yardsticks.clients(3.1)),
            docker: Some(230.0),
        },
        Figure {
            what: "berth run --rm busybox true",
            measured: one("berth", &[]),
            unit: "ms",
            mark: Some(yardsticks.clients(2.2)),
            docker: None,
        },
        Figure {
            what: "docker run --rm --network none busybox true",
            measured: one("docker", &["--network", "none"]),
            unit: "ms",
            mark: Some(yardsticks.clients(2.8)),
            docker: Some(160.0),
        },
    ]
}

fn netd_calls(host: &Host, yardsticks: &Yardsticks) -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = netd_client::Client::connect(host.directory().join("run/berth/netd.sock")).of_owner("bench");
    let request = SandboxPut {
        owner: "bench".to_owned(),
        name: "bench".to_owned(),
        labels: Default::default(),
        namespace: NamespaceRequest::New,
        endpoints: vec![EndpointRequest { network: "bridge".to_owned(), ..Default::default() }],
        ports: vec![PortRequest {
            protocol: "tcp".to_owned(),
            host_ip: None,
            host_ports: Some(PortRange { first: 4000, last: 4000 }),
            container_ports: PortRange { first: 80, last: 80 },
        }],
    };
    let put = || drop(runtime.block_on(client.put_sandbox("bench", &request)).expect("a sandbox"));
    let remove = || runtime.block_on(client.remove_sandbox("bench")).expect("its removal");
    vec![
        Figure {
            what: "netd: sandbox, endpoint, one port",
            measured: time(|_| put(), |_| remove()),
            unit: "ms",
            mark: Some(0.3 * yardsticks.bare),
            docker: None,
        },
        Figure {
            what: "netd: its removal",
            measured: {
                let mut samples = Vec::new();
                for _ in 0..ROUNDS {
                    put();
                    let start = Instant::now();
                    remove();
                    samples.push(milliseconds(start.elapsed()));
                }
                median(samples)
            },
            unit: "ms",
            mark: Some(0.1 * yardsticks.bare),
            docker: None,
        },
    ]
}

fn port_ranges(host: &Host, yardsticks: &Yardsticks) -> Vec<Figure> {
    let detached = |ports: &str| {
        let arguments = ["run", "-d", "--name", "ports", "-p", ports, "busybox", "sleep", "1000"];
        time(|_| run(host, "docker", &arguments), |_| run(host, "docker", &["rm", "-f", "ports"]))
    };
    let (one, range) = (detached("6000:6000"), detached("6000-6200:6000-6200"));
    vec![
        Figure { what: "docker run -d -p 6000:6000", measured: one, unit: "ms", mark: None, docker: None },
        Figure {
            what: "201 ports more than one",
            measured: range - one,
            unit: "ms",
            mark: Some(yardsticks.clients(0.3)),
            docker: Some(12_500.0),
        },
    ]
}

fn side_by_side(host: &Host, yardsticks: &Yardsticks) -> Vec<Figure> {
    let start_all = || {
        let start = |number: usize| -> Child {
            let (name, port) = (format!("many{number}"), format!("{}:80", 7100 + number));
            client(host, "docker")
                .args(["run", "-d", "--name", &name, "-p", &port, "busybox", "sleep", "1000"])
                .spawn()
                .expect("docker")
        };
        let children: Vec<_> = (0..20).map(start).collect();
        for mut child in children {
            assert!(child.wait().expect("docker").success(), "{}", host.logs());
        }
    };
    let names: Vec<_> = (0..20).map(|number| format!("many{number}")).collect();
    let remove_all = || {
        let arguments: Vec<_> = ["rm", "-f"].into_iter().chain(names.iter().map(String::as_str)).collect();
        run(host, "docker", &arguments);
    };
    let mut samples = Vec::new();
    for round in 0..=ROUNDS {
        let start = Instant::now();
        start_all();
        if round > 0 {
            samples.push(start.elapsed().as_secs_f64());
        }
        if round < ROUNDS {
            remove_all();
        }
    }
    let resident = |name: &str| host.processes(name).iter().map(|pid| resident_mib(*pid)).collect::<Vec<_>>();
    let shims = resident("berth-monitor");
    let all = shims.iter().chain(&resident("netd")).chain(&resident("berthd")).sum();
    let figures = vec![
        Figure {
            what: "20 containers with a port each, side by side",
            measured: median(samples),
            unit: "s",
            mark: Some(yardsticks.clients(44.0) / 1e3),
            docker: Some(1.8),
        },
        Figure {
            what: "memory: a container's monitor",
            measured: median(shims),
            unit: "MiB",
            mark: Some(4.0),
            docker: None,
        },
        Figure {
            what: "memory: everything with 20 containers",
            measured: all,
            unit: "MiB",
            mark: Some(130.0),
            docker: Some(690.0),
        },
    ];
    remove_all();
    figures
}

fn idle_memory(host: &Host) -> Vec<Figure> {
    let resident = |name| host.processes(name).first().map_or(f64::NAN, |pid| resident_mib(*pid));
    vec![
        Figure { what: "memory: netd idle", measured: resident("netd"), unit: "MiB", mark: Some(12.0), docker: None },
        Figure {
            what: "memory: berthd idle",
            measured: resident("berthd"),
            unit: "MiB",
            mark: Some(30.0),
            docker: None,
        },
    ]
}

fn resident_mib(pid: i32) -> f64 {
    memory_mib(pid, "VmRSS:")
}

fn peak_resident_mib(pid: i32) -> f64 {
    memory_mib(pid, "VmHWM:")
}

fn memory_mib(pid: i32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

/// Where the time of a run goes, from what the daemons log; steps that overlap are both counted.
fn print_steps(host: &mut Host) {
    host.tell_steps().start();
    for _ in 0..ROUNDS {
        run(host, "berth", &["run", "--rm", "busybox", "true"]);
    }
    let mut steps: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, milliseconds) in host.logs().lines().flat_map(steps_in) {
        steps.entry(name).or_default().push(milliseconds);
    }
    println!("\nwhere the time of `berth run --rm busybox true` goes, in ms");
    for (name, samples) in steps {
        println!("{name:<48} {:>10.2}", median(samples));
    }
}

/// The steps that a line of a daemon's log tells of: a span of berthd's that closes, or the timing of a netd request.
fn steps_in(line: &str) -> Vec<(String, f64)> {
    if let Some((spans, times)) = line.split_once(": close time.busy=") {
        let name = spans.rsplit_once('{').and_then(|(before, _)| before.rsplit([':', ' ']).next());
        let total = times.split(" time.idle=").filter_map(duration_ms).sum();
        return name.map(|name| (format!("berthd: {name}"), total)).into_iter().collect();
    }
    let request = ["PUT", "DELETE"].into_iter().find(|method| line.contains(&format!("method={method} ")));
    let (Some(method), Some((_, timing))) = (request, line.split_once("timing=")) else { return Vec::new() };
    let steps = timing.split(',').filter_map(|step| step.trim().split_once(";dur="));
    steps.filter_map(|(name, dur)| Some((format!("netd: {method} sandbox: {name}"), dur.parse().ok()?))).collect()
}

/// `1.2ms`, as tracing writes durations, in milliseconds.
fn duration_ms(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let milliseconds = match &text[digits.len()..] {
        "ns" => 1e-6,
        "µs" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * milliseconds)
}

/// How many processes wanted a processor during the last minute, on average (proc_loadavg(5)).
fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

fn main() {
    let arguments = Arguments::parse();
    let only = arguments.only;
    let load = load_average();
    if load > QUIET_LOAD {
        println!("this machine is busy (load average {load:.2}, a build just now counts): quiet, it is faster\n");
    }
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    println!("{:<48} {:>10} {:>10} {:>5} {:>12}", "what", "measured", "at most", "met", "Docker 29");
    let yardsticks = Yardsticks::measure();
    let mut figures = yardsticks.figures();
    figures.iter().for_each(Figure::print);
    for group in Group::value_variants().iter().filter(|group| only.is_none_or(|only| only == **group)) {
        for figure in group.measure(&mut host, &yardsticks, &arguments) {
            figure.print();
            figures.push(figure);
        }
    }
    let marks = figures.iter().filter_map(Figure::is_met);
    println!("\n{} of {} marks are met", marks.clone().filter(|met| *met).count(), marks.count());
    if only.is_none_or(|only| only == Group::Runs) {
        print_steps(&mut world.host());
    }
}

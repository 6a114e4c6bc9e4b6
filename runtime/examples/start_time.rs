//! Measures what a container's start, end and removal cost: medians over a number of containers that run busybox's
//! `true`. Takes the directory of the programs, and how many containers (20).
//!
//! cargo build --release -p runtime && cargo run --release -p runtime --example start_time target/release

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime::capabilities::CapabilitySet;
use runtime::seccomp::Seccomp;
use runtime::spec::{Log, Namespaces, Network, Process, Resources, Rootfs, Stdin, UserSpec};
use runtime::{Binaries, ContainerSpec, Runtime, Target, defaults};

const STEPS: [&str; 4] = ["begin", "release to started", "started to ended", "delete"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let programs = PathBuf::from(arguments.next().ok_or("name the directory with berth-shim and berth-monitor")?);
    let count: usize = arguments.next().map_or(Ok(20), |count| count.parse())?;
    // Other work at the same time: what a network takes to be made, in milliseconds.
    let network_time = Duration::from_millis(arguments.next().map_or(Ok(0), |time| time.parse())?);
    let directory = tempfile::tempdir()?;
    let lower = directory.path().join("lower");
    fs::create_dir_all(lower.join("bin"))?;
    fs::copy("/bin/busybox", lower.join("bin/true"))?;
    let runtime = Runtime::new(directory.path().join("run"), Binaries::in_directory(&programs)?)?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
    let network = Network::Namespace(format!("/proc/{}/ns/net", std::process::id()).into());

    let mut times: Vec<[Duration; STEPS.len()]> = Vec::new();
    for number in 0..count + 1 {
        let spec = spec(directory.path(), &lower, number)?;
        let target = Target::Container(&spec.id);
        let mut last = Instant::now();
        let mut lap = || std::mem::replace(&mut last, Instant::now()).elapsed();
        let starting = runtime.start(&spec)?;
        let begin = lap();
        std::thread::sleep(network_time);
        starting.release(&network)?;
        let release = lap();
        runtime.watch(target)?.wait()?;
        let end = lap();
        runtime.delete(target)?;
        times.push([begin, release, end, lap()]);
        // The kernel is quick with moves between cgroups that follow each other closely; a lone start isn't.
        std::thread::sleep(Duration::from_millis(100));
    }
    // The first one warms up.
    times.remove(0);
    for (index, step) in STEPS.iter().enumerate() {
        let mut column: Vec<Duration> = times.iter().map(|row| row[index]).collect();
        column.sort_unstable();
        println!("{step:20} {:6.2} ms (least {:6.2})", millis(column[column.len() / 2]), millis(column[0]));
    }
    fs::remove_dir_all(directory.path())?;
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn spec(directory: &Path, lower: &Path, number: usize) -> Result<ContainerSpec, Box<dyn Error>> {
    let layer = |name: &str| {
        let path = directory.join(format!("{number}-{name}"));
        fs::create_dir(&path).map(|()| path)
    };
    Ok(ContainerSpec {
        id: format!("start-time-{number}").parse()?,
        rootfs: Rootfs { lower: vec![lower.to_owned()], upper: layer("upper")?, work: layer("work")?, readonly: false },
        process: Process {
            args: vec!["/bin/true".to_owned()],
            env: vec!["PATH=/bin".to_owned()],
            cwd: "/".to_owned(),
            user: UserSpec::default(),
            capabilities: CapabilitySet::default_for_containers(),
            no_new_privileges: false,
            seccomp: Seccomp::Default,
            rlimits: Vec::new(),
            terminal: None,
            stdin: Stdin::Closed,
        },
        hostname: "box".to_owned(),
        domainname: String::new(),
        mounts: Vec::new(),
        shm_size_bytes: defaults::SHM_SIZE_BYTES,
        namespaces: Namespaces::default(),
        resources: Resources::default(),
        devices: Vec::new(),
        privileged: false,
        sysctls: Default::default(),
        masked_paths: defaults::masked_paths(false),
        readonly_paths: defaults::readonly_paths(false),
        oom_score_adj: None,
        init: false,
        cgroup_parent: format!("/berth-start-time-{}", std::process::id()).into(),
        log: Log::None,
    })
}

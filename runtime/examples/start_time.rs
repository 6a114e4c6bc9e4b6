//! Measures what a container's start, end and removal cost: medians over a number of containers that run busybox's
//! `true`. Takes the directory of the programs, how many containers (20), and how long the network takes to be made
//! beside the start, in milliseconds (0).
//!
//! cargo build --release -p runtime && cargo run --release -p runtime --example start_time target/release

#[path = "../tests/common/mod.rs"]
mod common;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{World, network};
use runtime::spec::Log;
use runtime::{Binaries, ContainerSpec, Target};

const STEPS: [&str; 4] = ["begin", "release to started", "started to ended", "delete"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let programs = arguments.next().ok_or("name the directory with berth-shim and berth-monitor")?;
    let count: usize = arguments.next().map_or(Ok(20), |count| count.parse())?;
    let network_time = Duration::from_millis(arguments.next().map_or(Ok(0), |time| time.parse())?);
    let world = World::with(Binaries::in_directory(Path::new(&programs))?);
    let network = network();

    let mut times: Vec<[Duration; STEPS.len()]> = Vec::new();
    for number in 0..=count {
        let spec = ContainerSpec { log: Log::None, ..world.spec(&format!("start-time-{number}"), &["true"]) };
        let target = Target::Container(&spec.id);
        let mut last = Instant::now();
        let mut lap = || std::mem::replace(&mut last, Instant::now()).elapsed();
        let starting = world.runtime.start(&spec)?;
        let begin = lap();
        std::thread::sleep(network_time);
        starting.release(&network)?;
        let release = lap();
        world.runtime.watch(target)?.wait()?;
        let end = lap();
        world.runtime.delete(target)?;
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
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

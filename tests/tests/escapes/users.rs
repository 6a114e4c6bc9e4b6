//! Users and groups: who a container's processes are, and what they may ask of the kernel.

mod calls;

use std::fs;

use berth_tests::{Host, Outcome, probe::probe};

/// Builds an image of files that are beside its Dockerfile.
fn build(host: &Host, name: &str, dockerfile: &str, files: &[(&str, &[u8])]) -> Outcome {
    let directory = host.directory().join("lib").join(name);
    fs::create_dir_all(&directory).expect("a context");
    fs::write(directory.join("Dockerfile"), dockerfile).expect("written");
    for (file, content) in files {
        fs::write(directory.join(file), content).expect("written");
    }
    let mut command = host.docker_command();
    command.env("DOCKER_BUILDKIT", "0");
    Outcome::of(command.args(["build", "-q", "--no-cache", "-t", name, &format!("/var/lib/{name}")]))
}

/// An image `probe`, with the program that makes calls.
fn load_probe(host: &Host) {
    let program = fs::read(probe()).expect("the probe");
    build(host, "probe", "FROM busybox\nCOPY --chmod=755 probe /bin/probe\n", &[("probe", &program)]).ok();
}

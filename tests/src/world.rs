//! Hosts on one wire: a switch in a namespace of its own, and a veth pair to each host.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{Outcome, host::Host, host::Namespaces, leftovers};

/// Some hosts wired together; everything of it ends when it is dropped.
#[derive(Debug)]
pub struct World {
    directory: TempDir,
    /// For `/run` of the hosts, which is in memory wherever Linux boots.
    memory: Option<TempDir>,
    switch: Namespaces,
    hosts: u8,
    /// What its directories and cgroups are called.
    name: String,
    /// Says that we live.
    _lock: File,
}

impl World {
    /// A world without hosts yet.
    ///
    /// # Panics
    /// Without root, or where namespaces can't be made: a test that can't run must not pass.
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests make namespaces: run them as root (scripts/test)");
        // Unix socket paths have room for 107 bytes: the directory's path stays short.
        leftovers::remove_once();
        let mut directory = tempfile::Builder::new();
        let directory =
            directory.prefix(leftovers::PREFIX).rand_bytes(6).tempdir_in(leftovers::DISK).expect("a directory");
        let lock = leftovers::hold(directory.path()).expect("a lock");
        let name = directory.path().file_name().expect("a name").to_string_lossy().into_owned();
        let memory = Path::new(leftovers::MEMORY).is_dir().then(|| {
            let memory = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(leftovers::MEMORY);
            memory.expect("a directory in memory")
        });
        let switch = Namespaces::new(None);
        switch.sh("ip link add wire type bridge && ip link set wire up").ok();
        Self { directory, memory, switch, hosts: 0, name, _lock: lock }
    }

    /// A further host on the wire, at 10.99.0.N/24 and fd99::N/64 on `eth0`, without daemons yet.
    pub fn host(&mut self) -> Host {
        self.hosts += 1;
        let number = self.hosts;
        let directory = self.directory.path().join(format!("h{number}"));
        std::fs::create_dir(&directory).expect("a host's directory");
        if let Some(memory) = &self.memory {
            let run = memory.path().join(format!("h{number}"));
            std::fs::create_dir(&run).expect("a host's /run");
            std::os::unix::fs::symlink(&run, directory.join("run")).expect("a host's /run");
        }
        let namespaces = Namespaces::new(Some(&directory));
        let port = format!("port{number}");
        // In the switch's network but among this machine's pids, so that the host's pid means something.
        self.switch
            .network_sh(&format!(
                "ip link add {port} type veth peer name eth0 netns {} && ip link set {port} master wire up",
                namespaces.pid()
            ))
            .ok();
        // Duplicate address detection would keep the IPv6 address tentative for a second.
        namespaces
            .sh(&format!(
                "ip link set lo up && ip link set eth0 up && ip address add 10.99.0.{number}/24 dev eth0 && \
                 ip address add fd99::{number}/64 dev eth0 nodad"
            ))
            .ok();
        Host::new(namespaces, directory, number, format!("{}-{number}", self.name))
    }

    /// Where the world keeps its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A world with one host, whose daemons run and know the image `busybox`.
pub fn started() -> (World, Host) {
    let mut world = World::new();
    let mut host = world.host();
    host.start();
    (world, host)
}

/// A program that the workspace builds, from the target directory that this test was built in.
///
/// # Panics
/// When it isn't there: `scripts/test` builds the workspace before it runs tests.
pub fn binary(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("the test's own path");
    let found = this.ancestors().map(|directory| directory.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} isn't built: run `cargo build --workspace` first, or scripts/test"))
}

/// Runs a shell script on this machine itself: only for reading.
pub fn look(script: &str) -> Outcome {
    Outcome::of(Command::new("sh").arg("-c").arg(script))
}

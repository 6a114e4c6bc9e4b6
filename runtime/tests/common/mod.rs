//! A world for one test or example: a run directory, a cgroup parent and a root filesystem made of busybox, gone when dropped.

#![allow(dead_code, reason = "each file that has this one uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime::capabilities::CapabilitySet;
use runtime::protocol::Streams;
use runtime::seccomp::Seccomp;
use runtime::spec::{Id, Log, Mount, Namespaces, Network, Process, Resources, Rootfs, Stdin, UserSpec};
use runtime::{Binaries, ContainerSpec, ExecSpec, Exit, Runtime, Started, Target, defaults};

/// Debian's package busybox-static has it.
const BUSYBOX: &str = "/bin/busybox";

const APPLETS: &str = "sh true false cat echo sleep id hostname grep head dd seq kill ls mount touch mkdir stty ps wc \
                       yes env pwd test tr usleep nproc chroot unshare readlink tty";

/// Far more than what tests wait for takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) cgroup_parent: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(binaries())
    }

    pub(crate) fn with(binaries: Binaries) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests run containers: run them as root (scripts/test)");
        assert!(Path::new(BUSYBOX).exists(), "{BUSYBOX} isn't there: install Debian's package busybox-static");
        let directory = tempfile::tempdir().expect("temporary directory");
        let root = directory.path().join("lower");
        for name in ["bin", "etc", "proc", "sys", "dev", "tmp", "root"] {
            fs::create_dir_all(root.join(name)).expect("made");
        }
        fs::copy(BUSYBOX, root.join("bin/busybox")).expect("copied");
        for applet in APPLETS.split_whitespace() {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("linked");
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
            .expect("written");
        fs::write(root.join("etc/group"), "root:x:0:\nalice:x:1000:\nwheel:x:10:alice\n").expect("written");
        let runtime = Runtime::new(directory.path().join("run"), binaries).expect("runtime");
        // Its name is nobody else's, whatever pid namespace this is.
        let name = directory.path().file_name().expect("a name").to_string_lossy();
        let cgroup_parent = format!("/berth-test-{}", name.trim_start_matches('.')).into();
        Self { runtime, directory, cgroup_parent }
    }

    /// A container that runs these words.
    pub(crate) fn spec(&self, id: &str, args: &[&str]) -> ContainerSpec {
        let layer = |name: &str| {
            let path = self.directory.path().join(format!("{id}-{name}"));
            fs::create_dir_all(&path).expect("made");
            path
        };
        ContainerSpec {
            id: self::id(id),
            rootfs: Rootfs {
                lower: vec![self.directory.path().join("lower")],
                upper: layer("upper"),
                work: layer("work"),
                readonly: false,
                volatile: false,
            },
            process: process(args),
            hostname: "box".to_owned(),
            domainname: String::new(),
            mounts: Vec::<Mount>::new(),
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
            cgroup_parent: self.cgroup_parent.clone(),
            log: Log::JsonFile {
                path: self.log_path(id),
                max_size_bytes: None,
                max_files: 1,
                compress: false,
                attributes: BTreeMap::new(),
                buffer_bytes: None,
            },
        }
    }

    pub(crate) fn log_path(&self, id: &str) -> PathBuf {
        self.directory.path().join(format!("{id}-json.log"))
    }

    /// What a container has said, as its log has it.
    pub(crate) fn log(&self, id: &str) -> String {
        let text = fs::read_to_string(self.log_path(id)).expect("there is a log");
        text.lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON")["log"].as_str().expect("text").to_owned()
            })
            .collect()
    }

    /// The directory of a container's cgroup, in the hierarchy of that name on v1.
    pub(crate) fn cgroup(&self, hierarchy: &str, id: &str) -> PathBuf {
        let root = Path::new("/sys/fs/cgroup");
        let root = if root.join(hierarchy).is_dir() { root.join(hierarchy) } else { root.to_owned() };
        root.join(self.cgroup_parent.strip_prefix("/").expect("absolute")).join(id)
    }

    pub(crate) fn assert_no_cgroup(&self, id: &str) {
        for hierarchy in ["cpu", "cpuset", "devices", "memory", "pids", "freezer"] {
            let directory = self.cgroup(hierarchy, id);
            assert!(!directory.exists(), "{} is left", directory.display());
        }
    }

    /// Runs a container to its end.
    pub(crate) fn run(&self, spec: &ContainerSpec) -> Exit {
        self.start(spec);
        self.runtime.watch(Target::Container(&spec.id)).expect("watched").wait().expect("ends")
    }

    pub(crate) fn start(&self, spec: &ContainerSpec) -> Started {
        self.try_start(spec).unwrap_or_else(|error| panic!("{} doesn't start: {error}", spec.id))
    }

    /// Starts a container in a network namespace of its own.
    pub(crate) fn try_start(&self, spec: &ContainerSpec) -> runtime::Result<Started> {
        self.runtime.start(spec)?.release(&network())
    }

    /// What a container says that runs a script to its end, with its exit code.
    pub(crate) fn output(&self, spec: ContainerSpec) -> (String, u8) {
        let exit = self.run(&spec);
        assert_eq!(exit.error, None);
        (self.log(spec.id.as_str()), exit.code)
    }

    /// What an exec says, with its exit code.
    pub(crate) fn exec(&self, container: &str, exec: &str, process: Process) -> (String, u8) {
        let (container, exec) = (id(container), id(exec));
        let starting = self.runtime.exec(&container, &ExecSpec { id: exec.clone(), process }).expect("begins");
        let attachment = starting.attach(Streams { stdin: false, stdout: true, stderr: true }).expect("attaches");
        starting.release().expect("starts");
        let output = frames(attachment.into_stream().expect("attached"));
        let target = Target::Exec { container: &container, exec: &exec };
        let exit = self.runtime.watch(target).expect("watched").wait().expect("ends");
        (output.0 + &output.1, exit.code)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for id in self.runtime.list().expect("listed") {
            let deleted = self.runtime.delete(Target::Container(&id));
            assert!(deleted.is_ok() || std::thread::panicking(), "{id} stays: {deleted:?}");
        }
        for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten() {
            let path = hierarchy.path().join(self.cgroup_parent.strip_prefix("/").expect("absolute"));
            fs::remove_dir(path).ok();
        }
        fs::remove_dir(Path::new("/sys/fs/cgroup").join(self.cgroup_parent.strip_prefix("/").expect("absolute"))).ok();
    }
}

/// Waits until something is so that tells nobody when it becomes so.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{PATIENCE:?} went by without {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn id(text: &str) -> Id {
    text.parse().expect("well-formed")
}

pub(crate) fn network() -> Network {
    // Nothing here needs the network, and nothing here may touch the host's: a namespace of this thread's own.
    thread_local! {
        static OWN: () = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
    }
    OWN.with(|()| ());
    Network::Namespace(format!("/proc/{}/task/{}/ns/net", std::process::id(), nix::unistd::gettid()).into())
}

pub(crate) fn binaries() -> Binaries {
    // Cargo names them to tests, and not to the example that has this file too.
    let named = |path: Option<&str>| path.expect("Cargo names the programs to tests").into();
    Binaries {
        shim: named(option_env!("CARGO_BIN_EXE_berth-shim")),
        monitor: named(option_env!("CARGO_BIN_EXE_berth-monitor")),
    }
}

/// A process that runs these words, as Docker would by default.
pub(crate) fn process(args: &[&str]) -> Process {
    Process {
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: vec!["PATH=/bin:/sbin".to_owned()],
        cwd: "/".to_owned(),
        user: UserSpec::default(),
        capabilities: CapabilitySet::default_for_containers(),
        no_new_privileges: false,
        seccomp: Seccomp::Default,
        rlimits: Vec::new(),
        terminal: None,
        stdin: Stdin::Closed,
    }
}

/// A script for the container's shell.
pub(crate) fn script(text: &str) -> Process {
    process(&["sh", "-c", text])
}

/// Everything that comes, as output and errors.
pub(crate) fn frames(mut stream: UnixStream) -> (String, String) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut rest = bytes.as_slice();
    while let Some((header, after)) = rest.split_at_checked(8) {
        let length = u32::from_be_bytes(header[4..].try_into().expect("four bytes")) as usize;
        let (data, next) = after.split_at(length);
        if header[0] == 2 { &mut stderr } else { &mut stdout }.extend_from_slice(data);
        rest = next;
    }
    (String::from_utf8(stdout).expect("UTF-8"), String::from_utf8(stderr).expect("UTF-8"))
}

/// The process that looks after a container: the parent of its first one.
pub(crate) fn monitor_of(pid: i32) -> nix::unistd::Pid {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("it has a parent");
    nix::unistd::Pid::from_raw(parent.trim().parse().expect("a pid"))
}

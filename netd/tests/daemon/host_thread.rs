//! A thread that lives in namespaces of its own: what runs there, and what it spawns, is on another host.

use std::{fs::File, path::Path, process::Command, sync::mpsc, thread};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
};

type Job = Box<dyn FnOnce() + Send>;

/// The handle on such a thread, which ends when this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct HostThread {
    jobs: mpsc::Sender<Job>,
}

impl HostThread {
    /// A new host: a network and a mount namespace.
    pub(crate) fn new_host() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests make namespaces: run them as root (scripts/test)");
        let host = Self::entering(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("new namespaces");
            // What is mounted here is nobody else's business.
            mount(None::<&Path>, "/", None::<&Path>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&Path>)
                .expect("private mounts");
            // A host's /run is its own: netd claims the network namespace there.
            mount(None::<&Path>, "/run", Some("tmpfs"), MsFlags::empty(), None::<&Path>).expect("a /run");
        });
        host.sh("ip link set lo up");
        host
    }

    /// In the network namespace at a path that this place sees.
    pub(crate) fn network_at(&self, path: &str) -> Self {
        let path = path.to_owned();
        let namespace = self.run(move || File::open(path).expect("a network namespace"));
        Self::entering(move || setns(namespace, CloneFlags::CLONE_NEWNET).expect("root"))
    }

    fn entering(enter: impl FnOnce() + Send + 'static) -> Self {
        let (jobs, waiting) = mpsc::channel::<Job>();
        thread::spawn(move || {
            enter();
            waiting.into_iter().for_each(|job| job());
        });
        Self { jobs }
    }

    /// Runs something there.
    pub(crate) fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (answer, answered) = mpsc::channel();
        let job = move || drop(answer.send(work()));
        self.jobs.send(Box::new(job)).expect("the place is there");
        answered.recv().expect("the work did not panic")
    }

    /// What a shell command prints there.
    pub(crate) fn sh(&self, script: &str) -> String {
        let script = script.to_owned();
        self.run(move || {
            let output = Command::new("sh").args(["-ec", &script]).output().expect("a shell");
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
            assert!(output.status.success(), "{script}: {}", text(output.stderr));
            text(output.stdout)
        })
    }
}

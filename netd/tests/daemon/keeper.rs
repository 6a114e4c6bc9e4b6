//! The keeper of namespaces is killed while netd runs.

use std::{
    fs::{self, File, Permissions},
    io::{BufRead as _, BufReader},
    os::{
        fd::AsFd as _,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::Path,
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};

use crate::netd_host::NetdHost;

/// A netd of whose keepers each tells its process when it starts, and ends at once where it finds a file.
struct ToldKeepers {
    directory: tempfile::TempDir,
    processes: BufReader<File>,
}

impl ToldKeepers {
    fn new() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let of = |name: &str| directory.path().join(name);
        fs::hard_link(env!("CARGO_BIN_EXE_netd"), of("netd")).expect("a name on the same file system");
        // Opened for both, neither end waits for the other.
        mkfifo(&of("started"), Mode::S_IRWXU).expect("a pipe");
        let processes = File::options().read(true).write(true).open(of("started")).expect("a pipe");
        let keeper = format!(
            "#!/bin/sh\necho $$ 1<> {}\nrm {} 2> /dev/null && exit 1\nexec {} \"$@\"\n",
            of("started").display(),
            of("end").display(),
            env!("CARGO_BIN_EXE_netd-keeper"),
        );
        fs::write(of("netd-keeper"), keeper).expect("a file");
        fs::set_permissions(of("netd-keeper"), Permissions::from_mode(0o700)).expect("a program");
        Self { directory, processes: BufReader::new(processes) }
    }

    fn netd(&self) -> NetdHost {
        NetdHost::of_program(&self.directory.path().join("netd"))
    }

    fn next_ends_at_once(&self) {
        File::create(self.directory.path().join("end")).expect("a file");
    }

    /// The process of the next keeper that is started.
    fn next(&mut self) -> i32 {
        if self.processes.buffer().is_empty() {
            let mut ready = [PollFd::new(self.processes.get_ref().as_fd(), PollFlags::POLLIN)];
            let longest = PollTimeout::try_from(Duration::from_secs(60)).expect("a time");
            assert_eq!(poll(&mut ready, longest), Ok(1), "no further keeper is started");
        }
        let mut line = String::new();
        self.processes.read_line(&mut line).expect("a line");
        line.trim().parse().expect("a process")
    }
}

#[tokio::test]
async fn a_keeper_is_replaced_also_when_the_first_that_is_tried_ends_while_it_is_given_what_it_is_to_hold() {
    let mut keepers = ToldKeepers::new();
    let netd = keepers.netd();
    let web = netd.put("web", &[]).await;
    let web = Path::new(web.namespace.as_deref().expect("a namespace"));
    let before = fs::metadata(web).expect("its namespace").ino();
    let first = keepers.next();
    keepers.next_ends_at_once();
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it runs");
    let (second, third) = (keepers.next(), keepers.next());
    assert!(!Path::new(&format!("/proc/{second}")).exists(), "what was tried in vain stays behind");
    // By then the third has all.
    netd.put("other", &[]).await;
    let to = fs::read_link(web).expect("a link");
    assert!(to.starts_with(format!("/proc/{third}")), "{to:?}, not of {third}");
    assert_eq!(fs::metadata(web).expect("its namespace").ino(), before);
}

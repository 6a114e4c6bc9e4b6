//! A daemon under test: started, waited for until it says that it is ready, killed.

use std::{
    fs::File,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The socket on which a daemon says `READY=1` (sd_notify(3)).
#[derive(Debug)]
pub struct Ready {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Ready {
    /// A socket at this path, which must be visible inside the host under the same name.
    pub fn new(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let socket = UnixDatagram::bind(path).expect("a notify socket");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        Self { socket, path: path.to_owned() }
    }
}

/// `kill -9` of a process that need not be our child; returns when it is gone.
pub(crate) fn kill(pid: i32) {
    end(pid, rustix::process::Signal::KILL);
}

/// Tells a process, which need not be our child, to stop; returns when it is gone.
pub fn stop(pid: i32) {
    end(pid, rustix::process::Signal::TERM);
}

fn end(pid: i32, signal: rustix::process::Signal) {
    wait_for_end(pid, |process| {
        let _ = rustix::process::kill_process(process, signal);
    });
}

/// Does something to a process, which need not be our child; returns when it is gone.
pub fn wait_for_end(pid: i32, act: impl FnOnce(rustix::process::Pid)) {
    // A pidfd is readable once its process ended (pidfd_open(2)); without one the process is gone already.
    let Some(process) = rustix::process::Pid::from_raw(pid) else { return };
    let Ok(descriptor) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()) else { return };
    act(process);
    let _ = rustix::event::poll(&mut [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)], None);
}

/// What is said of a process that ended.
fn ended(pid: u32) -> String {
    format!("ENDED {pid}")
}

/// Says on the socket that the process ended, so that nobody waits for the word of a daemon that is gone.
fn tell_when_it_ends(pid: u32, socket: &Path) {
    let message = ended(pid);
    let (pid, socket) = (nix::unistd::Pid::from_raw(pid.cast_signed()), socket.to_owned());
    std::thread::spawn(move || {
        let ended = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        if nix::sys::wait::waitid(nix::sys::wait::Id::Pid(pid), ended).is_ok()
            && let Ok(notify) = UnixDatagram::unbound()
        {
            // The socket is gone when the world is: then nobody waits.
            let _ = notify.send_to(message.as_bytes(), socket);
        }
    });
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    pid: i32,
}

impl Daemon {
    /// Starts it with its output in a log file, and waits for its word.
    ///
    /// # Panics
    /// When it isn't ready within half a minute; the message has its log.
    pub fn start(mut command: Command, log: &Path, ready: Ready) -> Self {
        let log_file = File::options().create(true).append(true).open(log).expect("a log file");
        let child = command
            .env("NOTIFY_SOCKET", &ready.path)
            .stdin(Stdio::null())
            .stdout(log_file.try_clone().expect("a log file"))
            .stderr(log_file)
            .spawn()
            .expect("a daemon");
        tell_when_it_ends(child.id(), &ready.path);
        let ended = ended(child.id());
        let mut message = [0; 256];
        // The end of the daemon before it may be told late, at the same place.
        let said = loop {
            let said = ready.socket.recv(&mut message);
            let said = said.map(|length| String::from_utf8_lossy(&message[..length]).into_owned());
            match &said {
                Ok(text) if text.starts_with("ENDED") && *text != ended => {}
                _ => break said,
            }
        };
        assert!(
            matches!(&said, Ok(text) if text.contains("READY=1")),
            "the daemon isn't ready ({said:?}):\n{}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
        // `nsenter -p` forks: the daemon is its child, and the signal has to reach the daemon itself.
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
        let pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("the daemon's pid");
        Self { child, pid }
    }

    /// The daemon's process, as seen from this machine.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

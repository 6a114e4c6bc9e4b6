//! The monitor's loop: waits for the process, its output and its clients, and deals with whatever comes.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::client::{Client, Role};
use super::json_log::{LineSplitter, Piece};
use super::output_log::OutputLog;
use super::{Config, Descriptors, Leftover, set_nonblocking};
use crate::cgroup::{Cgroup, counts_oom_kills};
use crate::directory::{self, Directory};
use crate::process_fd::PidFd;
use crate::protocol::{FrameStream, Reply, Request, Streams};
use crate::shim::streams::set_terminal_size;
use crate::spec::Stdin;
use crate::status::Exit;

/// How much output is read at a time.
const READ_BYTES: usize = 32 * 1024;

/// How long nobody is let in, or nothing is waited for, after an error that time mends: no file or memory is left.
const PAUSE: Duration = Duration::from_millis(100);

/// One stream of the process's output.
#[derive(Debug)]
struct Output {
    /// `None` at its end.
    source: Option<File>,
    stream: FrameStream,
    lines: LineSplitter,
}

struct Monitor {
    config: Config,
    listener: UnixListener,
    input: Option<File>,
    outputs: Vec<Output>,
    clients: Vec<Client>,
    /// Until then who connects waits in the socket's queue.
    deaf_until: Option<Instant>,
    log: OutputLog,
    exit: Option<Exit>,
    /// All that the process has said is in the log, and its end in a file: now it may be told.
    recorded: bool,
}

/// Looks after the process until it has ended and everybody has been told.
pub(super) fn run(config: Config, descriptors: Descriptors) -> io::Result<()> {
    let Descriptors { listener, input, stdout, stderr, oom_events } = descriptors;
    let process = PidFd::open(config.started.pid)?;
    let mut monitor = Monitor::new(config, listener.into(), input.map(File::from), stdout.zip(stderr))?;
    while monitor.exit.is_none() {
        monitor.step(Some(process.as_fd()))?;
        if is_ready(process.as_fd())? {
            monitor.exit = Some(monitor.wait_for_process(oom_events.as_ref())?);
        }
    }
    monitor.end_leftover_processes();
    monitor.drain_outputs()?;
    monitor.finish()
}

impl Monitor {
    fn new(
        config: Config,
        listener: UnixListener,
        input: Option<File>,
        pipes: Option<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut outputs = Vec::new();
        match (pipes, &input) {
            (Some((stdout, stderr)), _) => {
                outputs.push(Output::new(stdout.into(), FrameStream::Stdout)?);
                outputs.push(Output::new(stderr.into(), FrameStream::Stderr)?);
            }
            (None, Some(terminal)) => outputs.push(Output::new(terminal.try_clone()?, FrameStream::Stdout)?),
            (None, None) => {}
        }
        if let Some(input) = &input {
            set_nonblocking(input)?;
        }
        let log = OutputLog::open(&config.log);
        let (clients, deaf_until) = (Vec::new(), None);
        Ok(Self { config, listener, input, outputs, clients, deaf_until, log, exit: None, recorded: false })
    }

    /// Waits for something to happen, and deals with all that did.
    fn step(&mut self, process: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.wait(process);
        // Clients come before output: one that connected before the process ran must not miss its first words.
        self.accept_clients();
        for index in 0..self.clients.len() {
            self.serve_client(index);
        }
        self.cut_off_stalled_clients();
        self.clients.retain(|client| !client.gone);
        self.pass_input();
        if !self.is_held_up() {
            self.read_outputs()?;
        }
        Ok(())
    }

    fn wait(&self, process: Option<BorrowedFd<'_>>) {
        let now = Instant::now();
        let deaf = self.deaf_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero());
        let mut fds = Vec::new();
        if deaf.is_none() {
            fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        }
        fds.extend(process.map(|process| PollFd::new(process, PollFlags::POLLIN)));
        fds.extend(self.clients.iter().map(|client| PollFd::new(client.as_fd(), client.interest())));
        if !self.is_held_up() {
            let sources = self.outputs.iter().filter_map(|output| output.source.as_ref());
            fds.extend(sources.map(|source| PollFd::new(source.as_fd(), PollFlags::POLLIN)));
        }
        if let (Some(input), true) = (&self.input, self.clients.iter().any(|client| !client.input.is_empty())) {
            fds.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        let patience = self.clients.iter().filter_map(|client| client.patience(now)).chain(deaf).min();
        let timeout = patience.map_or(PollTimeout::NONE, |patience| {
            // Rounded up, so that the time has come when the wait ends.
            PollTimeout::try_from(patience + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            // Its end would be the process's: it tries again.
            Err(_) => std::thread::sleep(PAUSE),
        }
    }

    /// Whether a client is so far behind that no output is read. Once the process has ended, what is left of its output
    /// is no more than its pipes hold, and everybody else shouldn't wait for it.
    fn is_held_up(&self) -> bool {
        self.exit.is_none() && self.clients.iter().any(Client::is_full)
    }

    fn accept_clients(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.clients.extend(Client::new(stream).ok()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // Too many files are open, by this process or on the host: who is connected already goes on.
                Err(_) => {
                    self.deaf_until = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }

    fn serve_client(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.has_waiting() {
            client.send();
        }
        if client.interest().contains(PollFlags::POLLIN)
            && let Some(request) = client.receive()
        {
            match request {
                Ok(request) => self.answer(index, request),
                Err(message) => client.reply(&Reply::Refused { message }, Role::Answered),
            }
        }
        if let Some(client) = self.clients.get_mut(index) {
            client.gone |= is_hung_up(client.as_fd());
        }
    }

    fn answer(&mut self, index: usize, request: Request) {
        let terminal = self.config.terminal;
        let (reply, role) = match request {
            Request::Attach(streams) => (Reply::Attached { terminal }, Role::Attached(streams)),
            Request::Watch => match &self.exit {
                Some(exit) if self.recorded => (Reply::Exited(exit.clone()), Role::Answered),
                _ => {
                    self.clients[index].role = Role::Watching;
                    return;
                }
            },
            Request::Resize(size) => {
                let resized = match &self.input {
                    Some(input) if terminal => set_terminal_size(input, size),
                    _ => Err(io::Error::new(ErrorKind::Unsupported, "it has no terminal")),
                };
                match resized {
                    Ok(()) => (Reply::Resized, Role::Answered),
                    Err(error) => (Reply::Refused { message: format!("could not resize: {error}") }, Role::Answered),
                }
            }
        };
        self.clients[index].reply(&reply, role);
    }

    fn cut_off_stalled_clients(&mut self) {
        let now = Instant::now();
        for client in &mut self.clients {
            client.gone |= client.is_full() && client.patience(now).is_some_and(|patience| patience.is_zero());
        }
    }

    /// Passes what clients sent on to the process.
    fn pass_input(&mut self) {
        let mut close = false;
        for client in &mut self.clients {
            while let (Some(input), false) = (&mut self.input, client.input.is_empty()) {
                match input.write(&client.input) {
                    Ok(length) => drop(client.input.drain(..length)),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // It doesn't read any more; a terminal's output goes on.
                    Err(_) => {
                        client.input.clear();
                        close |= !self.config.terminal;
                    }
                }
            }
            if self.input.is_none() {
                client.input.clear();
            }
            let speaks = matches!(client.role, Role::Attached(Streams { stdin: true, .. }));
            let ended = (client.input_ended || client.gone) && client.input.is_empty();
            close |= speaks && ended && self.config.stdin == Stdin::Once && !self.config.terminal;
        }
        if close {
            self.input = None;
        }
    }

    /// Reads once from each output that has something, logs it and passes it on. Whether anything was read.
    fn read_outputs(&mut self) -> io::Result<bool> {
        let mut any = false;
        let mut buffer = [0; READ_BYTES];
        for output in &mut self.outputs {
            let Some(source) = &mut output.source else { continue };
            let data = match source.read(&mut buffer) {
                Ok(length) => &buffer[..length],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
                // A terminal's other side was closed by everybody.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => &[],
                Err(error) => return Err(error),
            };
            any = true;
            let mut add = |piece: Piece<'_>| self.log.add(output.stream, piece);
            if data.is_empty() {
                output.source = None;
                output.lines.finish(&mut add);
            } else {
                output.lines.push(data, &mut add);
            }
            self.log.flush();
            for client in self.clients.iter_mut().filter(|_| !data.is_empty()) {
                client.output(output.stream, data, self.config.terminal);
            }
        }
        Ok(any)
    }

    /// Collects the process, which has ended.
    fn wait_for_process(&self, oom_events: Option<&std::os::fd::OwnedFd>) -> io::Result<Exit> {
        let (code, signal) = match waitpid(Pid::from_raw(self.config.started.pid), None)? {
            WaitStatus::Exited(_, code) => (u8::try_from(code).unwrap_or(u8::MAX), None),
            WaitStatus::Signaled(_, signal, _) => {
                let signal = signal as i32;
                (u8::try_from(128 + signal).unwrap_or(u8::MAX), Some(signal))
            }
            other => return Err(io::Error::other(format!("the process ended as {other:?}"))),
        };
        let oom_killed = oom_events.is_some_and(|events| has_oom_kills(events).unwrap_or(false));
        Ok(Exit { code, signal, oom_killed, at: Timestamp::now(), error: None })
    }

    fn end_leftover_processes(&mut self) {
        if let Leftover::Kill { cgroup_parent, id } = &self.config.leftover {
            let killed = Cgroup::of(cgroup_parent, id).and_then(|cgroup| cgroup.kill());
            if let (Err(error), Some(exit)) = (killed, &mut self.exit) {
                exit.error = Some(crate::control::describe(&error));
                // What can't be killed would hold the streams open for ever.
                self.config.leftover = Leftover::Ignore;
            }
        }
    }

    /// Reads all that the process has said.
    fn drain_outputs(&mut self) -> io::Result<()> {
        if self.config.leftover == Leftover::Ignore {
            while self.read_outputs()? {}
        } else {
            while self.outputs.iter().any(|output| output.source.is_some()) {
                self.step(None)?;
            }
        }
        for output in &mut self.outputs {
            output.lines.finish(|piece| self.log.add(output.stream, piece));
        }
        self.log.finish();
        Ok(())
    }

    /// Records the end, tells whoever waits for it, and sends out what is still to be sent.
    fn finish(mut self) -> io::Result<()> {
        let Some(mut exit) = self.exit.take() else { return Ok(()) };
        exit.error = exit.error.or(self.log.take_error());
        Directory::new(&self.config.directory)
            .write(directory::File::Exit, &exit)
            .map_err(|error| io::Error::other(crate::control::describe(&error)))?;
        self.exit = Some(exit.clone());
        self.recorded = true;
        self.input = None;
        self.outputs.clear();
        for client in self.clients.iter_mut().filter(|client| client.role == Role::Watching) {
            client.reply(&Reply::Exited(exit.clone()), Role::Answered);
        }
        self.accept_clients();
        // Whoever asks now is told the end: only those that are behind with their output are waited for, and by nobody else.
        // Who is in the middle of asking when the last of them goes finds the connection closed, and the exit in its file.
        loop {
            for index in 0..self.clients.len() {
                self.serve_client(index);
            }
            self.see_clients_off();
            if !self.clients.iter().any(Client::has_waiting) {
                return Ok(());
            }
            self.wait(None);
            self.accept_clients();
        }
    }

    /// Lets those go that have all their output, or take none of it any more.
    fn see_clients_off(&mut self) {
        let now = Instant::now();
        for client in &mut self.clients {
            if matches!(client.role, Role::Attached(_)) {
                client.role = Role::Answered;
                client.input_ended = true;
                client.input.clear();
                client.send();
            }
            client.gone |= client.patience(now).is_some_and(|patience| patience.is_zero());
        }
        self.clients.retain(|client| !client.gone);
    }
}

impl Output {
    fn new(source: File, stream: FrameStream) -> io::Result<Self> {
        set_nonblocking(&source)?;
        Ok(Self { source: Some(source), stream, lines: LineSplitter::default() })
    }
}

fn is_ready(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO)? > 0)
}

/// Whether the other side has closed both directions; one that only sends no more still listens.
fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::empty())];
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    poll(&mut fds, PollTimeout::ZERO).is_ok() && fds[0].revents().is_some_and(|events| events.intersects(gone))
}

/// The cgroup may be gone, its file that was opened before isn't.
fn has_oom_kills(events: &std::os::fd::OwnedFd) -> io::Result<bool> {
    let mut text = [0; 4096];
    let length = File::from(events.try_clone()?).read_at(&mut text, 0)?;
    Ok(counts_oom_kills(&String::from_utf8_lossy(&text[..length])))
}

//! Running programs and judging what came of it.

use std::{
    fmt::Debug,
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Far more than what tests wait for takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows what a program that doesn't end says until a line is the last that is wanted, and ends it; `false` if it ends, or a
/// minute goes by, without.
///
/// # Panics
/// When the program can't be started at all.
pub fn follow(command: &mut Command, is_last: impl Fn(&str) -> bool) -> bool {
    let begun = Instant::now();
    let mut program = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let output = program.stdout.take().expect("a pipe");
    let (said, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
    let next = || lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())).ok();
    let found = std::iter::from_fn(next).any(|line| is_last(&line));
    let _ = program.kill();
    let _ = program.wait();
    found
}

/// Waits until something is so that tells nobody when it becomes so.
///
/// # Panics
/// When a minute goes by without.
#[track_caller]
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{PATIENCE:?} went by without {what}");
        thread::yield_now();
    }
}

/// Waits until something is as it is to be that tells nobody when it becomes so.
///
/// # Panics
/// When a minute goes by without; the message says how it was then.
#[track_caller]
pub fn until_is<T: PartialEq + Debug>(what: &str, wanted: &T, look: impl Fn() -> T) {
    let begun = Instant::now();
    loop {
        let seen = look();
        if seen == *wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{PATIENCE:?} went by, and {what}: {seen:?} and not {wanted:?}");
        thread::yield_now();
    }
}

/// What a program left behind: its exit status and what it wrote.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// The exit status; 128 + n where signal n ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// When the program can't be started at all.
    pub fn of(command: &mut Command) -> Self {
        let line = format!("{command:?}");
        match command.output() {
            Ok(output) => Self::from_output(line, &output),
            Err(error) => panic!("cannot start {line}: {error}"),
        }
    }

    /// The outcome of a program that was waited for elsewhere.
    pub fn from_output(command: String, output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().or(output.status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        Self {
            command,
            code,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output without its last newline, of a command that must have succeeded.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(
            self.code == 0,
            "{} ended with {}\nstdout: {}\nstderr: {}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        self.stdout.trim_end_matches('\n').to_owned()
    }

    /// Standard error of a command that must have ended with this status.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> String {
        assert!(
            self.code == code,
            "{} ended with {} and not {code}\nstdout: {}\nstderr: {}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        self.stderr.trim_end_matches('\n').to_owned()
    }
}

//! Moves bytes between us and a process in a container, until it has ended or the user leaves.

use std::io;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::escape::{EscapeMatcher, Typed};
use crate::engine::stream::{Channel, Demultiplexer};
use crate::failure::Failure;
use crate::terminal::{self, RawMode};

/// Bytes that are moved at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// How we are attached to a process.
#[derive(Debug)]
pub(crate) struct AttachOptions {
    /// What we read is its input.
    pub(crate) stdin: bool,
    /// It has a terminal: its output is one stream, and keys go to it as they are.
    pub(crate) tty: bool,
    /// The bytes that leave its terminal.
    pub(crate) detach_keys: Vec<u8>,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process has closed its output.
    Output,
    /// The user has left; the process runs on.
    Left,
}

/// A connection to a process, with our terminal ready for it.
#[derive(Debug)]
pub(crate) struct Session {
    options: AttachOptions,
    connection: TokioIo<Upgraded>,
    raw_mode: Option<RawMode>,
}

impl Session {
    /// Attaches us to the process behind a connection. Until the session is over, a terminal passes every key on.
    ///
    /// # Errors
    /// The terminal can't be put into raw mode.
    pub(crate) fn new(connection: TokioIo<Upgraded>, options: AttachOptions) -> Result<Self, Failure> {
        let raw_mode = if options.tty && options.stdin && terminal::is_stdin_terminal() {
            let enter = RawMode::enter();
            Some(enter.map_err(|source| Failure::Io { doing: "put the terminal into raw mode".to_owned(), source })?)
        } else {
            None
        };
        Ok(Self { options, connection, raw_mode })
    }

    /// Moves bytes until the process has closed its output or the user leaves; the terminal is as before then.
    ///
    /// # Errors
    /// The connection breaks, or our output can't be written. That nobody reads it is no failure.
    pub(crate) async fn run(self) -> Result<End, Failure> {
        let Self { options, connection, raw_mode } = self;
        let (from_process, to_process) = tokio::io::split(connection);
        let output = show(from_process, options.tty);
        tokio::pin!(output);
        let end = if options.stdin {
            let keys = if options.tty { options.detach_keys } else { Vec::new() };
            tokio::select! {
                shown = &mut output => shown.map(|()| End::Output),
                left = type_in(tokio::io::stdin(), to_process, EscapeMatcher::new(keys)) => match left {
                    true => Ok(End::Left),
                    false => output.await.map(|()| End::Output),
                },
            }
        } else {
            output.await.map(|()| End::Output)
        };
        drop(raw_mode);
        end
    }
}

/// A terminal is refused before anything is created when there is none to give: `-t` needs one to be typed at.
///
/// # Errors
/// Our input is no terminal, though it should become the container's.
pub(crate) fn check_terminal(stdin: bool, tty: bool) -> Result<(), Failure> {
    if stdin && tty && !terminal::is_stdin_terminal() {
        return Err(Failure::Invalid("the input device is not a TTY: leave out -t, or use a terminal".to_owned()));
    }
    Ok(())
}

/// Passes input on until it ends or the user leaves; says which. A process that no longer reads ends it as well.
async fn type_in(
    mut input: impl AsyncRead + Unpin,
    mut to_process: impl AsyncWrite + Unpin,
    mut matcher: EscapeMatcher,
) -> bool {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let typed = match input.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => matcher.push(&buffer[..length]),
        };
        let (bytes, leaves) = match typed {
            Typed::Pass(bytes) => (bytes, false),
            Typed::Leave(bytes) => (bytes, true),
        };
        if to_process.write_all(&bytes).await.is_err() || to_process.flush().await.is_err() {
            break;
        }
        if leaves {
            return true;
        }
    }
    // Half closed: the process sees the end of its input, and we still see its output.
    let _ = to_process.shutdown().await;
    false
}

async fn show(mut from_process: impl AsyncRead + Unpin, tty: bool) -> Result<(), Failure> {
    // What nobody reads here is read all the same: the process goes on, and its end is ours.
    let mut writer = Writer::new(tty, Unread::Dropped);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from_process.read(&mut buffer).await;
        match length.map_err(|source| Failure::Io { doing: "read the container's output".to_owned(), source })? {
            0 => return Ok(()),
            length => writer.write(&buffer[..length]).await.map_err(Failure::Output)?,
        }
    }
}

/// What is done when nobody reads what is written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is an error.
    Refused,
    /// That stream is written nowhere from then on.
    Dropped,
}

/// Writes a container's output to ours. Not blocking: a terminal that is stopped (Ctrl-S) must not stop our input.
#[derive(Debug)]
pub(crate) struct Writer {
    stdout: Target<tokio::io::Stdout>,
    stderr: Target<tokio::io::Stderr>,
    demultiplexer: Option<Demultiplexer>,
}

impl Writer {
    /// For a stream that is one, with a terminal, or two in one.
    pub(crate) fn new(tty: bool, unread: Unread) -> Self {
        let stdout = Target { stream: Some(tokio::io::stdout()), unread };
        let stderr = Target { stream: Some(tokio::io::stderr()), unread };
        Self { stdout, stderr, demultiplexer: (!tty).then(Demultiplexer::default) }
    }

    /// Writes what has arrived.
    ///
    /// # Errors
    /// Nobody takes it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(demultiplexer) = &mut self.demultiplexer else {
            self.stdout.write(bytes).await?;
            return self.stdout.flush().await;
        };
        for (channel, piece) in demultiplexer.push(bytes) {
            match channel {
                Channel::Stdout => self.stdout.write(&piece).await?,
                Channel::Stderr => self.stderr.write(&piece).await?,
            }
        }
        self.stdout.flush().await?;
        self.stderr.flush().await
    }
}

/// Where one stream of a container's output goes.
#[derive(Debug)]
struct Target<W> {
    /// `None` once nobody reads it.
    stream: Option<W>,
    unread: Unread,
}

impl<W: AsyncWrite + Unpin> Target<W> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let written = stream.write_all(bytes).await;
        self.judge(written)
    }

    async fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let flushed = stream.flush().await;
        self.judge(flushed)
    }

    fn judge(&mut self, outcome: io::Result<()>) -> io::Result<()> {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.unread == Unread::Dropped => {
                self.stream = None;
                Ok(())
            }
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_input_closes_only_that_direction() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (from, to) = tokio::io::split(ours);
        let left = type_in(&b"hello"[..], to, EscapeMatcher::new(vec![16, 17])).await;
        assert!(!left);
        let mut said = String::new();
        theirs.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "hello");
        drop(from);
    }

    #[tokio::test]
    async fn the_keys_leave() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        assert!(type_in(&b"ls\x10\x11more"[..], ours, EscapeMatcher::new(vec![16, 17])).await);
        let mut said = String::new();
        theirs.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "ls");
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_is_dropped_or_an_error() {
        for (unread, fails) in [(Unread::Dropped, false), (Unread::Refused, true)] {
            let (ours, theirs) = tokio::io::duplex(64);
            drop(theirs);
            let mut target = Target { stream: Some(ours), unread };
            for _ in 0..2 {
                let written = target.write(b"lost").await;
                assert_eq!(written.is_err(), fails, "{unread:?}");
            }
        }
    }
}

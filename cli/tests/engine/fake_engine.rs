//! An engine that says what a test tells it to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use tempfile::TempDir;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the API's version and without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    /// Who the sender is to the registry, as it was encoded.
    pub(crate) registry_auth: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What the engine says.
pub(crate) enum Answer {
    /// A status and a body.
    Reply(u16, Vec<u8>),
    /// Gives up the connection, sends these bytes and closes its side.
    Output(Vec<u8>),
    /// Gives up the connection and sends back what it gets, as standard output, until the end of it.
    Echo,
    /// Gives up the connection and closes its side when a request has come whose path ends so.
    OpenUntil(&'static str),
}

/// The engine; gone when dropped, with its socket.
pub(crate) struct FakeEngine {
    directory: TempDir,
    shared: Arc<Shared>,
}

type Answering = dyn Fn(&Request) -> Answer + Send + Sync;

struct Shared {
    requests: Mutex<Vec<Request>>,
    changed: Condvar,
    answer: Box<Answering>,
}

impl FakeEngine {
    /// An engine that answers like this.
    pub(crate) fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let listener = UnixListener::bind(directory.path().join("engine.sock")).expect("a socket");
        let shared = Arc::new(Shared { requests: Mutex::default(), changed: Condvar::new(), answer: Box::new(answer) });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                // A client that goes away in the middle of a request is no concern of the others.
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        Self { directory, shared }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("engine.sock")
    }

    /// A directory of the test's own.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A `berth` that talks to it.
    pub(crate) fn berth(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command.args(arguments).env("BERTH_HOST", self.socket()).stdin(Stdio::null()).current_dir(self.directory());
        command
    }

    /// Runs `berth` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::from(self.berth(arguments).output().expect("berth runs"))
    }

    /// The requests so far.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.requests.lock().expect("no test panicked in it"))
    }

    /// Waits until a request has come whose path ends so.
    pub(crate) fn wait_for(&self, suffix: &str) {
        self.shared.wait_for(suffix);
    }
}

impl Shared {
    fn wait_for(&self, suffix: &str) {
        let requests = self.requests.lock().expect("no test panicked in it");
        let waiting = |requests: &mut Vec<Request>| !requests.iter().any(|request| request.path.ends_with(suffix));
        drop(self.changed.wait_while(requests, waiting).expect("no test panicked in it"));
    }

    fn serve(&self, stream: UnixStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let request = read_request(&mut reader)?;
            let answer = (self.answer)(&request);
            self.requests.lock().expect("no test panicked in it").push(request);
            self.changed.notify_all();
            match answer {
                Answer::Reply(status, body) => reply(&stream, status, &body)?,
                Answer::Output(bytes) => {
                    upgrade(&stream)?;
                    return (&stream).write_all(&bytes).ok();
                }
                Answer::Echo => {
                    upgrade(&stream)?;
                    let mut bytes = Vec::new();
                    reader.read_to_end(&mut bytes).ok()?;
                    return (&stream).write_all(&frame(1, &bytes)).ok();
                }
                Answer::OpenUntil(suffix) => {
                    upgrade(&stream)?;
                    self.wait_for(suffix);
                    return Some(());
                }
            }
        }
    }
}

/// Output as it travels when there is no terminal.
pub(crate) fn frame(stream: u8, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("tests are short").to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], text].concat()
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut chunked, mut registry_auth) = (0, false, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "x-registry-auth" => registry_auth = Some(value.to_owned()),
            "transfer-encoding" => chunked = value == "chunked",
            _ => {}
        }
    }
    let body = if chunked { read_chunks(reader)? } else { read_exactly(reader, length)? };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = path.split_once("/v1.").and_then(|(_, rest)| rest.split_once('/')).map_or(path, |(_, rest)| rest);
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), registry_auth, body })
}

fn read_exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        body.extend(read_exactly(reader, size)?);
        reader.read_line(&mut String::new()).ok()?;
        if size == 0 {
            return Some(body);
        }
    }
}

fn reply(mut stream: &UnixStream, status: u16, body: &[u8]) -> Option<()> {
    let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!(
        "HTTP/1.1 {status} X\r\nApi-Version: 1.44\r\nOstype: linux\r\nContent-Type: application/json\r\n{length}\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()
}

fn upgrade(mut stream: &UnixStream) -> Option<()> {
    let head = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

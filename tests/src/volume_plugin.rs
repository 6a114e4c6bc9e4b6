//! A volume plugin of the tests' own: Docker's protocol over a Unix socket on a host, volumes as directories there.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::Host;

/// A plugin that serves until the test ends.
#[derive(Debug)]
pub struct VolumePlugin {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<String>,
    holds_unmounts: bool,
    volumes: BTreeSet<String>,
    /// The directory of all volumes as this machine sees it.
    outside: PathBuf,
}

/// The same directory as the host sees it.
const INSIDE: &str = "/run/kept";

impl VolumePlugin {
    /// Serves as `name` on a host.
    ///
    /// # Panics
    /// When the socket can't be made.
    pub fn serve(host: &Host, name: &str) -> Self {
        let run = host.directory().join("run");
        let sockets = run.join("docker/plugins");
        std::fs::create_dir_all(&sockets).expect("the plugins' directory");
        let listener = UnixListener::bind(sockets.join(format!("{name}.sock"))).expect("the plugin's socket");
        let state = State { outside: run.join("kept"), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), ..Shared::default() });
        let served = shared.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = served.clone();
                std::thread::spawn(move || serve(&connection, &shared));
            }
        });
        Self { shared }
    }

    /// Gives it a volume without being asked.
    ///
    /// # Panics
    /// When a call made the plugin panic.
    pub fn add(&self, name: &str) {
        let mut state = self.shared.state.lock().expect("no call panicked");
        std::fs::create_dir_all(state.outside.join(name)).expect("a volume's directory");
        state.volumes.insert(name.to_owned());
    }

    /// What it was asked since the last time, as `Method NAME`; questions that change nothing are left out.
    ///
    /// # Panics
    /// When a call made the plugin panic.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state.lock().expect("no call panicked").calls)
    }

    /// Lets calls of `Unmount` wait from now on, or answers all of them again.
    ///
    /// # Panics
    /// When a call made the plugin panic.
    pub fn hold_unmounts(&self, held: bool) {
        self.shared.state.lock().expect("no call panicked").holds_unmounts = held;
        self.shared.changed.notify_all();
    }

    /// Waits until it has been asked this since the last [`Self::calls`], which are forgotten then.
    ///
    /// # Panics
    /// When it isn't within a minute, or a call made the plugin panic.
    pub fn wait_for(&self, call: &str) {
        let state = self.shared.state.lock().expect("no call panicked");
        let is_missing = |state: &mut State| !state.calls.iter().any(|made| made == call);
        let waited = self.shared.changed.wait_timeout_while(state, Duration::from_secs(60), is_missing);
        let (mut state, timeout) = waited.expect("no call panicked");
        assert!(!timeout.timed_out(), "{call} isn't among {:?}", state.calls);
        state.calls.clear();
    }
}

/// Answers the requests of one connection.
fn serve(connection: &UnixStream, shared: &Shared) {
    let mut reader = BufReader::new(connection);
    while let Some((path, body)) = read_request(&mut reader) {
        let answer = shared.state.lock().expect("no call panicked").answer(&path, &body).to_string();
        shared.changed.notify_all();
        if path.ends_with(".Unmount") {
            let state = shared.state.lock().expect("no call panicked");
            drop(shared.changed.wait_while(state, |state| state.holds_unmounts).expect("no call panicked"));
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        let mut writer = connection;
        if writer.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, Value)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

impl State {
    fn answer(&mut self, path: &str, body: &Value) -> Value {
        let method = path.rsplit('.').next().unwrap_or_default();
        let name = body["Name"].as_str().unwrap_or_default();
        let directory = Path::new(name);
        if !matches!(method, "Activate" | "Capabilities" | "Get" | "List" | "Path") {
            self.calls.push(format!("{method} {name}"));
        }
        let volume =
            |name: &str| json!({ "Name": name, "Mountpoint": format!("{INSIDE}/{name}"), "Status": { "kept": "yes" } });
        match method {
            "Activate" => json!({ "Implements": ["VolumeDriver"] }),
            "Capabilities" => json!({ "Capabilities": { "Scope": "global" } }),
            "Create" if body["Opts"]["fail"] == "yes" => json!({ "Err": "no room for it" }),
            "Create" => {
                std::fs::create_dir_all(self.outside.join(directory)).expect("a volume's directory");
                self.volumes.insert(name.to_owned());
                json!({ "Err": "" })
            }
            "List" => json!({ "Volumes": self.volumes.iter().map(|name| volume(name)).collect::<Vec<_>>() }),
            _ if !self.volumes.contains(name) => json!({ "Err": format!("no volume {name}") }),
            "Get" => json!({ "Volume": volume(name) }),
            "Mount" | "Path" => json!({ "Mountpoint": format!("{INSIDE}/{name}") }),
            "Remove" => {
                self.volumes.remove(name);
                json!({})
            }
            "Unmount" => Value::Null,
            _ => json!({ "Err": format!("{path}: unknown") }),
        }
    }
}

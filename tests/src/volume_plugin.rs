//! A volume plugin of the tests' own: Docker's protocol over a Unix socket on a host, volumes as directories there.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::Host;

/// A plugin that serves until the test ends.
#[derive(Debug)]
pub struct VolumePlugin {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<String>,
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
        let state = Arc::new(Mutex::new(State { outside: run.join("kept"), ..State::default() }));
        let served = state.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = served.clone();
                std::thread::spawn(move || serve(&connection, &state));
            }
        });
        Self { state }
    }

    /// Gives it a volume without being asked.
    ///
    /// # Panics
    /// When a call made the plugin panic.
    pub fn add(&self, name: &str) {
        let mut state = self.state.lock().expect("no call panicked");
        std::fs::create_dir_all(state.outside.join(name)).expect("a volume's directory");
        state.volumes.insert(name.to_owned());
    }

    /// What it was asked since the last time, as `Method NAME`; questions that change nothing are left out.
    ///
    /// # Panics
    /// When a call made the plugin panic.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("no call panicked").calls)
    }
}

/// Answers the requests of one connection.
fn serve(connection: &UnixStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(connection);
    while let Some((path, body)) = read_request(&mut reader) {
        let answer = state.lock().expect("no call panicked").answer(&path, &body).to_string();
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

//! A newer netd: today's, behind a proxy that adds to its replies what only a later release would say.

use std::{
    io::{BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

use serde_json::{Map, Value, json};

use super::head::Head;

/// Events before the first that is of today: a kind that nobody knows, and one that says more than a name.
const EVENTS: [&str; 2] = [
    r#"{"revision":1,"at":"2030-01-01T00:00:00Z","what":"service_moved","service":{"id":"s1"},"sandbox":"nobody"}"#,
    r#"{"revision":2,"at":"2030-01-01T00:00:00Z","what":{"service_moved":{"to":"b"}}}"#,
];

/// Serves `tomorrow.sock` beside `netd.sock`, as long as the test runs.
#[derive(Debug)]
pub(super) struct Proxy;

impl Proxy {
    pub(super) fn before(run_dir: &Path) -> Self {
        let listener = UnixListener::bind(run_dir.join("tomorrow.sock")).expect("a socket");
        let netd = run_dir.join("netd.sock");
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let netd = netd.clone();
                // A connection that breaks is its client's to see.
                thread::spawn(move || serve(&client, netd));
            }
        });
        Self
    }
}

fn serve(mut client: &UnixStream, netd: PathBuf) -> Option<()> {
    let mut netd = UnixStream::connect(netd).ok()?;
    let (mut requests, mut replies) = (BufReader::new(client), BufReader::new(netd.try_clone().ok()?));
    loop {
        let request = Head::read(&mut requests)?;
        let body = request.body(&mut requests)?;
        request.write(&mut netd, &body)?;
        let reply = Head::read(&mut replies)?;
        if request.first.starts_with("GET /v1/events") {
            reply.write(&mut client, b"")?;
            for event in EVENTS {
                write!(client, "{:x}\r\n{event}\n\r\n", event.len() + 1).ok()?;
            }
            return std::io::copy(&mut replies, &mut client).map(drop).ok();
        }
        let body = reply.body(&mut replies)?;
        let added = match serde_json::from_slice::<Value>(&body) {
            Ok(mut value) => {
                add(&mut value, "");
                value.to_string().into_bytes()
            }
            Err(_) => body,
        };
        reply.write(&mut client, &added)?;
    }
}

/// Adds a field to every object that isn't a map of the user's, and states and features that nobody knows.
fn add(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) if !["labels", "options", "aux_addresses"].contains(&name) => {
            fields.iter_mut().for_each(|(name, value)| add(value, name));
            fields.insert("tomorrow".to_owned(), json!({ "a": [1, null] }));
            announce(fields);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| add(item, name)),
        _ => {}
    }
}

fn announce(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(features)) = fields.get_mut("features") {
        features.push("time-travel".into());
    }
    if let Some(state) = fields.get_mut("state") {
        *state = "rejuvenated".into();
    }
}

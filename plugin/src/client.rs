//! Calls to a plugin: HTTP/1.1, a JSON object each way.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Address, Directories, PluginError};

/// The protocol's version, as Docker names it.
const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";
/// Longer than any plugin should take, and short enough that what waits for one isn't lost with it.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest answer; a list of ten thousand volumes is far shorter.
const MOST_BYTES: usize = 8 << 20;

/// A plugin that implements what is wanted of it.
#[derive(Debug)]
pub struct Plugin {
    name: String,
    http: reqwest::Client,
    base: String,
}

/// Answer to `/Plugin.Activate`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Activation {
    #[serde(default)]
    implements: Vec<String>,
}

/// What stands in any answer, if something went wrong.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Failure {
    err: Option<String>,
}

impl Plugin {
    /// Finds a plugin and asks whether it implements the interface.
    pub async fn activate(directories: &Directories, name: &str, interface: &'static str) -> Result<Self, PluginError> {
        Self::at(directories.find(name)?, name, interface, DEADLINE).await
    }

    async fn at(
        address: Address,
        name: &str,
        interface: &'static str,
        deadline: Duration,
    ) -> Result<Self, PluginError> {
        // Whoever was first decides: all programs of ours mean the same one.
        rustls::crypto::ring::default_provider().install_default().ok();
        let builder = reqwest::Client::builder().no_proxy().timeout(deadline);
        let (builder, base) = match address {
            Address::Socket(path) => (builder.unix_socket(path), "http://plugin.moby.localhost".to_owned()),
            Address::Url(url) => (builder, url),
        };
        let failed = |reason| PluginError::Call { name: name.to_owned(), method: "Plugin.Activate".to_owned(), reason };
        let plugin = Self { name: name.to_owned(), http: builder.build().map_err(failed)?, base };
        let Activation { implements } = plugin.post("Plugin.Activate", Vec::new()).await?;
        if implements.iter().any(|implemented| implemented == interface) {
            return Ok(plugin);
        }
        let implements =
            if implements.is_empty() { "nothing".to_owned() } else { reason::printable(&implements.join(", ")) };
        Err(PluginError::Other { name: plugin.name, interface, implements })
    }

    /// Calls `Interface.Method`.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, request: &impl Serialize) -> Result<T, PluginError> {
        let body = serde_json::to_vec(request).expect("requests are made of strings and maps of them");
        self.post(method, body).await
    }

    async fn post<T: DeserializeOwned>(&self, method: &str, body: Vec<u8>) -> Result<T, PluginError> {
        let failed = |reason| PluginError::Call { name: self.name.clone(), method: method.to_owned(), reason };
        let request = self.http.post(format!("{}/{method}", self.base)).header(ACCEPT, MEDIA_TYPE);
        let mut answer = request.header(CONTENT_TYPE, MEDIA_TYPE).body(body).send().await.map_err(failed)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + piece.len() > MOST_BYTES {
                return Err(PluginError::TooLong {
                    name: self.name.clone(),
                    method: method.to_owned(),
                    limit: MOST_BYTES,
                });
            }
            bytes.extend_from_slice(&piece);
        }
        if let Some(message) = complaint(status, &bytes) {
            return Err(PluginError::Refused { method: method.to_owned(), message: reason::printable(&message) });
        }
        // `null` is an empty answer, too.
        let bytes = if bytes.trim_ascii() == b"null" || bytes.trim_ascii().is_empty() { &b"{}"[..] } else { &bytes };
        serde_json::from_slice(bytes).map_err(|source| PluginError::Answer {
            name: self.name.clone(),
            method: method.to_owned(),
            source,
        })
    }
}

/// What a plugin says is wrong, with any status.
fn complaint(status: StatusCode, bytes: &[u8]) -> Option<String> {
    let Failure { err } = serde_json::from_slice::<Option<Failure>>(bytes).ok().flatten().unwrap_or_default();
    match err.filter(|message| !message.is_empty()) {
        Some(message) => Some(message),
        None if status == StatusCode::OK => None,
        None => {
            let text = String::from_utf8_lossy(bytes);
            Some(if text.trim().is_empty() { status.to_string() } else { text.trim().to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::Router;
    use axum::routing::post;
    use serde_json::{Value, json};

    use super::*;

    fn serve(path: &Path) -> tokio::task::JoinHandle<()> {
        let answer = |text: &'static str| post(move |_body: String| async move { text });
        let app = Router::new()
            .route("/Plugin.Activate", answer(r#"{"Implements":["VolumeDriver"]}"#))
            .route("/VolumeDriver.Ok", post(|body: String| async move { format!(r#"{{"Got":{body}}}"#) }))
            .route("/VolumeDriver.Null", answer("null"))
            .route("/VolumeDriver.Err", answer(r#"{"Err":"no room"}"#))
            .route("/VolumeDriver.Red", answer(r#"{"Err":"\u001b[31mno"}"#))
            .route("/VolumeDriver.Odd", answer("[1"))
            .route("/VolumeDriver.Long", post(|| async { "x".repeat(MOST_BYTES + 1) }))
            .route("/VolumeDriver.Fail", post(|| async { (StatusCode::BAD_GATEWAY, "down") }))
            .route("/VolumeDriver.Hang", post(std::future::pending::<&'static str>));
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() })
    }

    #[tokio::test]
    async fn answers_and_refusals_and_silence() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("p.sock");
        let server = serve(&socket);
        let at = |interface, time| Plugin::at(Address::Socket(socket.clone()), "p", interface, time);
        let plugin = at("VolumeDriver", Duration::from_millis(500)).await.unwrap();
        let got: Value = plugin.call("VolumeDriver.Ok", &json!({ "Name": "x" })).await.unwrap();
        assert_eq!(got, json!({ "Got": { "Name": "x" } }));
        assert_eq!(plugin.call::<Value>("VolumeDriver.Null", &json!({})).await.unwrap(), json!({}));
        for (method, said) in [
            ("VolumeDriver.Err", "VolumeDriver.Err: no room"),
            ("VolumeDriver.Red", r"VolumeDriver.Red: \u{1b}[31mno"),
            ("VolumeDriver.Fail", "VolumeDriver.Fail: down"),
            ("VolumeDriver.Absent", "VolumeDriver.Absent: 404 Not Found"),
            ("VolumeDriver.Odd", "VolumeDriver.Odd: plugin \"p\" gave an answer that makes no sense"),
            (
                "VolumeDriver.Long",
                "VolumeDriver.Long: plugin \"p\" answers with more than 8388608 bytes, the most that is taken",
            ),
            ("VolumeDriver.Hang", "calling VolumeDriver.Hang of plugin \"p\": operation timed out"),
        ] {
            assert_eq!(plugin.call::<Value>(method, &json!({})).await.unwrap_err().to_string(), said);
        }
        let said = at("NetworkDriver", DEADLINE).await.unwrap_err().to_string();
        assert_eq!(said, "plugin \"p\" implements VolumeDriver, and no NetworkDriver");
        server.abort();
    }
}

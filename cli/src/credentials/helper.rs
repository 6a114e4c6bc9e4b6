//! Programs that keep passwords, `docker-credential-NAME`: a word as argument, the rest on standard input.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::Secret;
use crate::failure::Failure;

/// The name under which helpers keep identity tokens.
const TOKEN: &str = "<token>";

/// Has a helper keep a password.
pub(super) async fn store(helper: &str, key: &str, username: &str, secret: &Secret) -> Result<(), Failure> {
    let (username, secret) = match secret {
        Secret::Password(password) => (username, password),
        Secret::IdentityToken(token) => (TOKEN, token),
    };
    let entry = json!({ "ServerURL": key, "Username": username, "Secret": secret });
    tell(helper, "store", &entry.to_string()).await
}

/// Has a helper forget a password. One that it doesn't know is forgotten already.
pub(super) async fn erase(helper: &str, key: &str) -> Result<(), Failure> {
    tell(helper, "erase", key).await
}

async fn tell(helper: &str, word: &'static str, input: &str) -> Result<(), Failure> {
    let program = format!("docker-credential-{helper}");
    let failed = |source| Failure::Io { doing: format!("run {program} {word}"), source };
    let mut child = Command::new(&program)
        .arg(word)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that doesn't listen says why by its end.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if output.status.success() || said.contains(super::NOT_FOUND) {
        return Ok(());
    }
    Err(Failure::Invalid(format!("{program} {word} failed ({}): {said}", output.status)))
}

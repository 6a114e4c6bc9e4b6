//! Passwords for registries: those of the docker client, in its configuration file and the helpers that it names.

mod file;
mod helper;

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::failure::Failure;
use file::ConfigFile;

/// What the docker client files Docker Hub under.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// How helpers say that they know nothing of it.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// What is kept of somebody.
pub(crate) enum Secret {
    Password(String),
    IdentityToken(String),
}

/// What a registry's password is filed under, by any of the registry's spellings.
pub(crate) fn key(registry: &str) -> String {
    let rest = ["https://", "http://"].iter().find_map(|scheme| registry.strip_prefix(scheme)).unwrap_or(registry);
    match rest.split('/').next().unwrap_or_default() {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB_KEY.to_owned(),
        host => host.to_owned(),
    }
}

/// The filters that the docker client's configuration has for every prune.
///
/// # Errors
/// The file isn't what it should be.
pub(crate) fn prune_filters() -> Result<Vec<String>, Failure> {
    ConfigFile::read_any()?.map_or(Ok(Vec::new()), |file| file.prune_filters())
}

/// Who we are to the registry with this key, if we are somebody.
///
/// # Errors
/// The file isn't what it should be, or a helper fails.
pub(crate) async fn get(key: &str) -> Result<Option<DockerCredential>, Failure> {
    let (asked, shown) = (key.to_owned(), key.to_owned());
    // A helper is a program that may ask a person.
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&asked)).await;
    let found =
        found.map_err(|_| Failure::Invalid(format!("can't get the credentials for {shown}: reading them failed")))?;
    match found {
        Ok(credential) => Ok(Some(credential)),
        Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // It isn't there, which is fine, or can't be read.
        Err(CredentialRetrievalError::ConfigReadError) => ConfigFile::read().map(|_| None),
        Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains(NOT_FOUND) => Ok(None),
        Err(error) => Err(Failure::Invalid(format!("can't get the credentials for {shown}: {error}"))),
    }
}

/// The header that tells the engine who we are to a registry; none when we are nobody there.
///
/// # Errors
/// As [`get`].
pub(crate) async fn header(registry: &str) -> Result<Option<String>, Failure> {
    Ok(get(&key(registry)).await?.map(|credential| URL_SAFE.encode(document(credential).to_string())))
}

/// The header that tells the engine who we are to every registry where we are somebody: only the engine finds out which
/// ones a build needs.
///
/// # Errors
/// As [`get`].
pub(crate) async fn header_of_all() -> Result<Option<String>, Failure> {
    let mut all = serde_json::Map::new();
    // Without a home there is no file, and nobody whom we could be.
    let keys = if file::directory().is_some() { ConfigFile::read()?.keys() } else { BTreeSet::new() };
    for key in keys {
        if let Some(credential) = get(&key).await? {
            all.insert(key, document(credential));
        }
    }
    Ok((!all.is_empty()).then(|| URL_SAFE.encode(serde_json::Value::from(all).to_string())))
}

/// A credential as the engine reads it.
fn document(credential: DockerCredential) -> serde_json::Value {
    match credential {
        DockerCredential::IdentityToken(token) => serde_json::json!({ "identitytoken": token }),
        DockerCredential::UsernamePassword(username, password) => {
            serde_json::json!({ "username": username, "password": password })
        }
    }
}

/// Keeps what somebody is known by. Answers the file in which it stands for everybody to read who may, if it does.
///
/// # Errors
/// The file can't be written, or a helper fails.
pub(crate) async fn keep(key: &str, username: &str, secret: &Secret) -> Result<Option<PathBuf>, Failure> {
    let mut file = ConfigFile::read()?;
    let helper = file.helper(key);
    match &helper {
        Some(helper) => {
            helper::store(helper, key, username, secret).await?;
            file.note(key);
        }
        None => file.keep(key, username, secret),
    }
    file.write()?;
    Ok(helper.is_none().then(|| file.path().to_owned()))
}

/// Forgets what somebody is known by. Answers whether there was anything.
///
/// # Errors
/// The file can't be written, or a helper fails.
pub(crate) async fn forget(wanted: &str) -> Result<bool, Failure> {
    let mut file = ConfigFile::read()?;
    let mut was_there = false;
    if let Some(helper) = file.helper(wanted) {
        was_there = get(wanted).await?.is_some();
        helper::erase(&helper, wanted).await?;
    }
    if !file.forget(|known| key(known) == wanted).is_empty() {
        was_there = true;
        file.write()?;
    }
    Ok(was_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_one_key() {
        for (registry, expected) in [
            ("", HUB_KEY),
            ("docker.io", HUB_KEY),
            (HUB_KEY, HUB_KEY),
            ("https://registry.example:5000/v2/", "registry.example:5000"),
            ("registry.example", "registry.example"),
        ] {
            assert_eq!(key(registry), expected, "{registry}");
        }
    }
}

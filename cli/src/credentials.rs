//! Passwords for registries: those of the docker client, from its configuration file and the helpers that it names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::failure::Failure;

/// What the docker client files Docker Hub under.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The header that tells the engine who we are to a registry; none when we are nobody there.
///
/// # Errors
/// The file isn't what it should be, or a helper fails.
pub(crate) async fn header(registry: &str) -> Result<Option<String>, Failure> {
    let key = if registry == "docker.io" { HUB_KEY } else { registry }.to_owned();
    let shown = registry.to_owned();
    // A helper is a program that may ask a person.
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key)).await;
    let found =
        found.map_err(|_| Failure::Invalid(format!("can't get the credentials for {shown}: reading them failed")))?;
    let credential = match found {
        Ok(credential) => credential,
        Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured,
        ) => return Ok(None),
        // How helpers say that they know nothing of it.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.contains("credentials not found in native keychain") =>
        {
            return Ok(None);
        }
        Err(error) => return Err(Failure::Invalid(format!("can't get the credentials for {shown}: {error}"))),
    };
    let document = match credential {
        DockerCredential::IdentityToken(token) => serde_json::json!({ "identitytoken": token }),
        DockerCredential::UsernamePassword(username, password) => {
            serde_json::json!({ "username": username, "password": password })
        }
    };
    Ok(Some(URL_SAFE.encode(document.to_string())))
}

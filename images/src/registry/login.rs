//! Checks credentials at a registry.

use std::fmt;
use std::str::FromStr;

use tokio_util::sync::CancellationToken;

use super::config::{ConfigError, HUB, is_host};
use super::session::Access;
use super::{Credentials, Registries, RegistryError, first_answer};

/// Names by which Docker Hub goes.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A registry as people and clients name it when they log in: `host[:port]`, or an address of its API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server(String);

impl FromStr for Server {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let host = rest.split('/').next().unwrap_or_default();
        match host {
            "" if text.is_empty() => Ok(Self(HUB.to_owned())),
            hub if HUB_NAMES.contains(&hub) => Ok(Self(HUB.to_owned())),
            host if is_host(host) => Ok(Self(host.to_owned())),
            _ => Err(ConfigError::Server(text.to_owned())),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Registries {
    /// Asks a registry whether it knows somebody. Answers the token that it wants to hear from now on, if it gives one out.
    ///
    /// # Errors
    /// [`RegistryError::LoginRefused`] when it doesn't, others when it can't be talked to.
    pub fn log_in(
        &self,
        server: &Server,
        credentials: &Credentials,
        called_off: &CancellationToken,
    ) -> Result<Option<String>, RegistryError> {
        let access = Access { credentials: credentials.clone(), scopes: Vec::new(), called_off: called_off.clone() };
        let places = self.config.places(&server.0).into_iter().filter(|place| !place.is_mirror);
        let sessions = places.map(|place| (place.clone(), self.session(place, access.clone())));
        first_answer(sessions, |session| {
            let url = format!("{}/v2/", session.place());
            match session.wait(session.send(|http| http.get(&url))) {
                Ok(_) => Ok(session.identity_token()),
                Err(RegistryError::Refused { status: 401 | 403, .. } | RegistryError::NoCredentials) => {
                    Err(RegistryError::LoginRefused { url })
                }
                Err(error) => Err(error),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_many_spellings() {
        for (text, server) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("registry.example:5000", "registry.example:5000"),
            ("http://registry.example/v2/", "registry.example"),
        ] {
            assert_eq!(text.parse::<Server>().expect(text).to_string(), server);
        }
        for wrong in ["https://", "a b", "user@host"] {
            assert_eq!(wrong.parse::<Server>(), Err(ConfigError::Server(wrong.to_owned())));
        }
    }
}

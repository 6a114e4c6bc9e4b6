//! Registries, by the OCI distribution specification: which one a reference means, what a manifest there leads to, and
//! the bytes of its blobs.
//!
//! HTTP is asynchronous, all of this crate blocks: [`Registries`] has the handle of a runtime and waits on it, so that it must
//! be called from threads that are not that runtime's own.

mod auth;
mod blob;
mod config;
mod endpoint;
mod error;
mod image;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::reference::Reference;

pub use config::{ConfigError, Insecure, Mirror, RegistryConfig};
use endpoint::Endpoint;
pub use error::RegistryError;
pub(crate) use image::{RemoteImage, RemoteLayer};
use session::{Access, Session};

/// Who one is to a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// Somebody with a password, which may be a personal token.
    Password {
        /// Who.
        username: String,
        /// The password.
        password: String,
    },
    /// The bearer of a token that the registry itself gave out.
    Token(String),
    /// Somebody who logged in before, by a token that others are given for.
    IdentityToken(String),
}

/// Every registry there is, by the configuration of this host.
pub struct Registries {
    config: RegistryConfig,
    runtime: Handle,
}

impl Registries {
    /// Registries as `config` has them, talked to by tasks on `runtime`.
    pub fn new(config: RegistryConfig, runtime: Handle) -> Self {
        // rustls wants to be told once a process whose arithmetic it does; a second time changes nothing.
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { config, runtime }
    }

    /// What answers for a reference, in the order in which to ask.
    fn endpoints(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        called_off: &CancellationToken,
    ) -> impl Iterator<Item = Result<Arc<Endpoint>, RegistryError>> {
        let scopes = vec![format!("repository:{}:pull", reference.path())];
        self.config.places(reference.domain()).into_iter().map(move |place| {
            // A mirror is somebody else: what one is to the registry is none of its business.
            let credentials = if place.is_mirror { Credentials::Anonymous } else { credentials.clone() };
            let access = Access { credentials, scopes: scopes.clone(), called_off: called_off.clone() };
            let session = Session::new(place, access, &self.config.certificates_dir, self.runtime.clone())?;
            Ok(Arc::new(Endpoint::new(session, reference.path())))
        })
    }
}

/// The answer of the first place that has one.
fn first_answer<P, T>(
    places: impl Iterator<Item = Result<P, RegistryError>>,
    ask: impl Fn(&P) -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let mut failure = None;
    for place in places {
        match place.and_then(|place| ask(&place)) {
            Ok(answer) => return Ok(answer),
            // A registry that says no has said more than one that isn't there.
            Err(error) if error.is_of_this_place() => {
                if failure.is_none() || !matches!(error, RegistryError::Connection { .. }) {
                    failure = Some(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(failure.expect("every registry has a place to ask"))
}

//! Registries, by the OCI distribution specification: which one a reference means, what a manifest there leads to, and
//! the bytes of its blobs.
//!
//! HTTP is asynchronous, all of this crate blocks: [`Registries`] has the handle of a runtime and waits on it, so that it must
//! be called from threads that are not that runtime's own.

mod auth;
mod blob;
mod certificates;
mod config;
mod endpoint;
mod error;
mod image;
mod login;
mod manifest;
mod search;
mod session;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::fetch::PATIENCE;
use crate::reference::Reference;

pub use config::{ConfigError, Insecure, Mirror, RegistryConfig};
use endpoint::RegistryHost;
pub(crate) use endpoint::{Endpoint, delays};
pub use error::RegistryError;
pub(crate) use image::{RemoteImage, RemoteLayer};
pub use login::Server;
pub(crate) use manifest::{LayerBlob, Manifest};
#[cfg(fuzzing)]
pub(crate) use manifest::{Named, layer_blob, read};
pub use search::{FoundRepository, SearchTerm};
use session::{Access, Session};
pub(crate) use upload::{Begun, Upload};

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
    /// Without a byte for so long, a connection counts as cut.
    patience: Duration,
}

impl Registries {
    /// Registries as `config` has them, talked to by tasks on `runtime`.
    pub fn new(config: RegistryConfig, runtime: Handle) -> Self {
        // rustls wants to be told once a process whose arithmetic it does; a second time changes nothing.
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { config, runtime, patience: PATIENCE }
    }

    /// Registries that may be silent for another time than is good outside of tests.
    #[cfg(test)]
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The runtime whose tasks talk to the network.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What answers for a reference, in the order in which to ask.
    fn endpoints(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        called_off: &CancellationToken,
    ) -> impl Iterator<Item = (RegistryHost, Result<Arc<Endpoint>, RegistryError>)> {
        let scopes = vec![format!("repository:{}:pull", reference.path())];
        let access = Access { credentials: credentials.clone(), scopes, called_off: called_off.clone() };
        self.config.places(reference.domain()).into_iter().map(move |place| {
            let mut access = access.clone();
            if place.is_mirror {
                // Somebody else: what one is to the registry is none of its business.
                access.credentials = Credentials::Anonymous;
            }
            (place.clone(), self.endpoint(place, access, reference))
        })
    }

    fn endpoint(
        &self,
        place: RegistryHost,
        access: Access,
        reference: &Reference,
    ) -> Result<Arc<Endpoint>, RegistryError> {
        Ok(Arc::new(Endpoint::new(self.session(place, access)?, reference.path())))
    }

    fn session(&self, place: RegistryHost, access: Access) -> Result<Session, RegistryError> {
        Session::new(place, access, &self.config.certificates_dir, self.runtime.clone(), self.patience)
    }

    /// Where a reference's repository is to be pushed to, by somebody who is let in there. Blobs may be taken over from the
    /// repositories with the paths `sources`.
    pub(crate) fn push_target(
        &self,
        reference: &Reference,
        sources: &BTreeSet<String>,
        credentials: &Credentials,
        called_off: &CancellationToken,
    ) -> Result<Arc<Endpoint>, RegistryError> {
        let target = format!("repository:{}:pull,push", reference.path());
        let sources = sources.iter().map(|source| format!("repository:{source}:pull"));
        let scopes = std::iter::once(target).chain(sources).collect();
        let access = Access { credentials: credentials.clone(), scopes, called_off: called_off.clone() };
        let places = self.config.places(reference.domain()).into_iter().filter(|place| !place.is_mirror);
        let endpoints = places.map(|place| (place.clone(), self.endpoint(place, access.clone(), reference)));
        first_answer(endpoints, |endpoint| endpoint.greet().map(|()| endpoint.clone()))
    }
}

/// The answer of the first place that has one.
fn first_answer<P, T>(
    places: impl Iterator<Item = (RegistryHost, Result<P, RegistryError>)>,
    ask: impl Fn(&P) -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let mut failure: Option<(String, RegistryError)> = None;
    for (place, made) in places {
        let is_known = |(host, said): &(String, RegistryError)| *host == place.host && said.is_an_answer();
        if failure.as_ref().is_some_and(is_known) {
            // It has said no over TLS: without TLS it could only say that it wants TLS.
            continue;
        }
        match made.and_then(|made| ask(&made)) {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_of_this_place() => {
                if failure.as_ref().is_none_or(|(_, before)| error.says_more_than(before)) {
                    failure = Some((place.host, error));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(failure.expect("every registry has a place to ask").1)
}

//! The container that a path names, for handlers.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::container::Handle;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The container that the path's one parameter names, by id, name or the beginning of an id.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) Handle);

impl FromRequestParts<Engine> for Named {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, engine: &Engine) -> Result<Self> {
        let Path(reference) = Path::<String>::from_request_parts(parts, engine)
            .await
            .map_err(|rejection| Error::invalid(rejection.body_text()))?;
        engine.containers.registry.find(&reference).map(Self)
    }
}

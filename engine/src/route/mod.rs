//! One file a resource: thin handlers that parse, ask, and render.

pub(crate) mod build;
pub(crate) mod container;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod network;
pub(crate) mod ping;
pub(crate) mod plugin;
pub(crate) mod query;
pub(crate) mod registry;
pub(crate) mod swarm;
pub(crate) mod system;
pub(crate) mod unsupported;
pub(crate) mod volume;

use std::future::Future;

use axum::Router;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// Every resource's routes.
pub(crate) fn all() -> Router<Engine> {
    Router::new()
        .merge(unsupported::routes())
        .merge(build::routes())
        .merge(events::routes())
        .merge(image::routes())
        .merge(registry::routes())
        .merge(system::routes())
        .merge(volume::routes())
        .merge(ping::routes())
        .merge(plugin::routes())
        .merge(swarm::routes())
        .merge(container::routes())
        .merge(exec::routes())
        .merge(network::routes())
}

/// Does work apart from the connection, to its end: who hangs up meanwhile has asked for all of it.
pub(crate) async fn to_its_end<T: Send + 'static>(
    doing: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.map_err(|_| Error::Interrupted { doing })?
}

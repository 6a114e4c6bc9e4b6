//! One file a resource: thin handlers that parse, ask, and render.

pub(crate) mod container;
pub(crate) mod exec;
pub(crate) mod network;
pub(crate) mod ping;
pub(crate) mod query;

use axum::Router;

use crate::engine::Engine;

/// Every resource's routes.
pub(crate) fn all() -> Router<Engine> {
    Router::new().merge(ping::routes()).merge(container::routes()).merge(exec::routes()).merge(network::routes())
}

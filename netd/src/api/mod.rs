//! netd's API, version 1: HTTP/1.1 and JSON over the Unix socket. Handlers parse, hand over, and render.

mod about;
mod begin_by;
mod body;
mod connection;
mod events;
mod networks;
mod openapi;
mod owed;
mod owners;
mod refusal;
mod sandboxes;
#[cfg(test)]
mod tests;
mod trace;

use std::future::Future;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, Uri},
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use cnm::Kind;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub(crate) use self::connection::Connection;
pub use self::openapi::document;
use self::refusal::Refusal;
use crate::{
    Error,
    controller::{Controller, Timed},
};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) controller: Controller,
    /// Ends the streams, which have no end of their own.
    pub(crate) stopping: CancellationToken,
}

/// All of the API.
pub(crate) fn router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/version", get(about::version))
        .route("/v1/info", get(about::info))
        .route("/v1/openapi.json", get(about::openapi))
        .route("/v1/events", get(events::stream))
        .route("/v1/owed", get(owed::list))
        .route("/v1/networks", get(networks::list).post(networks::create))
        .route("/v1/networks/prune", post(networks::prune))
        .route("/v1/networks/{reference}", get(networks::inspect).delete(networks::remove))
        .route("/v1/sandboxes", get(sandboxes::list))
        .route("/v1/sandboxes/{id}", get(sandboxes::inspect).put(sandboxes::put).delete(sandboxes::remove))
        .route("/v1/sandboxes/{id}/check", get(sandboxes::check))
        .route("/v1/sandboxes/{id}/namespace", put(sandboxes::adopt_namespace))
        .route("/v1/sandboxes/{id}/endpoints", post(sandboxes::connect))
        .route("/v1/sandboxes/{id}/endpoints/{endpoint}", delete(sandboxes::disconnect))
        .route("/v1/owners/{owner}/claim", post(owners::claim))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn(begin_by::refuse_late))
        .layer(middleware::from_fn(trace::follow))
        .with_state(state)
}

async fn unknown(method: Method, uri: Uri) -> Refusal {
    Refusal::from(cnm::Error::new(Kind::NotFound, format!("netd's API has no {method} {}", uri.path())))
}

/// Finishes work that a client who hangs up must not leave half done.
async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Refusal> {
    let finished = tokio::spawn(work.instrument(tracing::Span::current())).await;
    finished.unwrap_or(Err(Error::Panicked)).map_err(Refusal::from)
}

/// A reply that says where the time went.
fn timed<T>(reply: Timed<T>, render: impl FnOnce(T) -> Response) -> Response {
    let Timed { value, timing } = reply;
    let timing = timing.to_string();
    tracing::debug!(%timing, "done");
    let mut response = render(value);
    if let Ok(header) = HeaderValue::from_str(&timing) {
        response.headers_mut().insert(SERVER_TIMING, header);
    }
    response.into_response()
}

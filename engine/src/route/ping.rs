//! `/_ping`: whether anybody is there, and what they speak.

use axum::Router;
use axum::http::HeaderName;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::engine::Engine;

pub(crate) fn routes() -> Router<Engine> {
    // HEAD comes with GET.
    Router::new().route("/_ping", get(ping))
}

async fn ping() -> impl IntoResponse {
    // Builder 1 is the classic one: a client that reads 2 would open a BuildKit session.
    let headers = [
        ("builder-version", "1"),
        ("swarm", "inactive"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
    ];
    (headers.map(|(name, value)| (HeaderName::from_static(name), value)), "OK")
}

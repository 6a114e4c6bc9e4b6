//! One span for each request, with the id that the caller gave it.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use cnm::api::TRACE_HEADER;
use tracing::Instrument;

pub(super) async fn follow(request: Request, next: Next) -> Response {
    let header = HeaderName::from_static(TRACE_HEADER);
    let trace = request.headers().get(&header).filter(|value| is_trace_id(value)).cloned();
    let id = trace.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let span = tracing::info_span!("request", method = %request.method(), path = request.uri().path(), trace = id);
    let mut response = next.run(request).instrument(span).await;
    if let Some(trace) = trace {
        response.headers_mut().insert(header, trace);
    }
    response
}

/// What isn't one is left out of the log: nobody may forge lines there.
fn is_trace_id(value: &HeaderValue) -> bool {
    (1..=64).contains(&value.len())
        && value.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

//! The daemon itself: its version, its status and the description of its API.

use axum::{Json, extract::State, response::IntoResponse};
use cnm::api::{ErrorReply, Handshake, Info};

use super::{ApiState, document, refusal::Refusal};

/// Who is on the other side of the socket.
#[utoipa::path(get, path = "/v1/version", tag = "about", responses((status = 200, body = Handshake)))]
pub(super) async fn version(State(state): State<ApiState>) -> Result<Json<Handshake>, Refusal> {
    Ok(Json(state.controller.handshake().await?))
}

/// Counts, drivers and what an administrator should know.
#[utoipa::path(get, path = "/v1/info", tag = "about", responses(
    (status = 200, body = Info),
    (status = 500, body = ErrorReply, description = "The host's firewall can't be read"),
))]
pub(super) async fn info(State(state): State<ApiState>) -> Result<Json<Info>, Refusal> {
    Ok(Json(state.controller.info().await?))
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "about", responses((status = 200, description = "OpenAPI 3.1")))]
pub(super) async fn openapi() -> impl IntoResponse {
    Json(document())
}

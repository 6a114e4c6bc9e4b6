//! Grants that are owed to drivers.

use axum::{Json, extract::State};
use cnm::api::Owed;

use super::{ApiState, refusal::Refusal};

/// What other programs were asked for and is to be given back to them, in the order of networks; empty when all is as it should be.
#[utoipa::path(get, operation_id = "list_owed", path = "/v1/owed", tag = "about", responses((status = 200, body = [Owed])))]
pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<Vec<Owed>>, Refusal> {
    Ok(Json(state.controller.owed().await?))
}

//! Claims of owners of sandboxes.

use axum::{
    Json,
    extract::{Path, State},
};
use cnm::{
    api::{Claim, ClaimReply, ErrorReply},
    id::OwnerName,
};

use super::{ApiState, body::Body, finish, refusal::Refusal};

/// Says which sandboxes an owner still wants: its others are taken down, and those that aren't there are named.
#[utoipa::path(post, operation_id = "claim_sandboxes", path = "/v1/owners/{owner}/claim", tag = "owners", request_body = Claim,
    params(("owner" = String, Path)),
    responses((status = 200, body = ClaimReply), (status = 400, body = ErrorReply)))]
pub(super) async fn claim(
    State(state): State<ApiState>,
    Path(owner): Path<String>,
    Body(wire): Body<Claim>,
) -> Result<Json<ClaimReply>, Refusal> {
    let owner: OwnerName = owner.parse()?;
    Ok(Json(finish(async move { state.controller.claim(owner, wire).await }).await?))
}

//! Networks.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cnm::{
    api::{ErrorReply, Network, NetworkCreate, NetworkQuery, PruneRequest, Pruned},
    spec::{NetworkRef, NetworkSpec},
};

use super::{
    ApiState,
    body::{Asked, Body},
    finish,
    refusal::Refusal,
    timed,
};

/// All networks, in the order of their names.
#[utoipa::path(get, operation_id = "list_networks", path = "/v1/networks", tag = "networks",
    params(("endpoints" = Option<bool>, Query, description = "Include each network's endpoints")),
    responses((status = 200, body = [Network]), (status = 400, body = ErrorReply)))]
pub(super) async fn list(State(state): State<ApiState>, Asked(query): Asked<NetworkQuery>) -> Json<Vec<Network>> {
    let read_view = state.controller.read_view();
    let show = |network: &std::sync::Arc<cnm::network::Network>| {
        if query.endpoints { read_view.show_network(network) } else { network.to_api(Vec::new()) }
    };
    Json(read_view.networks().map(show).collect())
}

/// Makes a network.
#[utoipa::path(post, operation_id = "create_network", path = "/v1/networks", tag = "networks", request_body = NetworkCreate, responses(
    (status = 201, body = Network),
    (status = 400, body = ErrorReply, description = "The request is wrong"),
    (status = 403, body = ErrorReply, description = "Its addresses overlap another network's, or there can be one only"),
    (status = 409, body = ErrorReply, description = "Its name is taken"),
    (status = 501, body = ErrorReply, description = "This release or this kernel can't do it"),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    Body(wire): Body<NetworkCreate>,
) -> Result<Response, Refusal> {
    let spec = NetworkSpec::try_from(wire)?;
    let made = finish(async move { state.controller.create_network(spec).await }).await?;
    Ok(timed(made, |network| (StatusCode::CREATED, Json(network.to_api(Vec::new()))).into_response()))
}

/// Removes networks that nobody is on; predefined ones stay.
#[utoipa::path(post, operation_id = "prune_networks", path = "/v1/networks/prune", tag = "networks", request_body = PruneRequest, responses(
    (status = 200, body = Pruned), (status = 400, body = ErrorReply),
))]
pub(super) async fn prune(
    State(state): State<ApiState>,
    Body(wire): Body<PruneRequest>,
) -> Result<Json<Pruned>, Refusal> {
    let networks = finish(async move { state.controller.prune(wire).await }).await?;
    Ok(Json(Pruned { networks }))
}

/// One network with its endpoints.
#[utoipa::path(get, operation_id = "inspect_network", path = "/v1/networks/{reference}", tag = "networks",
    params(("reference" = String, Path, description = "Its id, its name, or a unique prefix of its id")),
    responses((status = 200, body = Network), (status = 404, body = ErrorReply)))]
pub(super) async fn inspect(
    State(state): State<ApiState>,
    Path(reference): Path<String>,
) -> Result<Json<Network>, Refusal> {
    let read_view = state.controller.read_view();
    Ok(Json(read_view.show_network(read_view.network(&reference)?)))
}

/// Removes a network.
#[utoipa::path(delete, operation_id = "remove_network", path = "/v1/networks/{reference}", tag = "networks",
    params(("reference" = String, Path, description = "Its id, its name, or a unique prefix of its id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, body = ErrorReply, description = "It is predefined, or somebody is on it"),
        (status = 404, body = ErrorReply),
    ))]
pub(super) async fn remove(
    State(state): State<ApiState>,
    Path(reference): Path<String>,
) -> Result<StatusCode, Refusal> {
    let reference: NetworkRef = reference.parse()?;
    finish(async move { state.controller.remove_network(reference).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! Sandboxes and their endpoints.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cnm::{
    api::{Endpoint, EndpointRequest, ErrorReply, FoundNamespace, Sandbox, SandboxCheck, SandboxPut},
    id::{OwnerName, SandboxId},
    spec::{EndpointSpec, SandboxSpec},
};
use serde::Deserialize;

use super::{
    ApiState,
    body::{Asked, Body},
    finish,
    refusal::Refusal,
    timed,
};
use crate::{controller::PutSandbox, read_view::no_such_sandbox};

/// For whom a sandbox is changed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForOwner {
    owner: Option<String>,
}

impl ForOwner {
    fn name(self) -> Result<OwnerName, cnm::Error> {
        let owner = self.owner.ok_or_else(|| {
            cnm::Error::invalid("the request does not say whose sandbox it is about: name its owner with ?owner=NAME")
        })?;
        owner.parse()
    }
}

/// All sandboxes, in the order of their ids.
#[utoipa::path(get, operation_id = "list_sandboxes", path = "/v1/sandboxes", tag = "sandboxes", responses((status = 200, body = [Sandbox])))]
pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<Sandbox>> {
    let read_view = state.controller.read_view();
    Json(read_view.sandboxes().map(|sandbox| state.controller.show_sandbox(sandbox)).collect())
}

/// Makes a sandbox with all its endpoints and published ports at once, or not at all; or has one become that.
///
/// The id is the caller's. The same request again answers with the sandbox that is there. Another one of its owner's changes
/// it, at once or not at all: what it asks for as before stays untouched, ports of netd's choice among it.
#[utoipa::path(put, operation_id = "put_sandbox", path = "/v1/sandboxes/{id}", tag = "sandboxes", request_body = SandboxPut,
    params(("id" = String, Path, description = "Chosen by the caller: a container's id, a CNI attachment")),
    responses(
        (status = 201, body = Sandbox, description = "It was made"),
        (status = 200, body = Sandbox, description = "It was there, and is as asked for now"),
        (status = 400, body = ErrorReply, description = "The request is wrong"),
        (status = 403, body = ErrorReply, description = "It is another owner's; a network or its driver doesn't allow it"),
        (status = 404, body = ErrorReply, description = "There is no such network"),
        (status = 409, body = ErrorReply, description = "It lives in another namespace; an address or a port is taken"),
        (status = 501, body = ErrorReply, description = "This release or this kernel can't do it"),
    ))]
pub(super) async fn put(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Body(wire): Body<SandboxPut>,
) -> Result<Response, Refusal> {
    let spec = SandboxSpec::parse(&id, wire)?;
    let controller = state.controller.clone();
    let put = finish(async move { controller.put_sandbox(spec).await }).await?;
    Ok(timed(put, |put| {
        let (status, sandbox) = match &put {
            PutSandbox::Made(sandbox) => (StatusCode::CREATED, sandbox),
            PutSandbox::There(sandbox) | PutSandbox::Changed(sandbox) => (StatusCode::OK, sandbox),
        };
        (status, Json(state.controller.show_sandbox(sandbox))).into_response()
    }))
}

/// One sandbox.
#[utoipa::path(get, operation_id = "inspect_sandbox", path = "/v1/sandboxes/{id}", tag = "sandboxes",
    params(("id" = String, Path)),
    responses((status = 200, body = Sandbox), (status = 404, body = ErrorReply)))]
pub(super) async fn inspect(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<Sandbox>, Refusal> {
    let read_view = state.controller.read_view();
    Ok(Json(state.controller.show_sandbox(read_view.sandbox(&id)?)))
}

/// Compares a sandbox with what the kernel holds. Reads the kernel: it is for people.
#[utoipa::path(get, operation_id = "check_sandbox", path = "/v1/sandboxes/{id}/check", tag = "sandboxes",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = SandboxCheck, description = "What is missing or differs; nothing when it is as it should be"),
        (status = 404, body = ErrorReply),
        (status = 409, body = ErrorReply, description = "It is being removed"),
    ))]
pub(super) async fn check(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<SandboxCheck>, Refusal> {
    let id = existing(&id)?;
    Ok(Json(state.controller.check_sandbox(id).await?))
}

/// Says where the network namespace of a sandbox is that nobody keeps any more, as a claim tells. What should be in it and
/// isn't is made again.
#[utoipa::path(put, operation_id = "adopt_namespace", path = "/v1/sandboxes/{id}/namespace", tag = "sandboxes", request_body = FoundNamespace,
    params(("id" = String, Path), ("owner" = String, Query, description = "Whose it is")),
    responses(
        (status = 200, body = Sandbox, description = "It is kept"),
        (status = 400, body = ErrorReply, description = "There is no network namespace, or it is not the sandbox's"),
        (status = 403, body = ErrorReply, description = "The sandbox is somebody else's"),
        (status = 404, body = ErrorReply),
        (status = 409, body = ErrorReply, description = "Its namespace is kept"),
    ))]
pub(super) async fn adopt_namespace(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Asked(asked): Asked<ForOwner>,
    Body(wire): Body<FoundNamespace>,
) -> Result<Json<Sandbox>, Refusal> {
    let (owner, id, controller) = (asked.name()?, existing(&id)?, state.controller.clone());
    let sandbox = finish(async move { controller.adopt_namespace(&owner, id, wire.path.into()).await }).await?;
    Ok(Json(state.controller.show_sandbox(&sandbox)))
}

/// Takes a sandbox down and frees its addresses and ports.
#[utoipa::path(delete, operation_id = "remove_sandbox", path = "/v1/sandboxes/{id}", tag = "sandboxes",
    params(("id" = String, Path), ("owner" = String, Query, description = "Whose it is")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, body = ErrorReply, description = "It is somebody else's"),
        (status = 404, body = ErrorReply),
    ))]
pub(super) async fn remove(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Asked(asked): Asked<ForOwner>,
) -> Result<Response, Refusal> {
    let (owner, id) = (asked.name()?, existing(&id)?);
    let removed = finish(async move { state.controller.remove_sandbox_of(&owner, id).await }).await?;
    Ok(timed(removed, |()| StatusCode::NO_CONTENT.into_response()))
}

/// Attaches a sandbox to one more network.
#[utoipa::path(post, operation_id = "connect_endpoint", path = "/v1/sandboxes/{id}/endpoints", tag = "sandboxes", request_body = EndpointRequest,
    params(("id" = String, Path), ("owner" = String, Query, description = "Whose it is")),
    responses(
        (status = 201, body = Endpoint),
        (status = 400, body = ErrorReply, description = "The request is wrong"),
        (status = 403, body = ErrorReply, description = "The sandbox is somebody else's, is on that network, or can't be on another"),
        (status = 404, body = ErrorReply, description = "There is no such sandbox or network"),
        (status = 409, body = ErrorReply, description = "The address is taken"),
    ))]
pub(super) async fn connect(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Asked(asked): Asked<ForOwner>,
    Body(wire): Body<EndpointRequest>,
) -> Result<(StatusCode, Json<Endpoint>), Refusal> {
    let (owner, id, spec) = (asked.name()?, existing(&id)?, EndpointSpec::try_from(wire)?);
    let endpoint = finish(async move { state.controller.connect_of(&owner, id, spec).await }).await?;
    Ok((StatusCode::CREATED, Json(endpoint)))
}

/// Detaches a sandbox from a network.
#[utoipa::path(delete, operation_id = "disconnect_endpoint", path = "/v1/sandboxes/{id}/endpoints/{endpoint}", tag = "sandboxes",
    params(
        ("id" = String, Path),
        ("endpoint" = String, Path, description = "The endpoint's id"),
        ("owner" = String, Query, description = "Whose sandbox it is"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, body = ErrorReply, description = "The sandbox is somebody else's"),
        (status = 404, body = ErrorReply),
    ))]
pub(super) async fn disconnect(
    State(state): State<ApiState>,
    Path((id, endpoint)): Path<(String, String)>,
    Asked(asked): Asked<ForOwner>,
) -> Result<StatusCode, Refusal> {
    let (owner, id) = (asked.name()?, existing(&id)?);
    finish(async move { state.controller.disconnect_of(&owner, id, endpoint).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What can't be an id is the id of nothing.
fn existing(id: &str) -> Result<SandboxId, cnm::Error> {
    id.parse().map_err(|_| no_such_sandbox(id))
}

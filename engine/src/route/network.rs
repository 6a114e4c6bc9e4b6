//! `/networks`: netd's networks, and who of the containers is on them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use cnm::Kind;
use cnm::api::NetworkQuery;
use jiff::Timestamp;
use serde::Deserialize;

use crate::container::Containers;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::{Bus, ObjectKind};
use crate::filters::Filters;
use crate::netd::Netd;
use crate::orchestrate;
use crate::route::query::Query;
use crate::stream::JsonBody;
use crate::translate::create::endpoint;
use crate::translate::network::{self, Selection};
use crate::version::ApiVersion;
use crate::wire::body;
use crate::wire::models::{NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest};
use crate::wire::network::{CreatedView, InspectQuery, NetworkView, PrunedView};

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/networks", get(list))
        .route("/networks/", get(list))
        .route("/networks/create", post(create))
        .route("/networks/prune", post(prune))
        .route("/networks/{reference}", get(inspect).delete(remove))
        .route("/networks/{reference}/connect", post(connect))
        .route("/networks/{reference}/disconnect", post(disconnect))
}

#[derive(Debug, Default, Deserialize)]
struct FiltersQuery {
    filters: Option<String>,
}

async fn list(State(netd): State<Arc<Netd>>, Query(query): Query<FiltersQuery>) -> Result<Json<Vec<NetworkView>>> {
    let selection = Selection::new(Filters::parse(query.filters.as_deref())?)?;
    let query = NetworkQuery { endpoints: selection.needs_endpoints() };
    let mut networks = netd.running().await?.networks(&query).await?;
    networks.retain(|network| selection.takes(network));
    // Docker's list never says who is on a network.
    networks.iter_mut().for_each(|network| network.endpoints.clear());
    Ok(Json(networks.into_iter().map(network::view).collect()))
}

async fn inspect(
    State(netd): State<Arc<Netd>>,
    State(containers): State<Arc<Containers>>,
    version: ApiVersion,
    Path(reference): Path<String>,
    Query(query): Query<InspectQuery>,
) -> Result<Json<NetworkView>> {
    let mut found = netd.running().await?.network(&reference).await?;
    if !query.scope.is_empty() && query.scope != found.scope {
        return Err(Error::not_found(format!("network {reference} not found with scope {}", query.scope)));
    }
    for attached in &mut found.endpoints {
        // netd keeps the name of when the sandbox was made.
        if let Ok(handle) = containers.registry.find(&attached.sandbox) {
            attached.sandbox_name.clone_from(&handle.container().name);
        }
    }
    Ok(Json(network::inspect(found, version)))
}

async fn create(
    State(netd): State<Arc<Netd>>,
    version: ApiVersion,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<CreatedView>)> {
    let request = network::create(body::parse::<NetworkCreateRequest>(&body)?, version)?;
    let made = netd.running().await?.create_network(&request).await?;
    Ok((StatusCode::CREATED, Json(CreatedView { id: made.id, warning: String::new() })))
}

async fn remove(State(netd): State<Arc<Netd>>, Path(reference): Path<String>) -> Result<StatusCode> {
    netd.running().await?.remove_network(&reference).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn prune(
    State(netd): State<Arc<Netd>>,
    State(events): State<Arc<Bus>>,
    Query(query): Query<FiltersQuery>,
) -> Result<Json<PrunedView>> {
    let request = network::prune(Filters::parse(query.filters.as_deref())?, Timestamp::now())?;
    let pruned = netd.running().await?.prune(&request).await?;
    events.tell_pruned(ObjectKind::Network, 0);
    Ok(Json(PrunedView { networks_deleted: pruned.networks }))
}

/// Since this version endpoints have priorities.
const WITH_PRIORITIES: ApiVersion = ApiVersion::new(1, 48);

async fn connect(
    State(netd): State<Arc<Netd>>,
    State(containers): State<Arc<Containers>>,
    version: ApiVersion,
    Path(reference): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<StatusCode> {
    let request: NetworkConnectRequest = body::parse(&body)?;
    let mut settings = request.endpoint_config.unwrap_or_default();
    settings.gw_priority = settings.gw_priority.filter(|_| version >= WITH_PRIORITIES);
    let wanted = endpoint(&reference, &settings)?;
    let handle = containers.registry.find(&request.container)?;
    handle.run_with(&netd, move |netd, owned| Box::pin(orchestrate::network::connect(netd, owned, wanted))).await?;
    Ok(StatusCode::OK)
}

async fn disconnect(
    State(netd): State<Arc<Netd>>,
    State(containers): State<Arc<Containers>>,
    Path(reference): Path<String>,
    JsonBody(body): JsonBody,
) -> Result<StatusCode> {
    let request: NetworkDisconnectRequest = body::parse(&body)?;
    let force = request.force.unwrap_or_default();
    match containers.registry.find(&request.container) {
        Ok(handle) => {
            handle
                .run_with(&netd, move |netd, owned| {
                    Box::pin(async move { orchestrate::network::disconnect(netd, owned, &reference, force).await })
                })
                .await?;
        }
        // An endpoint that a container left behind, or that isn't a container's.
        Err(error) if force && error.kind() == Kind::NotFound => {
            disconnect_sandbox(&netd, &reference, &request.container).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(StatusCode::OK)
}

async fn disconnect_sandbox(netd: &Netd, reference: &str, sandbox: &str) -> Result<()> {
    let network = netd.running().await?.network(reference).await?;
    let mut attached = network.endpoints.iter();
    let found = attached.find(|attached| attached.sandbox == sandbox || attached.sandbox_name == sandbox);
    let found =
        found.ok_or_else(|| Error::not_found(format!("endpoint {sandbox} not found on network {}", network.name)))?;
    Ok(netd.running().await?.disconnect_endpoint(&found.sandbox, &found.endpoint.id).await?)
}

//! `/volumes`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use cnm::Kind;

use crate::engine::{Engine, random_id};
use crate::error::{Error, Result};
use crate::events::ObjectKind;
use crate::filters::Filters;
use crate::orchestrate;
use crate::orchestrate::volume::plugin_volumes::{self, PluginVolume};
use crate::route::query::Query;
use crate::route::to_its_end;
use crate::stream::JsonBody;
use crate::translate::volume::{self, Selection};
use crate::version::ApiVersion;
use crate::volume::registry::Entry;
use crate::volume::{VolumeName, Volumes};
use crate::wire::body;
use crate::wire::volume::{CreateBody, ListQuery, ListView, PruneView, RemoveQuery, VolumeView};

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/volumes", get(list))
        .route("/volumes/create", post(create))
        .route("/volumes/prune", post(prune))
        .route("/volumes/{name}", get(inspect).delete(remove).put(update))
}

async fn list(State(volumes): State<Arc<Volumes>>, Query(query): Query<ListQuery>) -> Result<Json<ListView>> {
    let selection = Selection::of_list(Filters::parse(query.filters.as_deref())?)?;
    let all = volumes.registry.all();
    let shown = all.iter().filter(|(volume, entry)| selection.shows(volume, entry));
    let mut views: Vec<_> =
        shown.map(|(volume, _)| volume::view(volume, &volumes.registry.mountpoint(volume))).collect();
    let (others, warnings) = plugin_volumes::list(&volumes, |driver| selection.shows_driver(driver)).await;
    let shown = others.iter().filter(|other| selection.shows(&other.volume, &Entry::default()));
    views.extend(shown.map(|other| volume::view_of_found(&other.volume, &other.found)));
    views.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(ListView { volumes: views, warnings: Some(warnings).filter(|warnings| !warnings.is_empty()) }))
}

async fn create(
    State(volumes): State<Arc<Volumes>>,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<VolumeView>)> {
    let body: CreateBody = body::parse_or_default(&body)?;
    let wanted = volume::wanted(body, random_id)?;
    let view = to_its_end("making a volume", async move {
        let name = wanted.name.clone();
        orchestrate::volume::create(&volumes, wanted).await?;
        show(&volumes, &name)
    });
    Ok((StatusCode::CREATED, Json(view.await?)))
}

async fn inspect(State(volumes): State<Arc<Volumes>>, Path(name): Path<String>) -> Result<Json<VolumeView>> {
    let name: VolumeName = name.parse().map_err(|_| missing(&name))?;
    let (mut view, found) = match volumes.registry.find(&name) {
        Some(volume) => {
            let view = volume::view(&volume, &volumes.registry.mountpoint(&volume));
            match volume.plugin() {
                Some(driver) => (view, orchestrate::volume::ask(&volumes, driver, &name).await?),
                None => (view, None),
            }
        }
        None => {
            volumes.registry.refuse_set_aside(&name)?;
            let PluginVolume { volume, found } =
                plugin_volumes::find(&volumes, &name).await.ok_or_else(|| missing(name.as_str()))?;
            (volume::view_of_found(&volume, &found), Some(found))
        }
    };
    if let Some(found) = found {
        view.mountpoint = found.mountpoint.display().to_string();
        view.status = found.status.filter(|status| !status.is_empty());
    }
    Ok(Json(view))
}

fn show(volumes: &Volumes, name: &VolumeName) -> Result<VolumeView> {
    let volume = volumes.registry.find(name).ok_or_else(|| missing(name.as_str()))?;
    Ok(volume::view(&volume, &volumes.registry.mountpoint(&volume)))
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

/// What can be changed of a volume is swarm's.
async fn update() -> Error {
    Error::not_implemented("changing a cluster volume (docker volume update): not supported by berth yet")
}

async fn remove(
    State(volumes): State<Arc<Volumes>>,
    Path(name): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<StatusCode> {
    to_its_end("removing a volume", async move { orchestrate::volume::remove(&volumes, &name, query.force).await })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn prune(
    State(volumes): State<Arc<Volumes>>,
    version: ApiVersion,
    Query(query): Query<ListQuery>,
) -> Result<Json<PruneView>> {
    let selection = Selection::of_prune(Filters::parse(query.filters.as_deref())?, version)?;
    to_its_end("removing unused volumes", async move {
        let mut reply = PruneView { volumes_deleted: Vec::new(), space_reclaimed: 0 };
        for (volume, entry) in volumes.registry.all() {
            if !entry.users.is_empty() || !selection.takes(&volume) {
                continue;
            }
            let bytes = orchestrate::volume::size(&volumes, &volume).await.unwrap_or_default();
            match orchestrate::volume::remove(&volumes, volume.name.as_str(), false).await {
                Ok(()) => {
                    reply.volumes_deleted.push(volume.name.to_string());
                    reply.space_reclaimed += bytes.unwrap_or_default();
                }
                // Somebody took or removed it meanwhile.
                Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        volumes.events.tell_pruned(ObjectKind::Volume, reply.space_reclaimed);
        Ok(Json(reply))
    })
    .await
}

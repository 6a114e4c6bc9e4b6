//! What images there are: list, inspect, history, tag, remove, prune.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use images::{ContainerUse, Image, ImageId, Platform, Removed};
use jiff::Timestamp;

use super::tell;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::Subject;
use crate::filters::Filters;
use crate::route::query::Query;
use crate::translate::image::{self, Selection};
use crate::version::ApiVersion;
use crate::wire::image::{
    HistoryView, ImageView, ListQuery, PlatformQuery, PruneQuery, PrunedView, RemoveQuery, RemovedView, SummaryView,
    TagQuery,
};

pub(super) async fn list(
    State(engine): State<Engine>,
    version: ApiVersion,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<SummaryView>>> {
    let filters = Filters::parse(query.filters.as_deref())?;
    engine.blocking(move |engine| Ok(Json(summaries(engine, filters, query.shared_size, version)?))).await
}

/// The images of a list; counting what they share is left to those who ask for it.
pub(crate) fn summaries(
    engine: &Engine,
    filters: Filters,
    shared_sizes: bool,
    version: ApiVersion,
) -> Result<Vec<SummaryView>> {
    let created = |name: &str| Ok(engine.images.get(name)?.config.created);
    let selection = Selection::for_list(filters, Timestamp::now(), created)?;
    let mut images = engine.images.list()?;
    let shared = match shared_sizes {
        true => Some(image::shared_sizes(&images, &engine.images.layer_sizes()?)),
        false => None,
    };
    let shared_size = |id: &ImageId| shared.as_ref().and_then(|sizes| sizes.get(id).copied());
    let mut users: HashMap<ImageId, usize> = HashMap::new();
    for used in uses(engine) {
        *users.entry(used.image).or_default() += 1;
    }
    images.retain(|image| selection.takes(image));
    images.iter_mut().for_each(|image| selection.narrow(image));
    // Docker counts containers only where it counts everything.
    let containers = |id: &ImageId| shared_sizes.then(|| users.get(id).copied().unwrap_or(0));
    let view = |image| image::summary(image, containers(&image.id), shared_size(&image.id), version);
    Ok(images.iter().map(view).collect())
}

/// Which container uses which image. A removal is rare enough to look at all of them.
fn uses(engine: &Engine) -> Vec<ContainerUse> {
    let of_handle = |handle: &crate::container::Handle| {
        let container = handle.container();
        ContainerUse {
            container_id: container.id.to_string(),
            image: container.image.id,
            running: container.state.phase.is_active(),
        }
    };
    engine.containers.all().iter().map(of_handle).collect()
}

/// An image, which is for the platform that is asked for, if one is.
fn find(engine: &Engine, name: &str, platform: Option<&Platform>) -> Result<Image> {
    let image = engine.images.get(name)?;
    let found = image.config.platform();
    match platform {
        Some(wanted) if !found.runs_on(wanted) => Err(Error::not_found(format!(
            "image with reference {name} was found but its platform ({found}) does not match the specified platform ({wanted})"
        ))),
        _ => Ok(image),
    }
}

pub(super) async fn inspect(
    engine: Engine,
    version: ApiVersion,
    name: String,
    query: PlatformQuery,
) -> Result<Json<ImageView>> {
    let platform = image::platform(&query.platform)?;
    let image = engine.blocking(move |engine| find(engine, &name, platform.as_ref())).await?;
    Ok(Json(image::inspect(image, version)))
}

pub(super) async fn history(engine: Engine, name: String, query: PlatformQuery) -> Result<Json<Vec<HistoryView>>> {
    let platform = image::platform(&query.platform)?;
    let items = engine.blocking(move |engine| {
        find(engine, &name, platform.as_ref())?;
        Ok(engine.images.history(&name)?)
    });
    Ok(Json(image::history(items.await?)))
}

pub(super) async fn tag(engine: Engine, name: String, query: TagQuery) -> Result<StatusCode> {
    let reference = image::reference(&query.repo, &query.tag)?;
    let familiar = reference.familiar();
    let id = engine
        .blocking(move |engine| {
            engine.images.tag(&name, &reference)?;
            Ok(engine.images.get(&name)?.id)
        })
        .await?;
    tell(&engine, "tag", id.to_string(), familiar);
    Ok(StatusCode::CREATED)
}

pub(super) async fn remove(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Query(query): Query<RemoveQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Vec<RemovedView>>> {
    let platform = image::only_platform(raw.as_deref().unwrap_or_default())?;
    let (id, removed) = engine
        .blocking(move |engine| {
            let id = find(engine, &name, platform.as_ref())?.id;
            Ok((id, engine.images.remove(&name, query.force, &uses(engine))?))
        })
        .await?;
    tell_removed(&engine, Some(id), &removed);
    Ok(Json(image::removed(&removed)))
}

pub(super) async fn prune(State(engine): State<Engine>, Query(query): Query<PruneQuery>) -> Result<Json<PrunedView>> {
    let selection = Selection::for_prune(Filters::parse(query.filters.as_deref())?, Timestamp::now())?;
    let pruned =
        engine.blocking(move |engine| Ok(engine.images.prune(&uses(engine), |image| selection.takes(image))?)).await?;
    tell_removed(&engine, None, &pruned.removed);
    engine.prune_event(Subject::Image, pruned.reclaimed_bytes);
    Ok(Json(image::pruned(&pruned)))
}

/// A name that is taken away is an event of the image that had it.
fn tell_removed(engine: &Engine, of: Option<ImageId>, removed: &[Removed]) {
    for item in removed {
        match item {
            Removed::Untagged(reference) => {
                let id = of.map_or_else(|| reference.familiar(), |id| id.to_string());
                tell(engine, "untag", id.clone(), id);
            }
            Removed::Image(id) => tell(engine, "delete", id.to_string(), id.to_string()),
            Removed::Layer(_) => {}
        }
    }
}

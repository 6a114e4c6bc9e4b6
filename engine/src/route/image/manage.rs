//! What images there are: list, inspect, history, tag, remove, prune.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use images::{ContainerUse, Image, ImageId, Platform, Removed};
use jiff::Timestamp;
use serde_json::Value;

use crate::blocking::Blocking as _;
use crate::container::registry::Registry;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::ObjectKind;
use crate::filters::Filters;
use crate::image::Images;
use crate::route::query::Query;
use crate::translate::image::{self, Selection};
use crate::version::ApiVersion;
use crate::wire::image::{
    HistoryView, ListQuery, PlatformQuery, PruneQuery, PrunedView, RemoveQuery, RemovedView, SummaryView, TagQuery,
};

/// Until this version a list had one filter by name beside the others.
const WITHOUT_FILTER: ApiVersion = ApiVersion::new(1, 41);

pub(super) async fn list(
    State(engine): State<Engine>,
    version: ApiVersion,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<SummaryView>>> {
    let mut filters = Filters::parse(query.filters.as_deref())?;
    if let Some(name) = query.filter.filter(|name| version < WITHOUT_FILTER && !name.is_empty()) {
        filters.add("reference", name);
    }
    engine.blocking(move |engine| Ok(Json(summaries(engine, filters, query.shared_size, version)?))).await
}

/// The images of a list; counting what they share is left to those who ask for it.
pub(crate) fn summaries(
    engine: &Engine,
    filters: Filters,
    shared_sizes: bool,
    version: ApiVersion,
) -> Result<Vec<SummaryView>> {
    let created = |name: &str| Ok(engine.images.store.get(name)?.config.created);
    let selection = Selection::for_list(filters, Timestamp::now(), created)?;
    let mut images = engine.images.store.list()?;
    let shared = match shared_sizes {
        true => Some(image::shared_sizes(&images, &engine.images.store.layer_sizes()?)),
        false => None,
    };
    let shared_size = |id: &ImageId| shared.as_ref().and_then(|sizes| sizes.get(id).copied());
    let mut users: HashMap<ImageId, usize> = HashMap::new();
    for used in uses(&engine.containers.registry) {
        *users.entry(used.image).or_default() += 1;
    }
    images.retain(|image| selection.takes(image));
    images.iter_mut().for_each(|image| selection.narrow(image));
    // Older versions have them counted only where everything is.
    let counts = shared_sizes || version >= image::COUNTS_CONTAINERS;
    let containers = |id: &ImageId| counts.then(|| users.get(id).copied().unwrap_or(0));
    let view = |image| image::summary(image, containers(&image.id), shared_size(&image.id), version);
    Ok(images.iter().map(view).collect())
}

/// Which container uses which image. A removal is rare enough to look at all of them.
fn uses(containers: &Registry) -> Vec<ContainerUse> {
    let of_handle = |handle: &crate::container::Handle| {
        let container = handle.container();
        ContainerUse {
            container_id: container.id.to_string(),
            image: container.image.id,
            named: container.image.reference.clone(),
            running: container.state.phase.is_active(),
        }
    };
    containers.all().iter().map(of_handle).collect()
}

/// An image, which is for the platform that is asked for, if one is.
fn find(images: &Images, name: &str, platform: Option<&Platform>) -> Result<Image> {
    let image = images.store.get(name)?;
    let found = image.config.platform();
    match platform {
        Some(wanted) if !found.runs_on(wanted) => Err(Error::not_found(format!(
            "image with reference {name} was found but its platform ({found}) does not match the specified platform ({wanted})"
        ))),
        _ => Ok(image),
    }
}

pub(super) async fn inspect(
    images: Arc<Images>,
    version: ApiVersion,
    name: String,
    query: PlatformQuery,
) -> Result<Json<Value>> {
    let platform = image::platform(&query.platform)?;
    let image = images.blocking(move |images| find(images, &name, platform.as_ref())).await?;
    Ok(Json(image::inspect(image, version)))
}

pub(super) async fn history(images: Arc<Images>, name: String, query: PlatformQuery) -> Result<Json<Vec<HistoryView>>> {
    let platform = image::platform(&query.platform)?;
    let items = images.blocking(move |images| {
        find(images, &name, platform.as_ref())?;
        Ok(images.store.history(&name)?)
    });
    Ok(Json(image::history(items.await?)))
}

pub(super) async fn tag(images: Arc<Images>, name: String, query: TagQuery) -> Result<StatusCode> {
    let reference = image::reference(&query.repo, &query.tag)?;
    let familiar = reference.familiar();
    let tagged = images.blocking(move |images| {
        images.store.tag(&name, &reference)?;
        images.tell("tag", images.store.get(&name)?.id, familiar);
        Ok(StatusCode::CREATED)
    });
    tagged.await
}

pub(super) async fn remove(
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Query(query): Query<RemoveQuery>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Vec<RemovedView>>> {
    let platform = image::only_platform(raw.as_deref().unwrap_or_default(), "platforms")?;
    let removed = engine
        .blocking(move |engine| {
            let image = find(&engine.images, &name, platform.as_ref())?;
            let removed = engine.images.store.remove(&name, query.force, &uses(&engine.containers.registry))?;
            tell_removed(&engine.images, &[(image.id, image.config.config.labels)].into(), &removed);
            Ok(removed)
        })
        .await?;
    Ok(Json(image::removed(&removed)))
}

pub(super) async fn prune(State(engine): State<Engine>, Query(query): Query<PruneQuery>) -> Result<Json<PrunedView>> {
    let selection = Selection::for_prune(Filters::parse(query.filters.as_deref())?, Timestamp::now())?;
    let mut labels = HashMap::new();
    let pruned = engine.blocking(move |engine| {
        let select = |image: &Image| {
            let taken = selection.takes(image);
            if taken {
                labels.insert(image.id, image.config.config.labels.clone());
            }
            taken
        };
        let pruned = engine.images.store.prune(&uses(&engine.containers.registry), select)?;
        tell_removed(&engine.images, &labels, &pruned.removed);
        Ok(pruned)
    });
    let pruned = pruned.await?;
    engine.events.tell_pruned(ObjectKind::Image, pruned.reclaimed_bytes);
    Ok(Json(image::pruned(&pruned)))
}

/// A name that is taken away is an event of the image that had it. The labels are those of before.
fn tell_removed(images: &Images, labels: &HashMap<ImageId, BTreeMap<String, String>>, removed: &[Removed]) {
    for item in removed {
        let (action, image, name) = match item {
            Removed::Untagged(reference, image) => ("untag", image, reference.familiar()),
            Removed::Image(image) => ("delete", image, image.to_string()),
            Removed::Layer(_) => continue,
        };
        let labels = labels.get(image).cloned().unwrap_or_default();
        images.tell_of(action, image.to_string(), name, labels);
    }
}

//! `GET /containers/json`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use images::ImageId;
use jiff::Timestamp;

use super::image_names::ImageNames;
use crate::blocking::Blocking as _;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::filters::Filters;
use crate::image::Images;
use crate::orchestrate::usage;
use crate::route::query::Query;
use crate::translate::selection::{Lookup, Selection, newest_first};
use crate::translate::summary;
use crate::version::ApiVersion;
use crate::wire::lifecycle::ListQuery;
use crate::wire::summary::SummaryView;

pub(super) async fn list(
    State(engine): State<Engine>,
    version: ApiVersion,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<SummaryView>>> {
    let filters = Filters::parse(query.filters.as_deref())?;
    let limit = query.limit.filter(|limit| *limit > 0).and_then(|limit| usize::try_from(limit).ok());
    engine
        .blocking(move |engine| {
            let selection = select(engine, filters)?;
            let all = query.all || limit.is_some() || selection.names_a_state();
            let mut shown: Vec<Arc<Container>> =
                engine.containers.registry.all().iter().map(|handle| handle.container()).collect();
            shown.retain(|container| (all || container.state.phase.is_active()) && selection.shows(container));
            newest_first(&mut shown);
            shown.truncate(limit.unwrap_or(usize::MAX));
            let now = Timestamp::now();
            let mut names = ImageNames::default();
            let view = |container: &Arc<Container>| {
                let usage = if query.size { Some(usage::of(&engine.images, container)?) } else { None };
                let mut view = summary::container(container, &engine.volumes.registry, usage, now, version);
                view.image = names.of(&engine.images, container)?;
                Ok(view)
            };
            shown.iter().map(view).collect::<Result<_>>().map(Json)
        })
        .await
}

/// Understands filters of a list of containers.
pub(super) fn select(engine: &Engine, filters: Filters) -> Result<Selection> {
    let lookup = Lookup {
        created: &|reference| Ok(engine.containers.registry.find(reference)?.container().created),
        image: &|reference| descendants(&engine.images, reference),
        now: Timestamp::now(),
    };
    Selection::parse(filters, &lookup)
}

/// An image and those that were made from it: their layers begin with its own.
fn descendants(images: &Images, reference: &str) -> Result<Vec<ImageId>> {
    let ancestor = match images.store.get(reference) {
        Ok(image) => image,
        // Docker's list is empty then.
        Err(images::Error::NoSuchImage(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let all = images.store.list()?;
    let mut found: Vec<ImageId> = all
        .iter()
        .filter(|image| image.layers.len() > ancestor.layers.len() && image.layers.starts_with(&ancestor.layers))
        .map(|image| image.id)
        .collect();
    found.push(ancestor.id);
    Ok(found)
}

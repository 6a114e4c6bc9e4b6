//! `GET /system/df`

use axum::Json;
use axum::extract::{RawQuery, State};
use images::CachedStep;
use jiff::Timestamp;

use crate::blocking::Blocking as _;
use crate::engine::Engine;
use crate::error::Result;
use crate::filters::Filters;
use crate::image::Images;
use crate::orchestrate::{usage, volume};
use crate::route::container::image_names::ImageNames;
use crate::route::image::summaries;
use crate::translate::disk::{self, Layers};
use crate::translate::summary;
use crate::version::ApiVersion;
use crate::wire::disk::{CacheView, DiskView, Totals, UsageRequest};
use crate::wire::image::SummaryView as ImageSummary;
use crate::wire::summary::SummaryView as ContainerSummary;

pub(super) async fn usage(
    State(engine): State<Engine>,
    version: ApiVersion,
    RawQuery(query): RawQuery,
) -> Result<Json<DiskView>> {
    let wanted = UsageRequest::parse(query.as_deref().unwrap_or_default(), version)?;
    let volumes = match wanted.volumes {
        true => Some(volume::usage(&engine.volumes).await?),
        false => None,
    };
    engine
        .blocking(move |engine| {
            let mut view = DiskView::default();
            if wanted.images {
                let totals = image_totals(engine)?;
                view.layers_size = wanted.form.lists.then_some(totals.total_size);
                let found = Some((images(engine, version)?, totals));
                (view.images, view.image_usage) = disk::placed(found, wanted.form);
            }
            let containers = wanted.containers.then(|| containers(engine, version)).transpose()?;
            let cache = wanted.build_cache.then(|| build_cache(&engine.images)).transpose()?;
            (view.containers, view.container_usage) = disk::placed(with(containers, disk::of_containers), wanted.form);
            (view.volumes, view.volume_usage) = disk::placed(with(volumes, disk::of_volumes), wanted.form);
            (view.build_cache, view.build_cache_usage) = disk::placed(with(cache, disk::of_cache), wanted.form);
            Ok(Json(view))
        })
        .await
}

fn with<T>(objects: Option<Vec<T>>, totals: impl Fn(&[T]) -> Totals) -> Option<(Vec<T>, Totals)> {
    objects.map(|objects| {
        let totals = totals(&objects);
        (objects, totals)
    })
}

/// Steps that only alter the configuration take no room.
fn build_cache(images: &Images) -> Result<Vec<CacheView>> {
    let steps = images.store.cached_steps()?;
    let view = |step: CachedStep| CacheView {
        id: step.key.short(),
        kind: "regular",
        description: step.instruction,
        in_use: false,
        shared: step.is_shared,
        size: step.size_bytes,
        created_at: step.created.to_string(),
        last_used_at: step.used.to_string(),
        usage_count: 1,
    };
    let mut views: Vec<_> = steps.into_iter().filter(|step| step.size_bytes > 0).map(view).collect();
    views.extend(images.store.cache_directories()?.into_iter().map(|cache| CacheView {
        id: cache.id,
        kind: "exec.cachemount",
        description: "directory of RUN --mount=type=cache".to_owned(),
        in_use: cache.is_in_use,
        shared: false,
        size: cache.size_bytes,
        created_at: cache.changed.to_string(),
        last_used_at: cache.changed.to_string(),
        usage_count: 1,
    }));
    Ok(views)
}

fn image_totals(engine: &Engine) -> Result<Totals> {
    let used = engine.containers.registry.all().iter().map(|handle| handle.container().image.id).collect();
    let layers =
        Layers { sizes: engine.images.store.layer_sizes()?, total_bytes: engine.images.store.layers_size_bytes()? };
    Ok(disk::of_images(&engine.images.store.list()?, &used, &layers))
}

fn images(engine: &Engine, version: ApiVersion) -> Result<Vec<ImageSummary>> {
    summaries(engine, Filters::default(), true, version)
}

/// With what each has written, which is counted by walking it.
fn containers(engine: &Engine, version: ApiVersion) -> Result<Vec<ContainerSummary>> {
    let now = Timestamp::now();
    let mut names = ImageNames::default();
    let view = |handle: &crate::container::Handle| {
        let container = handle.container();
        let usage = usage::of(&engine.images, &container)?;
        let mut view = summary::container(&container, &engine.volumes.registry, Some(usage), now, version);
        view.image = names.of(&engine.images, &container)?;
        Ok(view)
    };
    engine.containers.registry.all().iter().map(view).collect()
}

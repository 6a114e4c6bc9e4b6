//! `GET /system/df`

use axum::Json;
use axum::extract::{RawQuery, State};
use images::CachedStep;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filters::Filters;
use crate::orchestrate::{usage, volume};
use crate::route::container::moved_name::Names;
use crate::route::image::summaries;
use crate::translate::summary;
use crate::version::ApiVersion;
use crate::wire::disk::{CacheView, DiskView, Wanted};
use crate::wire::image::SummaryView as ImageSummary;
use crate::wire::summary::SummaryView as ContainerSummary;

pub(super) async fn usage(
    State(engine): State<Engine>,
    version: ApiVersion,
    RawQuery(query): RawQuery,
) -> Result<Json<DiskView>> {
    let wanted = Wanted::parse(query.as_deref().unwrap_or_default()).map_err(|unknown| {
        Error::invalid(format!("unknown object type: {unknown:?}: container, image, volume and build-cache are known"))
    })?;
    let volumes = match wanted.volumes {
        true => Some(volume::usage(&engine).await?),
        false => None,
    };
    engine
        .blocking(move |engine| {
            let images = wanted.images.then(|| images(engine, version)).transpose()?;
            let containers = wanted.containers.then(|| containers(engine, version)).transpose()?;
            let layers_size = wanted.images.then(|| engine.images.layers_size_bytes()).transpose()?;
            Ok(Json(DiskView {
                layers_size,
                images,
                containers,
                volumes,
                build_cache: wanted.build_cache.then(|| build_cache(engine)).transpose()?,
            }))
        })
        .await
}

/// Steps that only alter the configuration take no room.
fn build_cache(engine: &Engine) -> Result<Vec<CacheView>> {
    let steps = engine.images.cached_steps()?;
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
    views.extend(engine.images.cache_directories()?.into_iter().map(|cache| CacheView {
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

fn images(engine: &Engine, version: ApiVersion) -> Result<Vec<ImageSummary>> {
    summaries(engine, Filters::default(), true, version)
}

/// With what each has written, which is counted by walking it.
fn containers(engine: &Engine, version: ApiVersion) -> Result<Vec<ContainerSummary>> {
    let now = Timestamp::now();
    let mut names = Names::default();
    let view = |handle: &crate::container::Handle| {
        let container = handle.container();
        let usage = usage::of(engine, &container)?;
        let mut view = summary::container(&container, &engine.volumes, Some(usage), now, version);
        view.image = names.of(engine, &container)?;
        Ok(view)
    };
    engine.containers.all().iter().map(view).collect()
}

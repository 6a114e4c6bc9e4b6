//! `GET /containers/{id}/json`

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::named::Named;
use crate::engine::Engine;
use crate::error::Result;
use crate::orchestrate::usage;
use crate::route::query::Query;
use crate::translate::inspect::{self, Where};
use crate::wire::lifecycle::InspectQuery;

pub(super) async fn inspect(
    State(engine): State<Engine>,
    Named(handle): Named,
    Query(query): Query<InspectQuery>,
) -> Result<Json<Value>> {
    let container = handle.container();
    let sized = container.clone();
    let (rootfs, usage) = engine
        .blocking(move |engine| {
            let usage = if query.size { Some(usage::of(engine, &sized)?) } else { None };
            Ok((engine.images.rootfs(sized.id.as_str()).ok(), usage))
        })
        .await?;
    let etc_owner = inspect::etc_owner(&container);
    let place = Where {
        etc: engine.container_directory(etc_owner),
        log: engine.log_path(&container.id),
        volumes: engine.volumes.clone(),
        execs: engine.execs.of_container(&container.id),
        rootfs,
    };
    Ok(Json(inspect::container(&container, &place, usage)))
}

//! `GET /containers/{id}/json`

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::named::Named;
use crate::blocking::Blocking as _;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::orchestrate::usage;
use crate::route::query::Query;
use crate::translate::inspect::{self, Where};
use crate::version::ApiVersion;
use crate::wire::lifecycle::InspectQuery;

pub(super) async fn inspect(
    State(engine): State<Engine>,
    Named(handle): Named,
    version: ApiVersion,
    Query(query): Query<InspectQuery>,
) -> Result<Json<Value>> {
    let mut container = Container::clone(&handle.container());
    let sized = container.clone();
    let (rootfs, usage, oom_killed) = engine
        .blocking(move |engine| {
            let usage = if query.size { Some(usage::of(&engine.images, &sized)?) } else { None };
            // Its end will tell; as long as it runs, its cgroup does.
            let oom_killed =
                sized.state.phase.is_alive() && engine.containers.runtime.is_oom_killed(&sized.id).unwrap_or(false);
            Ok((engine.images.store.rootfs(sized.id.as_str()).ok(), usage, oom_killed))
        })
        .await?;
    container.state.oom_killed |= oom_killed;
    let etc_owner = inspect::etc_owner(&container);
    let place = Where {
        etc: engine.containers.directory(etc_owner),
        log: engine.containers.log_path(&container.id),
        volumes: engine.volumes.registry.clone(),
        execs: engine.containers.execs.of_container(&container.id),
        rootfs,
    };
    Ok(Json(inspect::container(&container, &place, usage, version)))
}

//! `POST /containers/prune`

use axum::Json;
use axum::extract::State;
use cnm::Kind;

use super::list;
use crate::blocking::Blocking as _;
use crate::engine::Engine;
use crate::error::Result;
use crate::events::ObjectKind;
use crate::filters::Filters;
use crate::orchestrate::remove::{self, AnonymousVolumes};
use crate::orchestrate::usage;
use crate::route::query::Query;
use crate::wire::query::FiltersQuery;
use crate::wire::summary::PruneReply;

pub(super) async fn prune(State(engine): State<Engine>, Query(query): Query<FiltersQuery>) -> Result<Json<PruneReply>> {
    let filters = Filters::parse(query.filters.as_deref())?.only(&["until", "label", "label!"])?;
    let selection = engine.blocking(move |engine| list::select(engine, filters)).await?;
    let mut reply = PruneReply { containers_deleted: Vec::new(), space_reclaimed: 0 };
    for handle in engine.containers.registry.all() {
        let container = handle.container();
        if container.state.phase.is_active() || !selection.shows(&container) {
            continue;
        }
        let measured = container.clone();
        let written =
            engine.blocking(move |engine| Ok(usage::of(&engine.images, &measured)?.written_bytes)).await.unwrap_or(0);
        match handle
            .run_with(&engine, |engine, owned| Box::pin(remove::remove(engine, owned, false, AnonymousVolumes::Keep)))
            .await
        {
            Ok(()) => {
                reply.containers_deleted.push(container.id.to_string());
                reply.space_reclaimed += written;
            }
            // Somebody started or removed it meanwhile.
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    engine.events.tell_pruned(ObjectKind::Container, reply.space_reclaimed);
    Ok(Json(reply))
}

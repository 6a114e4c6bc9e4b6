//! `/containers`, except for execs; `/commit`, which makes an image of one; and `/berth/containers`, which Docker hasn't.

mod archive;
mod attach;
mod commit;
mod create;
mod export;
pub(crate) mod image_names;
mod inspect;
mod lifecycle;
mod list;
mod logs;
pub(crate) mod named;
mod ports;
mod prune;
mod stats;
mod top;
mod update;
mod wait;

use axum::Router;
use axum::routing::{any, delete, get, post};

use crate::engine::Engine;
use crate::error::Error;

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/containers/create", post(create::create))
        .route("/containers/json", get(list::list))
        .route("/containers/prune", post(prune::prune))
        .route("/containers/{reference}", delete(lifecycle::remove))
        .route("/containers/{reference}/json", get(inspect::inspect))
        .route("/containers/{reference}/attach", post(attach::attach))
        .route("/containers/{reference}/logs", get(logs::logs))
        .route("/containers/{reference}/stats", get(stats::stats))
        .route("/containers/{reference}/top", get(top::top))
        .route("/containers/{reference}/start", post(lifecycle::start))
        .route("/containers/{reference}/stop", post(lifecycle::stop))
        .route("/containers/{reference}/restart", post(lifecycle::restart))
        .route("/containers/{reference}/kill", post(lifecycle::kill))
        .route("/containers/{reference}/pause", post(lifecycle::pause))
        .route("/containers/{reference}/unpause", post(lifecycle::unpause))
        .route("/containers/{reference}/rename", post(lifecycle::rename))
        .route("/containers/{reference}/resize", post(lifecycle::resize))
        .route("/containers/{reference}/wait", post(wait::wait))
        .route("/containers/{reference}/update", post(update::update))
        .route("/containers/{reference}/archive", get(archive::get).head(archive::stat).put(archive::put))
        .route("/containers/{reference}/changes", get(export::changes))
        .route("/containers/{reference}/export", get(export::export))
        .route("/berth/containers/{reference}/ports", post(ports::change))
        .route("/commit", post(commit::commit))
        .route("/containers/{reference}/attach/ws", get(attach::over_websocket))
        .route("/containers/{reference}/checkpoints", any(|| missing("checkpoints (docker checkpoint)")))
}

async fn missing(what: &'static str) -> Error {
    Error::not_implemented(format!("{what}: not supported by berth yet"))
}

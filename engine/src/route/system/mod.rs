//! What berthd is, what it has, and how much of the disk that takes.

mod disk;
mod info;
mod version;

use axum::Router;
use axum::routing::get;

use crate::engine::Engine;

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/info", get(info::info))
        .route("/version", get(version::version))
        .route("/system/df", get(disk::usage))
}

//! `/plugins`: those that a daemon fetches and runs itself, of which there are none here. Plugins with a socket of their own
//! are found without being listed, as with Docker.

use axum::extract::Path;
use axum::http::Method;
use axum::routing::{any, get, post};
use axum::{Json, Router};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filters::Filters;
use crate::route::query::Query;
use crate::wire::query::FiltersQuery;

pub(crate) fn routes() -> Router<Engine> {
    Router::new()
        .route("/plugins", get(list))
        .route("/plugins/privileges", get(|| async { refused("docker plugin install") }))
        .route("/plugins/pull", post(|| async { refused("docker plugin install") }))
        .route("/plugins/create", post(|| async { refused("docker plugin create") }))
        .route("/plugins/{*path}", any(missing))
}

async fn list(Query(query): Query<FiltersQuery>) -> Result<Json<[(); 0]>> {
    let filters = Filters::parse(query.filters.as_deref())?.only(&["capability", "enabled"])?;
    filters.flag("enabled")?;
    Ok(Json([]))
}

/// Names have slashes in them; what is asked of a plugin is the end of a path.
async fn missing(method: Method, Path(path): Path<String>) -> Error {
    match (method, path.rsplit_once('/')) {
        (Method::DELETE, _) => no_such(&path),
        (Method::GET, Some((name, "json")))
        | (Method::POST, Some((name, "enable" | "disable" | "set" | "push" | "upgrade"))) => no_such(name),
        _ => Error::not_found("page not found"),
    }
}

fn no_such(name: &str) -> Error {
    Error::not_found(format!("plugin {name:?} not found"))
}

fn refused(command: &str) -> Error {
    Error::not_implemented(format!(
        "plugins that the daemon fetches and runs ({command}): not supported by berth yet: run the plugin yourself, with its socket in /run/docker/plugins"
    ))
}

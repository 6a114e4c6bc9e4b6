//! What Docker has and berth doesn't have yet: each is refused by its name.

use axum::Router;
use axum::routing::any;

use crate::engine::Engine;
use crate::error::Error;

/// Paths, and what they are in a user's words.
const ABSENT: [(&str, &str); 4] = [
    ("/build/cancel", "building images (docker build)"),
    ("/distribution/{*rest}", "asking registries about images (docker manifest)"),
    ("/grpc", "BuildKit's API (set DOCKER_BUILDKIT=0 for docker build, or use berth build)"),
    ("/session", "BuildKit's API (set DOCKER_BUILDKIT=0 for docker build, or use berth build)"),
];

pub(crate) fn routes() -> Router<Engine> {
    ABSENT.into_iter().fold(Router::new(), |routes, (path, what)| {
        routes.route(
            path,
            any(move || async move { Error::not_implemented(format!("{what}: not supported by berth yet")) }),
        )
    })
}

//! What Docker has and berth doesn't have yet: each is refused by its name.

use axum::Router;
use axum::routing::any;

use crate::engine::Engine;
use crate::error::Error;

/// Paths, and what they are in a user's words.
const ABSENT: [(&str, &str); 18] = [
    ("/build/cancel", "building images (docker build)"),
    ("/configs", "swarm mode (docker config)"),
    ("/configs/{*rest}", "swarm mode (docker config)"),
    ("/distribution/{*rest}", "asking registries about images (docker manifest)"),
    ("/grpc", "BuildKit sessions (docker buildx)"),
    ("/nodes", "swarm mode (docker node)"),
    ("/nodes/{*rest}", "swarm mode (docker node)"),
    ("/plugins", "plugins (docker plugin)"),
    ("/plugins/{*rest}", "plugins (docker plugin)"),
    ("/secrets", "swarm mode (docker secret)"),
    ("/secrets/{*rest}", "swarm mode (docker secret)"),
    ("/services", "swarm mode (docker service)"),
    ("/services/{*rest}", "swarm mode (docker service)"),
    ("/session", "BuildKit sessions (docker buildx)"),
    ("/swarm", "swarm mode (docker swarm)"),
    ("/swarm/{*rest}", "swarm mode (docker swarm)"),
    ("/tasks", "swarm mode (docker stack)"),
    ("/tasks/{*rest}", "swarm mode (docker stack)"),
];

pub(crate) fn routes() -> Router<Engine> {
    ABSENT.into_iter().fold(Router::new(), |routes, (path, what)| {
        routes.route(
            path,
            any(move || async move { Error::not_implemented(format!("{what}: not supported by berth yet")) }),
        )
    })
}

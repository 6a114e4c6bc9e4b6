//! Swarm mode, which berth doesn't have: what asks about a swarm is answered as by a node that is in none, which clients
//! are written for, and what would make one is refused by its name.

use axum::Router;
use axum::routing::{any, post};

use crate::engine::Engine;
use crate::error::Error;

const NO_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";
const NO_SWARM: &str = "This node is not part of a swarm";

/// What only a manager knows, and what is below it.
const MANAGED: [&str; 9] = [
    "/configs",
    "/nodes",
    "/secrets",
    "/services",
    "/swarm",
    "/swarm/unlock",
    "/swarm/unlockkey",
    "/swarm/update",
    "/tasks",
];

pub(crate) fn routes() -> Router<Engine> {
    let routes = Router::new()
        .route("/swarm/init", post(|| async { refused("docker swarm init") }))
        .route("/swarm/join", post(|| async { refused("docker swarm join") }))
        .route("/swarm/leave", post(|| async { Error::NotInSwarm(NO_SWARM) }));
    let managed = MANAGED.into_iter().fold(routes, |routes, path| routes.route(path, any(no_manager)));
    let below = MANAGED.into_iter().filter(|path| !path.starts_with("/swarm"));
    below.fold(managed, |routes, path| routes.route(&format!("{path}/{{*rest}}"), any(no_manager)))
}

async fn no_manager() -> Error {
    Error::NotInSwarm(NO_MANAGER)
}

fn refused(command: &str) -> Error {
    Error::not_implemented(format!("swarm mode ({command}): not supported by berth, whose hosts are each on their own"))
}

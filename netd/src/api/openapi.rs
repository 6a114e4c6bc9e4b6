//! The API's description, generated from the handlers and the wire types.

use utoipa::OpenApi;

use super::{about, events, networks, owed, owners, sandboxes};

#[derive(OpenApi)]
#[openapi(
    info(title = "netd", description = "The network daemon of berth, over its Unix socket."),
    paths(
        about::version,
        about::info,
        about::openapi,
        owed::list,
        events::stream,
        networks::list,
        networks::create,
        networks::prune,
        networks::inspect,
        networks::remove,
        sandboxes::list,
        sandboxes::put,
        sandboxes::inspect,
        sandboxes::check,
        sandboxes::adopt_namespace,
        sandboxes::remove,
        sandboxes::connect,
        sandboxes::disconnect,
        owners::claim,
    ),
    tags(
        (name = "about", description = "The daemon: its version, its status and the description of its API"),
        (name = "networks", description = "Networks"),
        (name = "sandboxes", description = "Sandboxes: namespaces with their endpoints and published ports"),
        (name = "owners", description = "Whose sandboxes they are"),
        (name = "events", description = "What happens"),
    )
)]
struct Document;

/// The OpenAPI document of this version.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

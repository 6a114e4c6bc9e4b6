//! What a request waits for while berthd takes up where the last one ended: for what it is about, and for nothing else.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::future::join_all;

use crate::engine::Engine;

/// What must be known before a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs<'a> {
    /// It is about nothing that has to be taken up.
    Nothing,
    /// The container with this name or id.
    Container(&'a str),
    /// Every container.
    Containers,
    /// That also all is gone which belongs to nothing: it may make what would be taken for such, or it looks at what is left.
    Everything,
}

impl<'a> Needs<'a> {
    fn of(path: &'a str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            // An exec that is known was made since.
            ["_ping" | "version" | "events" | "auth"] | ["exec", ..] => Self::Nothing,
            ["info"] | ["containers", "json"] | ["images", ..] => Self::Containers,
            ["containers", reference, verb, ..] if concerns_only_its_container(verb) => Self::Container(reference),
            _ => Self::Everything,
        }
    }

    async fn wait(self, engine: &Engine) {
        match self {
            Self::Nothing => {}
            // Of one that isn't there, the handler says so.
            Self::Container(reference) => {
                if let Ok(handle) = engine.containers.registry.find(reference) {
                    handle.known().await;
                }
            }
            Self::Containers => {
                let handles = engine.containers.registry.all();
                join_all(handles.iter().map(|handle| handle.known())).await;
            }
            Self::Everything => engine.after_recovery().await,
        }
    }
}

/// What starts a container, removes one or works on its files isn't among these: it meets volumes, other containers and
/// what is left over of them.
fn concerns_only_its_container(verb: &str) -> bool {
    const VERBS: [&str; 13] = [
        "attach", "exec", "json", "kill", "logs", "pause", "rename", "resize", "stats", "stop", "top", "unpause",
        "wait",
    ];
    VERBS.contains(&verb)
}

/// Waits, then asks the handler. The path has no version any more.
pub(crate) async fn wait(State(engine): State<Engine>, request: Request, next: Next) -> Response {
    Needs::of(request.uri().path()).wait(&engine).await;
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_for_what_it_is_about() {
        let table = [
            ("/_ping", Needs::Nothing),
            ("/version", Needs::Nothing),
            ("/events", Needs::Nothing),
            ("/exec/abc/start", Needs::Nothing),
            ("/info", Needs::Containers),
            ("/containers/json", Needs::Containers),
            ("/images/json", Needs::Containers),
            ("/containers/web/json", Needs::Container("web")),
            ("/containers/web/attach/ws", Needs::Container("web")),
            ("/containers/web/stop", Needs::Container("web")),
            ("/containers/create", Needs::Everything),
            ("/containers/prune", Needs::Everything),
            ("/containers/web", Needs::Everything),
            ("/containers/web/start", Needs::Everything),
            ("/containers/web/archive", Needs::Everything),
            ("/networks", Needs::Everything),
            ("/volumes/prune", Needs::Everything),
            ("/build", Needs::Everything),
            ("/", Needs::Everything),
        ];
        for (path, needs) in table {
            assert_eq!(Needs::of(path), needs, "{path}");
        }
    }
}

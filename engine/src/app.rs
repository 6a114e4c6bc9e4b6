//! The router: every resource's routes, the fallback in Docker's words, and version negotiation around all of it.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn;

use crate::engine::Engine;
use crate::error::Error;
use crate::{route, version};

/// The whole API as a service on one socket.
pub fn app(engine: Engine) -> Router {
    negotiated(route::all().with_state(engine))
}

/// The version is taken off the path before the router looks at it, so negotiation goes around the router: a layer on the
/// router itself would run after matching.
fn negotiated(routes: Router) -> Router {
    Router::new()
        .fallback_service(routes.fallback(not_found).method_not_allowed_fallback(not_found))
        .layer(from_fn(version::negotiate))
}

async fn not_found(_request: Request) -> Error {
    Error::not_found("page not found")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(path: &str) -> (StatusCode, String) {
        let app = negotiated(Router::new().route("/_ping", axum::routing::get(|| async { "OK" })));
        let reply = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(reply.headers()["Api-Version"], "1.52");
        assert_eq!(reply.headers()["Ostype"], "linux");
        let status = reply.status();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_path_may_name_a_version() {
        for path in ["/_ping", "/v1.24/_ping", "/v1.52/_ping"] {
            assert_eq!(get(path).await, (StatusCode::OK, "OK".into()), "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_in_dockers_words() {
        let refused = |status, message: &str| (status, format!("{{\"message\":\"{message}\"}}"));
        assert_eq!(get("/v1.40/nowhere").await, refused(StatusCode::NOT_FOUND, "page not found"));
        assert_eq!(
            get("/v1.99/_ping").await,
            refused(StatusCode::BAD_REQUEST, "client version 1.99 is too new. Maximum supported API version is 1.52")
        );
    }
}

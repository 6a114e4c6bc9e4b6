//! The router: every resource's routes, the fallback in Docker's words, and version negotiation around all of it.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::engine::Engine;
use crate::error::Error;
use crate::stream::drain_body;
use crate::{route, version, waiting};

/// The whole API as a service on one socket.
pub fn app(engine: Engine) -> Router {
    let waits = from_fn_with_state(engine.clone(), waiting::wait);
    negotiated(route::all().layer(waits).with_state(engine))
}

/// The version is taken off the path before the router looks at it, so negotiation goes around the router: a layer on the
/// router itself would run after matching.
fn negotiated(routes: Router) -> Router {
    Router::new()
        .fallback_service(routes.fallback(not_found).method_not_allowed_fallback(not_found))
        .layer(from_fn(version::negotiate))
        .layer(from_fn(drain_body))
}

async fn not_found(_request: Request) -> Error {
    Error::not_found("page not found")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};
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
    async fn a_client_that_sends_all_before_it_reads_hears_why_it_is_refused() {
        // More than any socket's buffers hold.
        const LENGTH: usize = 32 << 20;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let refusing = Router::new().route("/load", axum::routing::put(|| async { Error::conflict("not now") }));
        let listener = UnixListener::bind(&path).unwrap();
        let server = tokio::spawn(axum::serve(listener, negotiated(refusing)).into_future());
        for (route, status, message) in [("/load", 409, "not now"), ("/absent", 404, "page not found")] {
            let mut client = UnixStream::connect(&path).await.unwrap();
            let head =
                format!("PUT {route} HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            client.write_all(&vec![0; LENGTH]).await.expect("the whole body is taken");
            let mut reply = String::new();
            client.read_to_string(&mut reply).await.unwrap();
            assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")) && reply.contains(message), "{reply}");
        }
        server.abort();
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

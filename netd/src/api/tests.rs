//! The API from outside: requests that are wrong, and the document that describes those that are right.

use std::{fs, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use cnm::{api::ErrorReply, ipam::DefaultPools};
use drivers::Registry;
use http_body_util::BodyExt;
use kernel::fake::FakeHost;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{ApiState, document, router};
use crate::{
    controller::{ClockAndRandom, Start, start},
    store::Store,
};

struct Fixture {
    host: Arc<FakeHost>,
    app: Router,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (store, loaded) = Store::open(directory.path(), directory.path(), "boot").expect("a store");
        let host = Arc::new(FakeHost::new());
        let started = start(Start {
            host: host.clone(),
            planners: Arc::new(Registry),
            pools: DefaultPools::default(),
            store: Arc::new(store),
            loaded,
            forwarding_drop: true,
            namespaces: directory.path().join("netns"),
            clock_and_random: ClockAndRandom::default(),
        });
        let (controller, _) = started.await.expect("a netd");
        let app = router(ApiState { controller, stopping: CancellationToken::new() });
        Self { host, app, _directory: directory }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(path)
            .body(Body::from(body.to_owned()))
            .expect("a request");
        let reply = self.app.clone().oneshot(request).await.expect("the router never fails");
        let status = reply.status();
        let bytes = reply.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(bytes.to_vec()).expect("UTF-8"))
    }

    async fn ok(&self, method: &str, path: &str, body: &str) -> String {
        let (status, reply) = self.send(method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {reply}");
        reply
    }
}

/// As a real client sends it: over a socket, all of it before it reads the reply.
#[tokio::test]
async fn a_body_that_is_too_long_is_refused_with_a_status() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let fixture = Fixture::new().await;
    let path = fixture._directory.path().join("api.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let server = tokio::spawn(axum::serve(listener, fixture.app.clone()).into_future());
    let mut client = tokio::net::UnixStream::connect(&path).await.expect("a connection");
    let body = vec![b' '; 8 * 1024 * 1024];
    let head = format!(
        "POST /v1/networks HTTP/1.1\r\nhost: netd\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await.expect("the head is read");
    client.write_all(&body).await.expect("the body is read");
    let mut reply = String::new();
    client.read_to_string(&mut reply).await.expect("a reply");
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    let (_, json) = reply.split_once("\r\n\r\n").expect("a head and a body");
    let refusal: ErrorReply = serde_json::from_str(json).expect("JSON");
    assert_eq!(refusal.message, "the request's body is too long: at most 2097152 bytes are read");
    server.abort();
}

/// Method, path, body, status, and what the sentence has to say.
type Wrong = (&'static str, &'static str, &'static str, u16, &'static str);

const WRONG: &[Wrong] = &[
    // Paths and methods that aren't there.
    ("GET", "/", "", 404, "no GET /"),
    ("GET", "/v1", "", 404, "no GET /v1"),
    ("GET", "/v2/networks", "", 404, "no GET /v2/networks"),
    ("PATCH", "/v1/networks", "{}", 404, "no PATCH /v1/networks"),
    ("POST", "/v1/sandboxes/web", "{}", 404, "no POST /v1/sandboxes/web"),
    // Bodies that can't be read.
    ("POST", "/v1/networks", "", 400, "no body"),
    ("POST", "/v1/networks", "{", 400, "EOF"),
    ("POST", "/v1/networks", "[]", 400, "the request's body"),
    ("POST", "/v1/networks", r#"{"name":7}"#, 400, "invalid type"),
    ("POST", "/v1/networks", r#"{}"#, 400, "missing field `name`"),
    ("POST", "/v1/networks", r#"{"name":"x","internl":true}"#, 400, "unknown field `internl`"),
    ("PUT", "/v1/sandboxes/x", "", 400, "no body"),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","endpoints":"bridge"}"#, 400, "invalid type"),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","port":[]}"#, 400, "unknown field `port`"),
    ("PUT", "/v1/sandboxes/x", r#"{"endpoints":[]}"#, 400, "missing field `owner`"),
    ("GET", "/v1/networks?endpoint=true", "", 400, "unknown field `endpoint`"),
    ("GET", "/v1/networks?endpoints=7", "", 400, "true"),
    ("GET", "/v1/events?since=soon", "", 400, "since"),
    // Networks.
    ("POST", "/v1/networks", r#"{"name":""}"#, 400, "network name"),
    ("POST", "/v1/networks", r#"{"name":"-/x"}"#, 400, "\"-/x\""),
    ("POST", "/v1/networks", r#"{"name":" "}"#, 400, "\" \""),
    ("POST", "/v1/networks", r#"{"name":"bridge"}"#, 403, "predefined"),
    ("POST", "/v1/networks", r#"{"name":"used"}"#, 409, "used"),
    ("POST", "/v1/networks", r#"{"name":"x","driver":"warp"}"#, 404, "warp"),
    ("POST", "/v1/networks", r#"{"name":"x","driver":"host"}"#, 403, "host"),
    ("POST", "/v1/networks", r#"{"name":"x","driver":"null"}"#, 403, "null"),
    ("POST", "/v1/networks", r#"{"name":"x","options":{"berth.no.such":"1"}}"#, 400, "berth.no.such"),
    ("POST", "/v1/networks", r#"{"name":"x","options":{"com.docker.network.driver.mtu":"lots"}}"#, 400, "lots"),
    ("POST", "/v1/networks", r#"{"name":"x","ipv4":false}"#, 501, "IPv4 only"),
    ("POST", "/v1/networks", r#"{"name":"x","pools":[{"subnet":"10.9.0.1/24"}]}"#, 400, "10.9.0.0/24"),
    ("POST", "/v1/networks", r#"{"name":"x","pools":[{"subnet":"10.9.0.0"}]}"#, 400, "10.9.0.0"),
    ("POST", "/v1/networks", r#"{"name":"x","pools":[{"subnet":"10.9.0.0/33"}]}"#, 400, "10.9.0.0/33"),
    ("POST", "/v1/networks", r#"{"name":"x","pools":[{"subnet":"10.8.0.0/24"}]}"#, 403, "used"),
    (
        "POST",
        "/v1/networks",
        r#"{"name":"x","pools":[{"subnet":"10.9.0.0/24","gateway":"10.7.0.1"}]}"#,
        400,
        "10.7.0.1",
    ),
    (
        "POST",
        "/v1/networks",
        r#"{"name":"x","pools":[{"subnet":"10.9.0.0/24","ip_range":"10.7.0.0/25"}]}"#,
        400,
        "10.7.0.0/25",
    ),
    (
        "POST",
        "/v1/networks",
        r#"{"name":"x","pools":[{"subnet":"10.9.0.0/24","aux_addresses":{"a":"10.7.0.9"}}]}"#,
        400,
        "10.7.0.9",
    ),
    (
        "POST",
        "/v1/networks",
        r#"{"name":"x","pools":[{"subnet":"10.9.0.0/24"},{"subnet":"10.10.0.0/24"}]}"#,
        400,
        "IPv4",
    ),
    ("GET", "/v1/networks/nowhere", "", 404, "network nowhere not found"),
    ("GET", "/v1/networks/a%20b%2Fc", "", 404, "network a b/c not found"),
    ("DELETE", "/v1/networks/nowhere", "", 404, "network nowhere not found"),
    ("DELETE", "/v1/networks/bridge", "", 403, "pre-defined"),
    ("DELETE", "/v1/networks/used", "", 403, "active endpoints (name:\"there\""),
    ("POST", "/v1/networks/prune", r#"{"labels":["=x"]}"#, 400, "\"=x\""),
    ("POST", "/v1/networks/prune", r#"{"until":"yesterday"}"#, 400, "the request's body"),
    // Sandboxes.
    ("PUT", "/v1/sandboxes/-x", r#"{"owner":"o"}"#, 400, "sandbox id \"-x\""),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o o"}"#, 400, "owner \"o o\""),
    ("PUT", "/v1/sandboxes/there", r#"{"owner":"another"}"#, 403, "of owner o, and another can't change it"),
    (
        "PUT",
        "/v1/sandboxes/there",
        r#"{"owner":"o","namespace":{"path":"/n"}}"#,
        409,
        "can't move to network namespace /n",
    ),
    (
        "PUT",
        "/v1/sandboxes/there",
        r#"{"owner":"o","endpoints":[{"network":"nowhere"}]}"#,
        404,
        "network nowhere not found",
    ),
    (
        "PUT",
        "/v1/sandboxes/there",
        r#"{"owner":"o","ports":[{"protocol":"tcp","container_ports":{"first":0,"last":0}}]}"#,
        400,
        "invalid container port 0",
    ),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","namespace":{"path":"relative"}}"#, 400, "relative"),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","namespace":"host","endpoints":[{"network":"bridge"}]}"#, 400, "host"),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"nowhere"}]}"#,
        404,
        "network nowhere not found",
    ),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","endpoints":[{"network":""}]}"#, 400, "network"),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used","ipv4":"10.8.0.999"}]}"#,
        400,
        "10.8.0.999",
    ),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","endpoints":[{"network":"used","ipv4":"10.7.0.2"}]}"#, 400, "10.7.0.2"),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used","ipv4":"10.8.0.77"}]}"#,
        403,
        "held by sandbox there",
    ),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","endpoints":[{"network":"used","mac":"02:42"}]}"#, 400, "02:42"),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used","interface":"far-too-long-a-name"}]}"#,
        400,
        "far-too-long-a-name",
    ),
    ("PUT", "/v1/sandboxes/x", r#"{"owner":"o","endpoints":[{"network":"used"},{"network":"used"}]}"#, 400, "used"),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used"}],"ports":[{"protocol":"icmp","container_ports":{"first":80,"last":80}}]}"#,
        400,
        "icmp",
    ),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used"}],"ports":[{"protocol":"tcp","container_ports":{"first":0,"last":0}}]}"#,
        400,
        "0",
    ),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used"}],"ports":[{"protocol":"tcp","container_ports":{"first":80,"last":70000}}]}"#,
        400,
        "70000",
    ),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used"}],"ports":[{"protocol":"tcp","host_ports":{"first":6000,"last":6001},"container_ports":{"first":80,"last":82}}]}"#,
        400,
        "6000",
    ),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used"}],"ports":[{"protocol":"tcp","host_ip":"elsewhere","container_ports":{"first":80,"last":80}}]}"#,
        400,
        "elsewhere",
    ),
    (
        "PUT",
        "/v1/sandboxes/x",
        r#"{"owner":"o","endpoints":[{"network":"used"}],"ports":[{"protocol":"udp","host_ip":"127.0.0.1","host_ports":{"first":47123,"last":47123},"container_ports":{"first":53,"last":53}}]}"#,
        409,
        "47123/udp",
    ),
    ("GET", "/v1/sandboxes/nobody", "", 404, "sandbox nobody not found"),
    ("GET", "/v1/sandboxes/..%2F..", "", 404, "not found"),
    ("GET", "/v1/sandboxes/nobody/check", "", 404, "sandbox nobody not found"),
    ("DELETE", "/v1/sandboxes/nobody?owner=o", "", 404, "sandbox nobody not found"),
    ("POST", "/v1/sandboxes/nobody/endpoints?owner=o", r#"{"network":"bridge"}"#, 404, "sandbox nobody not found"),
    ("POST", "/v1/sandboxes/there/endpoints?owner=o", r#"{"network":"nowhere"}"#, 404, "network nowhere not found"),
    ("POST", "/v1/sandboxes/there/endpoints?owner=o", r#"{"network":"used"}"#, 403, "used already"),
    ("POST", "/v1/sandboxes/there/endpoints?owner=o", r#"{"network":"host"}"#, 403, "host"),
    ("DELETE", "/v1/sandboxes/there/endpoints/abc?owner=o", "", 404, "no endpoint abc"),
    ("DELETE", "/v1/sandboxes/nobody/endpoints/abc?owner=o", "", 404, "sandbox nobody not found"),
    // Whose sandbox it is has to be said, and to be so.
    ("DELETE", "/v1/sandboxes/there", "", 400, "name its owner with ?owner=NAME"),
    ("DELETE", "/v1/sandboxes/there?owner=", "", 400, "owner \"\""),
    ("DELETE", "/v1/sandboxes/there?owner=o%20o", "", 400, "owner \"o o\""),
    ("DELETE", "/v1/sandboxes/there?ovner=o", "", 400, "unknown field `ovner`"),
    ("POST", "/v1/sandboxes/there/endpoints", r#"{"network":"bridge"}"#, 400, "name its owner with ?owner=NAME"),
    ("DELETE", "/v1/sandboxes/there/endpoints/abc", "", 400, "name its owner with ?owner=NAME"),
    ("DELETE", "/v1/sandboxes/there?owner=thief", "", 403, "sandbox there is o's, not thief's: only its owner"),
    ("POST", "/v1/sandboxes/there/endpoints?owner=thief", r#"{"network":"bridge"}"#, 403, "is o's, not thief's"),
    ("DELETE", "/v1/sandboxes/there/endpoints/abc?owner=thief", "", 403, "is o's, not thief's"),
    ("PUT", "/v1/sandboxes/there", r#"{"owner":"thief"}"#, 403, "there is of owner o"),
    ("POST", "/v1/owners/o%20o/claim", r#"{"sandboxes":[]}"#, 400, "owner \"o o\""),
    ("POST", "/v1/owners/o/claim", r#"{"sandboxs":[]}"#, 400, "unknown field `sandboxs`"),
];

#[tokio::test]
async fn wrong_requests_are_refused_in_a_sentence_and_change_nothing() {
    let fixture = Fixture::new().await;
    fixture.ok("POST", "/v1/networks", r#"{"name":"used","pools":[{"subnet":"10.8.0.0/24"}]}"#).await;
    let there = r#"{"owner":"o","name":"there","endpoints":[{"network":"used","ipv4":"10.8.0.77"}],
        "ports":[{"protocol":"udp","host_ip":"127.0.0.1","host_ports":{"first":47123,"last":47123},
                  "container_ports":{"first":53,"last":53}}]}"#;
    fixture.ok("PUT", "/v1/sandboxes/there", there).await;
    let operations = fixture.host.read().operations;
    let networks = fixture.ok("GET", "/v1/networks?endpoints=true", "").await;
    let mut wrong = Vec::new();
    for (method, path, body, expected, says) in WRONG {
        let (status, reply) = fixture.send(method, path, body).await;
        let error: Result<ErrorReply, _> = serde_json::from_str(&reply);
        let is_right = error.is_ok_and(|error| {
            status.as_u16() == *expected
                && error.kind.http_status() == *expected
                && error.message.contains(says)
                && !error.message.ends_with('.')
                && !error.message.contains('\n')
        });
        if !is_right {
            wrong.push(format!("{method} {path} {body}\n    {expected} …{says}… expected\n    {status} {reply}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), WRONG.len(), wrong.join("\n"));
    assert_eq!(fixture.host.read().operations, operations, "the kernel was told something");
    assert_eq!(fixture.ok("GET", "/v1/networks?endpoints=true", "").await, networks);
}

#[tokio::test]
async fn the_trace_id_comes_back_and_the_time_is_told() {
    let fixture = Fixture::new().await;
    for (trace, expected) in [("abc-123_X", Some("abc-123_X")), ("forged\" line", None), ("", None)] {
        let request =
            Request::put("/v1/sandboxes/web").header("x-trace-id", trace).body(Body::from(r#"{"owner":"o"}"#));
        let reply = fixture.app.clone().oneshot(request.expect("a request")).await.expect("the router never fails");
        assert!(reply.status().is_success());
        let header = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("x-trace-id"), expected);
        assert!(header("server-timing").is_some_and(|timing| timing.starts_with("decide;dur=")));
    }
}

/// As after a netd that stood still: what it finds then is what its callers have given up.
#[tokio::test]
async fn what_was_given_up_is_not_begun() {
    let fixture = Fixture::new().await;
    let now = jiff::Timestamp::now();
    let minute = jiff::SignedDuration::from_secs(60);
    for (begin_by, expected, says) in [
        ((now - minute).to_string(), 503, "did not get to it in time"),
        ("soon".to_owned(), 400, "a time is expected"),
        ((now + minute).to_string(), 201, ""),
    ] {
        let request = Request::put("/v1/sandboxes/web").header("x-begin-by", &begin_by);
        let request = request.body(Body::from(r#"{"owner":"o"}"#)).expect("a request");
        let reply = fixture.app.clone().oneshot(request).await.expect("the router never fails");
        let status = reply.status();
        let body = reply.into_body().collect().await.expect("a body").to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(status.as_u16() == expected && body.contains(says), "{begin_by}: {status} {body}");
        let (there, _) = fixture.send("GET", "/v1/sandboxes/web", "").await;
        assert_eq!(there.as_u16(), if expected == 201 { 200 } else { 404 }, "{begin_by}");
    }
}

/// `UPDATE_OPENAPI=1 cargo test -p netd` writes it anew.
#[test]
fn the_document_is_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/netd-openapi.json");
    let mut current = serde_json::to_string_pretty(&document()).expect("JSON");
    current.push('\n');
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(path, &current).expect("the document");
    }
    let checked_in = fs::read_to_string(path).expect("docs/netd-openapi.json");
    assert!(
        checked_in == current,
        "docs/netd-openapi.json is stale: run `UPDATE_OPENAPI=1 cargo test -p netd the_document` and commit it"
    );
}

/// Every route that is served is in the document, and the other way round.
#[tokio::test]
async fn the_document_names_what_is_served() {
    let fixture = Fixture::new().await;
    let document = serde_json::to_value(document()).expect("JSON");
    let paths = document["paths"].as_object().expect("an object");
    assert_eq!(paths.len(), 15);
    let methods = paths.values().flat_map(|path| path.as_object().into_iter().flat_map(|path| path.values()));
    let ids: Vec<_> = methods.map(|method| method["operationId"].to_string()).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "operation ids are unique: {ids:?}");
    for path in paths.keys() {
        let path = path.replace(['{', '}'], "");
        let (_, reply) = fixture.send("OPTIONS", &path, "").await;
        assert!(reply.contains("no OPTIONS"), "{path} is not served: {reply}");
    }
    assert_eq!(fixture.ok("GET", "/v1/owed", "").await, "[]", "the drivers here ask nobody");
}

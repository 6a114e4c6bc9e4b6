//! Every kind of call against a netd that answers late, or never. Time is the test's: nobody waits for it.

use std::time::Duration;

use cnm::api::{Claim, EndpointRequest, EventKind, NetworkCreate, NetworkQuery, PruneRequest, SandboxPut};
use futures::{FutureExt, StreamExt, future::BoxFuture};
use netd_client::{Client, Error};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    time::{Instant, sleep},
};

/// What the netd of a test does.
#[derive(Debug, Clone, Copy)]
struct Netd {
    /// Whether it says who it is.
    alive: bool,
    /// When it answers everything else; never if absent.
    answers_after: Option<Duration>,
}

impl Netd {
    /// Serves at a socket of its own, and keeps that as long as the directory is kept.
    fn serve(self) -> (tempfile::TempDir, Client) {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("netd.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move { self.talk(client).await });
            }
        });
        (directory, Client::connect(socket).of_owner("tests"))
    }

    async fn talk(self, client: UnixStream) {
        let mut client = BufReader::new(client);
        while let Some(path) = request(&mut client).await {
            let (after, body) = match path.as_str() {
                "/v1/version" => {
                    let who =
                        r#"{"api":1,"version":"9","instance":"i","revision":7,"features":["more"],"mood":"good"}"#;
                    (self.alive.then_some(Duration::ZERO), who)
                }
                "/v1/events" => return stream(client).await,
                _ => (self.answers_after, "[]"),
            };
            match after {
                Some(after) => sleep(after).await,
                None => std::future::pending().await,
            }
            let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            client.write_all(reply.as_bytes()).await.expect("a client");
        }
    }
}

/// The path of the next request, whose body is read too.
async fn request(client: &mut BufReader<UnixStream>) -> Option<String> {
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim_end().parse().ok()?;
        }
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
    }
    client.read_exact(&mut vec![0; length]).await.ok()?;
    path
}

/// A stream that begins at once, and says something after a day.
async fn stream(mut client: BufReader<UnixStream>) {
    client.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.expect("a client");
    sleep(Duration::from_secs(86_400)).await;
    let event = "{\"revision\":8,\"at\":\"2026-11-21T10:00:00Z\",\"what\":\"network_created\"}\n";
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    client.write_all(chunk.as_bytes()).await.expect("a client");
    std::future::pending().await
}

type Call = fn(&Client) -> BoxFuture<'_, Result<(), Error>>;

/// A call of each kind, with the seconds that it has when netd is at work.
fn calls() -> Vec<(&'static str, u64, Call)> {
    fn put() -> SandboxPut {
        serde_json::from_str(r#"{"owner":"tests"}"#).expect("a request")
    }
    vec![
        ("GET /v1/info", 15, |netd| async { netd.info().await.map(drop) }.boxed()),
        ("GET /v1/networks", 15, |netd| async { netd.networks(&NetworkQuery::default()).await.map(drop) }.boxed()),
        ("GET /v1/networks/n", 15, |netd| async { netd.network("n").await.map(drop) }.boxed()),
        ("GET /v1/sandboxes", 15, |netd| async { netd.sandboxes().await.map(drop) }.boxed()),
        ("GET /v1/sandboxes/web", 15, |netd| async { netd.sandbox("web").await.map(drop) }.boxed()),
        ("POST /v1/networks", 60, |netd| {
            async { netd.create_network(&NetworkCreate::default()).await.map(drop) }.boxed()
        }),
        ("DELETE /v1/networks/n", 60, |netd| netd.remove_network("n").boxed()),
        ("PUT /v1/sandboxes/web", 60, |netd| async { netd.put_sandbox("web", &put()).await.map(drop) }.boxed()),
        ("DELETE /v1/sandboxes/web?owner=tests", 60, |netd| netd.remove_sandbox("web").boxed()),
        ("POST /v1/sandboxes/web/endpoints?owner=tests", 60, |netd| {
            async { netd.connect_endpoint("web", &EndpointRequest::default()).await.map(drop) }.boxed()
        }),
        ("DELETE /v1/sandboxes/web/endpoints/e?owner=tests", 60, |netd| netd.disconnect_endpoint("web", "e").boxed()),
        ("POST /v1/networks/prune", 600, |netd| async { netd.prune(&PruneRequest::default()).await.map(drop) }.boxed()),
        ("POST /v1/owners/o/claim", 600, |netd| async { netd.claim("o", &Claim::default()).await.map(drop) }.boxed()),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_netd_that_does_not_even_say_who_it_is_is_given_up_soon() {
    let (_directory, netd) = Netd { alive: false, answers_after: None }.serve();
    let handshake: Call = |netd| async { netd.handshake().await.map(drop) }.boxed();
    for (name, _, call) in calls().into_iter().chain([("GET /v1/version", 0, handshake)]) {
        let since = Instant::now();
        let error = call(&netd).await.expect_err(name);
        assert_eq!(since.elapsed().as_secs(), 5, "{name}");
        let says = format!("does not answer: {name} was given up after 5 s");
        assert!(error.is_given_up() && error.to_string().contains(&says), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_netd_at_work_has_the_time_that_each_kind_of_call_takes() {
    let (_directory, netd) = Netd { alive: true, answers_after: None }.serve();
    for (name, seconds, call) in calls() {
        let since = Instant::now();
        let error = call(&netd).await.expect_err(name);
        assert_eq!(since.elapsed().as_secs(), seconds, "{name}");
        let says = format!("netd was not done with {name} within {seconds} s");
        assert!(error.is_given_up() && error.to_string().contains(&says), "{error}");
    }
    let (_directory, netd) = Netd { alive: true, answers_after: Some(Duration::from_secs(14)) }.serve();
    assert_eq!(netd.sandboxes().await.expect("an answer"), []);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_a_deadline_for_its_beginning_only() {
    let (_directory, netd) = Netd { alive: true, answers_after: None }.serve();
    let since = Instant::now();
    let mut events = netd.events(None).await.expect("a beginning");
    let event = events.next().await.expect("an event").expect("an event");
    assert_eq!((event.what, event.revision), (EventKind::NetworkCreated, 8));
    assert!(since.elapsed() >= Duration::from_secs(86_400));
}

#[tokio::test(start_paused = true)]
async fn features_are_named_and_what_is_new_is_passed_over() {
    let (_directory, netd) = Netd { alive: true, answers_after: None }.serve();
    let handshake = netd.handshake().await.expect("a handshake");
    assert_eq!(handshake.features, ["more"]);
    assert_eq!(handshake.lacks(&["more", "begin-by"]), ["begin-by"]);
}

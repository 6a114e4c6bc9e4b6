//! Registries that answer as none should.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::blob::BlobReader;
use super::{Credentials, Registries, RegistryConfig, RegistryError};
use crate::digest::Digest;
use crate::platform::Platform;
use crate::reference::Reference;

/// Answers each request so, and does that with the connection. Counts them, and is gone after too many.
fn answering(answer: &'static str, then: fn(TcpStream)) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its port");
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten().take(40) {
            let mut request = [0; 4096];
            let length = client.read(&mut request).unwrap_or(0);
            // Others say hello in TLS.
            if request[..length].starts_with(b"GET ") {
                counted.fetch_add(1, Ordering::Relaxed);
                client.write_all(answer.as_bytes()).ok();
                then(client);
            }
        }
    });
    (address, requests)
}

fn registries() -> (Registries, Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    (Registries::new(RegistryConfig::default(), runtime.handle().clone()), runtime)
}

fn repository(address: SocketAddr) -> Reference {
    Reference::parse(&format!("{address}/x")).expect("a reference")
}

/// The first bytes of more, whatever is asked for.
const BEGINNING: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nalways the same beginning";

/// Reads a blob of 1000 bytes, as far as it comes.
fn read_blob(registries: &Registries, address: SocketAddr, digest: Digest) -> (Vec<u8>, Option<RegistryError>) {
    let over_http = registries
        .endpoints(&repository(address), &Credentials::Anonymous, &CancellationToken::new())
        .last()
        .expect("http")
        .1
        .expect("a session");
    let mut reader = BlobReader::new(over_http, digest, 1000);
    let mut read = Vec::new();
    let outcome = reader.read_to_end(&mut read);
    let failure = reader.take_failure();
    assert_eq!(outcome.is_err(), failure.is_some(), "{outcome:?}");
    (read, failure)
}

/// As an API's client reads it.
fn in_full(failure: RegistryError) -> String {
    crate::Error::from(failure).chain()
}

#[test]
fn a_registry_that_falls_silent_is_given_up() {
    // Leaves the connection open.
    let (address, requests) = answering(BEGINNING, std::mem::forget);
    let (registries, _runtime) = registries();
    let registries = registries.with_patience(Duration::from_millis(300));
    let (read, failure) = read_blob(&registries, address, Digest::of(b""));
    assert_eq!(read, b"always the same beginning");
    let failure = in_full(failure.expect("the registry's doing"));
    assert_eq!(failure, format!("can't talk to http://{address}: nothing came for 0.3 s"));
    assert_eq!(requests.load(Ordering::Relaxed), 5, "so many tries");
    let (address, requests) = answering("", std::mem::forget);
    let found =
        registries.find(&repository(address), &Platform::host(), &Credentials::Anonymous, &CancellationToken::new());
    let failure = in_full(found.err().expect("no answer"));
    assert_eq!(failure, format!("can't talk to http://{address}: nothing came for 0.3 s"));
    assert_eq!(requests.load(Ordering::Relaxed), 5, "so many tries");
}

#[test]
fn a_download_that_comes_no_further_ends() {
    let (address, requests) = answering(BEGINNING, drop);
    let (registries, _runtime) = registries();
    let (begun, failure) = read_blob(&registries, address, Digest::of(b""));
    assert_eq!(begun, b"always the same beginning");
    let failure = in_full(failure.expect("the registry's doing"));
    assert!(failure.starts_with(&format!("can't talk to http://{address}: ")), "{failure}");
    assert_eq!(requests.load(Ordering::Relaxed), 5, "so many tries");
}

#[test]
fn redirects_in_a_circle_are_told_and_not_tried_again() {
    let (address, requests) =
        answering("HTTP/1.1 302 Found\r\nlocation: /v2/x/manifests/latest\r\ncontent-length: 0\r\n\r\n", drop);
    let (registries, _runtime) = registries();
    let platform: Platform = "linux/amd64".parse().expect("a platform");
    let found = registries.find(&repository(address), &platform, &Credentials::Anonymous, &CancellationToken::new());
    let Err(failure) = found else { panic!("there is no image") };
    let text = failure.to_string();
    assert!(text.starts_with(&format!("http://{address} doesn't answer as a registry should")), "{text}");
    assert!(text.ends_with("too many redirects"), "{text}");
    // Once around is eleven: one to learn how to log in, one for the manifest.
    assert!(requests.load(Ordering::Relaxed) <= 22, "{requests:?}");
}

/// Takes one connection, and answers what is asked on it.
fn answer_one(listener: &TcpListener, answer: &str) {
    let (mut client, _) = listener.accept().expect("a client");
    let mut request = [0; 4096];
    assert!(client.read(&mut request).expect("a request") > 0);
    client.write_all(answer.as_bytes()).expect("an answer");
}

#[test]
fn a_registry_that_is_started_again_in_between_is_waited_for() {
    let content = "0123456789".repeat(100);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its port");
    let sent = content.clone();
    let server = thread::spawn(move || {
        answer_one(&listener, &format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", &sent[..25]));
        drop(listener);
        thread::sleep(Duration::from_millis(400));
        let listener = TcpListener::bind(address).expect("the same port");
        answer_one(
            &listener,
            &format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 25-999/1000\r\ncontent-length: 975\r\n\r\n{}",
                &sent[25..]
            ),
        );
    });
    let (registries, _runtime) = registries();
    let (read, failure) = read_blob(&registries, address, Digest::of(content.as_bytes()));
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!(read, content.as_bytes());
    server.join().expect("everything was asked for");
}

/// Answers one connection after another, and tells what was asked on each.
fn scripted(answers: impl FnOnce(SocketAddr) -> Vec<String>) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its port");
    let answers = answers(address);
    let server = thread::spawn(move || {
        let mut asked = Vec::new();
        while asked.len() < answers.len() {
            let (mut client, _) = listener.accept().expect("a client");
            let mut request = vec![0; 4096];
            let length = client.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            // Others say hello in TLS.
            if request.starts_with("GET ") || request.starts_with("POST ") {
                // Whoever has read enough hangs up.
                client.write_all(answers[asked.len()].as_bytes()).ok();
                asked.push(request);
            }
        }
        asked
    });
    (address, server)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn answers_without_end_are_not_kept() {
    for (status, said) in [("200 OK", "more than 4194304 bytes"), ("404 Not Found", "not found")] {
        let endless = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{}", " ".repeat(16 << 20));
        let (address, server) = scripted(|_| vec![endless]);
        let (registries, _runtime) = registries();
        let error = registries
            .find(&repository(address), &Platform::host(), &Credentials::Anonymous, &CancellationToken::new())
            .err()
            .expect("no image");
        assert!(error.to_string().contains(said), "{error}");
        server.join().expect("it was asked once");
    }
}

#[test]
fn tokens_are_got_as_the_registry_asks() {
    let password = Credentials::Password { username: "ann".to_owned(), password: "secret".to_owned() };
    for (credentials, token_request) in [
        (Credentials::Anonymous, ["GET /token?of=x&scope=repository%3Ax%3Apull&service=s ", "\r\n\r\n"]),
        (password, ["GET /token?of=x&scope=repository%3Ax%3Apull&service=s ", "authorization: Basic YW5uOnNlY3JldA=="]),
        (Credentials::IdentityToken("old".to_owned()), ["POST /token?of=x ", "refresh_token=old&service=s&scope="]),
    ] {
        let (address, server) = scripted(|address| {
            let challenge = format!("Bearer realm=\"http://{address}/token?of=x\",service=\"s\",scope=\"ignored\"");
            let refusal = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\nwww-authenticate";
            vec![
                format!("{refusal}: {challenge}\r\n\r\n"),
                ok(r#"{"access_token":"new"}"#),
                ok(r#"{"name":"x","tags":["a","b"]}"#),
            ]
        });
        let (registries, _runtime) = registries();
        let tags = registries.tags(&repository(address), &credentials, &CancellationToken::new()).expect("tags");
        assert_eq!(tags, ["a", "b"]);
        let asked = server.join().expect("three requests");
        assert!(asked[0].starts_with("GET /v2/x/tags/list?n=1000 "), "{}", asked[0]);
        assert!(!asked[0].contains("authorization"), "nothing is told before it is asked for: {}", asked[0]);
        assert!(token_request.iter().all(|part| asked[1].contains(part)), "{}", asked[1]);
        assert!(asked[2].contains("authorization: Bearer new\r\n"), "{}", asked[2]);
    }
}

/// CVE-2020-15157: a registry sends whoever wants a blob elsewhere, and there somebody asks for the password.
#[test]
fn who_keeps_a_registry_s_blobs_elsewhere_is_told_no_password() {
    let words = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\nwww-authenticate";
    for scheme in ["Bearer realm=\"http://ELSEWHERE/token\",service=\"s\"", "Basic realm=\"x\""] {
        // The second answer is for who falls for it.
        let (elsewhere, thief) = scripted(|address| {
            let challenge = scheme.replace("ELSEWHERE", &address.to_string());
            vec![format!("{words}: {challenge}\r\n\r\n"), ok(r#"{"token":"stolen"}"#)]
        });
        let sent_away = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{elsewhere}/blob\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let (address, registry) = scripted(|_| {
            vec![
                format!("{words}: Basic realm=\"registry\"\r\n\r\n"),
                ok("{\"tags\":[]}"),
                sent_away.clone(),
                sent_away,
            ]
        });
        let (registries, _runtime) = registries();
        let password = Credentials::Password { username: "ann".to_owned(), password: "secret".to_owned() };
        let called_off = CancellationToken::new();
        let endpoint = registries.endpoints(&repository(address), &password, &called_off).last().expect("http");
        let endpoint = endpoint.1.expect("a session");
        endpoint.tags().expect("who it is is known from here on");
        let failure = endpoint.open_blob(Digest::of(b""), 0).err().expect("refused");
        assert!(failure.to_string().contains("unauthorized: authentication required"), "{failure}");
        // For the answers that nobody wanted.
        for rest in [elsewhere, address] {
            TcpStream::connect(rest).and_then(|mut stream| stream.write_all(b"GET /over HTTP/1.1\r\n\r\n")).ok();
        }
        let asked = thief.join().expect("two requests");
        assert!(asked[0].starts_with("GET /blob ") && asked[1].starts_with("GET /over "), "{asked:?}");
        assert!(!asked.concat().to_lowercase().contains("authorization"), "{asked:?}");
        let asked = registry.join().expect("four requests");
        assert!(
            asked[2].contains("authorization: Basic YW5uOnNlY3JldA==") && asked[3].starts_with("GET /over "),
            "{asked:?}"
        );
    }
}

#[test]
fn a_part_of_a_blob_is_only_taken_if_it_is_the_one_that_was_asked_for() {
    let content = "0123456789".repeat(100);
    let beginning = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{}", &content[..225]);
    let part = |range: &str| {
        let head = "HTTP/1.1 206 Partial Content\r\ncontent-length: 100\r\nconnection: close\r\n";
        format!("{head}{range}\r\n{}", &content[..100])
    };
    let (registries, _runtime) = registries();
    for range in ["content-range: bytes 0-99/1000\r\n", "content-range: bytes x\r\n", ""] {
        let (address, server) = scripted(|_| vec![beginning.clone(), part(range), ok(&content)]);
        let (read, failure) = read_blob(&registries, address, Digest::of(content.as_bytes()));
        assert!(failure.is_none(), "{range}: {failure:?}");
        assert_eq!(read, content.as_bytes(), "{range}");
        let asked = server.join().expect("three requests");
        let ranges: Vec<bool> = asked.iter().map(|request| request.contains("range: bytes=225-\r\n")).collect();
        assert_eq!(ranges, [false, true, false], "{range}: {asked:?}");
    }
    // Five tries: the first, and four that ask for the rest and then for all of it.
    let again = [part("content-range: bytes 0-99/1000\r\n"), beginning.clone()];
    let answers = std::iter::once(beginning.clone()).chain(again.into_iter().cycle()).take(9).collect();
    let (address, server) = scripted(|_| answers);
    let (read, failure) = read_blob(&registries, address, Digest::of(content.as_bytes()));
    assert_eq!(read, &content.as_bytes()[..225]);
    let failure = in_full(failure.expect("it comes no further"));
    assert!(failure.starts_with(&format!("can't talk to http://{address}: ")), "{failure}");
    server.join().expect("nine requests");
}

#[test]
fn what_a_registry_says_reaches_no_terminal_as_it_is() {
    for (body, said) in [
        ("<html>oops\x1b[31m</html>", r"status 400: <html>oops\u{1b}[31m</html>"),
        (r#"{"errors":[{"code":"BAD","message":"\u001b[31mno"}]}"#, r"bad: \u{1b}[31mno"),
    ] {
        let (address, server) = scripted(|_| vec![ok(body).replace("200 OK", "400 Bad Request")]);
        let (registries, _runtime) = registries();
        let called_off = CancellationToken::new();
        let error = registries.tags(&repository(address), &Credentials::Anonymous, &called_off).expect_err("refused");
        assert_eq!(error.to_string(), format!("http://{address} refuses: {said}"));
        server.join().expect("it was asked once");
    }
}

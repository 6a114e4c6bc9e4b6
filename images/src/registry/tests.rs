//! Registries that answer as none should.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::Runtime;

use super::blob::BlobReader;
use super::{Credentials, Registries, RegistryConfig, RegistryError};
use crate::digest::Digest;
use crate::platform::Platform;
use crate::reference::Reference;

/// Answers each request so, and ends the connection. Counts them, and is gone after too many.
fn answering(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
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

#[test]
fn a_download_that_comes_no_further_ends() {
    let (address, requests) = answering("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nalways the same beginning");
    let (registries, _runtime) = registries();
    let over_http = registries.endpoints(&repository(address), &Credentials::Anonymous).pop().expect("http");
    let mut reader = BlobReader::new(over_http, Digest::of(b""), 1000, || false);
    let mut begun = Vec::new();
    reader.read_to_end(&mut begun).expect_err("there is no end");
    assert_eq!(begun, b"always the same beginning");
    let failure = reader.take_failure().expect("the registry's doing");
    assert!(matches!(failure, RegistryError::Connection { .. }), "{failure:?}");
    // Five tries, each of which first learns how to log in.
    assert_eq!(requests.load(Ordering::Relaxed), 10);
}

#[test]
fn redirects_in_a_circle_are_told_and_not_tried_again() {
    let (address, requests) =
        answering("HTTP/1.1 302 Found\r\nlocation: /v2/x/manifests/latest\r\ncontent-length: 0\r\n\r\n");
    let (registries, _runtime) = registries();
    let platform: Platform = "linux/amd64".parse().expect("a platform");
    let found = registries.find(&repository(address), &platform, &Credentials::Anonymous);
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
        // Before each blob a client asks how to log in.
        const OPEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        answer_one(&listener, OPEN);
        answer_one(&listener, &format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", &sent[..25]));
        drop(listener);
        thread::sleep(std::time::Duration::from_millis(400));
        let listener = TcpListener::bind(address).expect("the same port");
        answer_one(&listener, OPEN);
        answer_one(&listener, &format!("HTTP/1.1 206 Partial Content\r\ncontent-length: 975\r\n\r\n{}", &sent[25..]));
    });
    let (registries, _runtime) = registries();
    let over_http = registries.endpoints(&repository(address), &Credentials::Anonymous).pop().expect("http");
    let mut reader = BlobReader::new(over_http, Digest::of(content.as_bytes()), 1000, || false);
    let mut read = String::new();
    reader.read_to_string(&mut read).expect("all of it");
    assert_eq!(read, content);
    server.join().expect("everything was asked for");
}

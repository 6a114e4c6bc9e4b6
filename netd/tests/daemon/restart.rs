//! netd is killed and comes back.

use std::{io::Write, net::TcpListener, os::unix::net::UnixStream, process::Stdio};

use cnm::api::{EventKind, NetworkCreate, NetworkQuery};
use futures::StreamExt;

use crate::{
    town::{Town, request},
    traffic::{ask_tcp, serve},
};

#[tokio::test]
async fn a_kill_loses_no_connection_and_nothing_of_the_state() {
    let mut town = Town::new();
    let net = NetworkCreate { name: "net".to_owned(), ..NetworkCreate::default() };
    town.client.create_network(&net).await.expect("a network");
    let empty = town.traces();
    let web = town.put("web", &[("tcp", 4000, 1)]).await;
    serve(&town.inside(&web), 80, "web");
    let networks = town.client.networks(&NetworkQuery { endpoints: true }).await.expect("networks");
    let instance = town.client.handshake().await.expect("a handshake").instance;
    let traces = town.traces();

    town.kill();
    ask_tcp(&town.host, "127.0.0.1:4000").expect("the kernel's path needs no netd");
    let error = town.client.handshake().await.expect_err("it is dead");
    assert!(error.is_not_running(), "{error:?}");
    assert_eq!(town.traces(), traces);

    town.start();
    assert_ne!(town.client.handshake().await.expect("a handshake").instance, instance);
    assert_eq!(town.traces(), traces);
    assert_eq!(town.client.networks(&NetworkQuery { endpoints: true }).await.expect("networks"), networks);
    assert_eq!(town.client.sandboxes().await.expect("sandboxes"), std::slice::from_ref(&web));
    let again = town.client.put_sandbox("web", &request(&[("tcp", 4000, 1)])).await.expect("the same request");
    assert_eq!(again, web);
    for address in ["127.0.0.1:4000", "[::1]:4000"] {
        ask_tcp(&town.host, address).expect(address);
    }
    town.host.run(|| TcpListener::bind("0.0.0.0:4000").expect_err("the port is held again"));
    town.client.remove_sandbox("web").await.expect("the sandbox");
    assert_eq!(town.traces(), empty);
}

#[tokio::test]
async fn a_thief_of_a_port_is_named() {
    let mut town = Town::new();
    let revision = town.client.handshake().await.expect("a handshake").revision;
    town.put("web", &[("tcp", 4000, 1)]).await;
    town.kill();
    let _thief = town.host.run(|| TcpListener::bind("0.0.0.0:4000").expect("nobody holds it"));
    town.start();
    let warnings = town.client.info().await.expect("info").warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains("sandbox web") && warning.contains(":4000/tcp")),
        "{warnings:?}"
    );
    let mut events = town.client.events(Some(revision)).await.expect("events");
    let gap = events.next().await.expect("an event").expect("an event");
    let warning = events.next().await.expect("an event").expect("an event");
    assert_eq!((gap.what, warning.what), (EventKind::Gap, EventKind::Warning));
    assert!(warning.message.is_some_and(|message| message.contains("sandbox web")));
    town.client.remove_sandbox("web").await.expect("the sandbox");
    assert!(town.client.info().await.expect("info").warnings.is_empty());
}

#[tokio::test]
async fn a_second_netd_in_the_same_place_is_refused() {
    let town = Town::new();
    let mut command = town.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = town.host.run(move || command.output().expect("netd"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.starts_with("netd: another netd uses "), "{said}");
    town.client.handshake().await.expect("the first is still there");
}

#[tokio::test]
async fn a_second_netd_on_the_same_network_is_refused() {
    let mut town = Town::new();
    town.put("web", &[("tcp", 4000, 1)]).await;
    let traces = town.traces();
    let mut command = town.command_in("root2", "run2");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = town.host.run(move || command.output().expect("netd"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let named = format!("netd: another netd (process {}) manages this network namespace", town.netd_pid());
    assert!(said.starts_with(&named), "{said}");
    assert_eq!(town.traces(), traces);
    town.kill();
    town.start();
}

#[test]
fn clients_that_stall_do_not_keep_netd_from_ending() {
    let mut town = Town::new();
    let connect = || UnixStream::connect(town.run_dir().join("netd.sock")).expect("netd listens");
    let (_silent, mut half) = (connect(), connect());
    half.write_all(b"PUT /v1/sandboxes/web HTTP/1.1\r\nHost: netd\r\nContent-Length: 100\r\n\r\n{")
        .expect("half a request");
    assert!(town.terminate().success());
    assert!(!town.run_dir().join("netd.sock").exists());
}

//! netd is killed and comes back.

use std::{io::Write, net::TcpListener, os::unix::net::UnixStream, process::Stdio};

use cnm::api::{EventKind, NetworkCreate, NetworkQuery};
use futures::StreamExt;

use crate::{
    netd_host::{NetdHost, request},
    traffic::{ask_tcp, serve},
};

#[tokio::test]
async fn a_kill_loses_no_connection_and_nothing_of_the_state() {
    let mut netd = NetdHost::new();
    let net = NetworkCreate { name: "net".to_owned(), ..NetworkCreate::default() };
    netd.client.create_network(&net).await.expect("a network");
    let empty = netd.traces();
    let web = netd.put("web", &[("tcp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    let networks = netd.client.networks(&NetworkQuery { endpoints: true }).await.expect("networks");
    let instance = netd.client.handshake().await.expect("a handshake").instance;
    let traces = netd.traces();

    netd.kill();
    ask_tcp(&netd.host, "127.0.0.1:4000").expect("the kernel's path needs no netd");
    let error = netd.client.handshake().await.expect_err("it is dead");
    assert!(error.is_not_running(), "{error:?}");
    assert_eq!(netd.traces(), traces);

    netd.start();
    assert_ne!(netd.client.handshake().await.expect("a handshake").instance, instance);
    assert_eq!(netd.traces(), traces);
    assert_eq!(netd.client.networks(&NetworkQuery { endpoints: true }).await.expect("networks"), networks);
    assert_eq!(netd.client.sandboxes().await.expect("sandboxes"), std::slice::from_ref(&web));
    let again = netd.client.put_sandbox("web", &request(&[("tcp", 4000, 1)])).await.expect("the same request");
    assert_eq!(again, web);
    for address in ["127.0.0.1:4000", "[::1]:4000"] {
        ask_tcp(&netd.host, address).expect(address);
    }
    netd.host.run(|| TcpListener::bind("0.0.0.0:4000").expect_err("the port is held again"));
    netd.client.remove_sandbox("web").await.expect("the sandbox");
    assert_eq!(netd.traces(), empty);
}

#[tokio::test]
async fn a_thief_of_a_port_is_named() {
    let mut netd = NetdHost::new();
    let revision = netd.client.handshake().await.expect("a handshake").revision;
    netd.put("web", &[("tcp", 4000, 1)]).await;
    netd.kill();
    let _thief = netd.host.run(|| TcpListener::bind("0.0.0.0:4000").expect("nobody holds it"));
    netd.start();
    let warnings = netd.client.info().await.expect("info").warnings;
    assert!(
        warnings.iter().any(|warning| warning.contains("sandbox web") && warning.contains(":4000/tcp")),
        "{warnings:?}"
    );
    let mut events = netd.client.events(Some(revision)).await.expect("events");
    let gap = events.next().await.expect("an event").expect("an event");
    let warning = events.next().await.expect("an event").expect("an event");
    assert_eq!((gap.what, warning.what), (EventKind::Gap, EventKind::Warning));
    assert!(warning.message.is_some_and(|message| message.contains("sandbox web")));
    netd.client.remove_sandbox("web").await.expect("the sandbox");
    assert!(netd.client.info().await.expect("info").warnings.is_empty());
}

#[tokio::test]
async fn a_second_netd_in_the_same_place_is_refused() {
    let netd = NetdHost::new();
    let mut command = netd.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = netd.host.run(move || command.output().expect("netd"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.starts_with("netd: another netd uses "), "{said}");
    netd.client.handshake().await.expect("the first is still there");
}

#[tokio::test]
async fn a_second_netd_on_the_same_network_is_refused() {
    let mut netd = NetdHost::new();
    netd.put("web", &[("tcp", 4000, 1)]).await;
    let traces = netd.traces();
    let mut command = netd.command_in("root2", "run2");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = netd.host.run(move || command.output().expect("netd"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let named = format!("netd: another netd (process {}) manages this network namespace", netd.netd_pid());
    assert!(said.starts_with(&named), "{said}");
    assert_eq!(netd.traces(), traces);
    netd.kill();
    netd.start();
}

#[test]
fn clients_that_stall_do_not_keep_netd_from_ending() {
    let mut netd = NetdHost::new();
    let connect = || UnixStream::connect(netd.run_dir().join("netd.sock")).expect("netd listens");
    let (_silent, mut half) = (connect(), connect());
    half.write_all(b"PUT /v1/sandboxes/web HTTP/1.1\r\nHost: netd\r\nContent-Length: 100\r\n\r\n{")
        .expect("half a request");
    assert!(netd.terminate().success());
    assert!(!netd.run_dir().join("netd.sock").exists());
}

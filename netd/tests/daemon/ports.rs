//! Published ports: translated by the kernel for IPv4, passed on by the relay for IPv6, held against others.

use std::net::{TcpListener, UdpSocket};

use cnm::{
    Kind,
    api::{EndpointRequest, NetworkCreate},
};
use netd_client::Error;

use crate::{
    netd_host::{NetdHost, request},
    traffic::{ask_tcp, ask_udp, serve},
};

#[tokio::test]
async fn a_port_is_reached_from_the_host_over_both_families() {
    let netd = NetdHost::new();
    netd.host.sh("ip link add wire type bridge && ip address add fd99::7/64 dev wire nodad && ip link set wire up");
    let web = netd.put("web", &[("tcp", 4000, 1), ("udp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    for address in ["127.0.0.1:4000", "172.17.0.1:4000", "[::1]:4000", "[fd99::7]:4000"] {
        for (ask, how) in [(ask_tcp as fn(&_, &_) -> _, "TCP"), (ask_udp, "UDP")] {
            let answer = ask(&netd.host, address).unwrap_or_else(|error| panic!("{address} over {how}: {error}"));
            assert!(answer.starts_with("web 172.17.0.1:"), "{address} over {how}: {answer}");
        }
    }
    netd.client.remove_sandbox("web").await.expect("the sandbox");
    for address in ["127.0.0.1:4000", "[::1]:4000"] {
        ask_tcp(&netd.host, address).expect_err("nobody serves it");
    }
}

#[tokio::test]
async fn relayed_ports_can_be_published_again_at_once() {
    let mut netd = NetdHost::new();
    for _ in 0..3 {
        let web = netd.put("web", &[("tcp", 4000, 1), ("tcp", 6000, 2000)]).await;
        serve(&netd.inside(&web), 80, "web");
        // The server ends the connection, and so does the relay's side that the client sees: it waits (TIME_WAIT).
        ask_tcp(&netd.host, "[::1]:4000").expect("an answer");
        netd.client.remove_sandbox("web").await.expect("the sandbox");
    }
    let web = netd.put("web", &[("tcp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    ask_tcp(&netd.host, "[::1]:4000").expect("an answer");
    netd.kill();
    netd.start();
    let warnings = netd.client.info().await.expect("info").warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
    ask_tcp(&netd.host, "[::1]:4000").expect("an answer");
}

#[tokio::test]
async fn ports_leave_files_for_all_else() {
    let mut netd = NetdHost::empty();
    netd.start_with_files(400);
    let mut refusal = None;
    for number in 0..20 {
        let ports = [("tcp", 5000 + 50 * number, 50)];
        if let Err(error) = netd.client.put_sandbox(&format!("s{number}"), &request(&ports)).await {
            refusal = Some(error.to_string());
            break;
        }
    }
    let refusal = refusal.expect("1000 ports are too many");
    assert!(refusal.contains("its limit of open files"), "{refusal}");
    let names: Vec<_> = (0..20).map(|number| format!("plain{number}")).collect();
    futures::future::join_all(names.iter().map(|name| netd.put(name, &[]))).await;
}

#[tokio::test]
async fn a_long_range_leads_to_every_port_of_it() {
    let netd = NetdHost::new();
    let web = netd.put("web", &[("tcp", 6000, 201)]).await;
    let inside = netd.inside(&web);
    serve(&inside, 80, "first");
    serve(&inside, 280, "last");
    for (address, greeting) in
        [("127.0.0.1:6000", "first"), ("127.0.0.1:6200", "last"), ("[::1]:6000", "first"), ("[::1]:6200", "last")]
    {
        let answer = ask_tcp(&netd.host, address).expect(address);
        assert!(answer.starts_with(greeting), "{address}: {answer}");
    }
    ask_tcp(&netd.host, "127.0.0.1:6201").expect_err("it is not published");
    ask_tcp(&netd.host, "127.0.0.1:6100").expect_err("nobody serves it inside");
}

#[tokio::test]
async fn ports_are_held_and_taken_ones_are_refused_by_name() {
    let netd = NetdHost::new();
    netd.put("web", &[("tcp", 4000, 1), ("udp", 4000, 1)]).await;
    for address in ["0.0.0.0:4000", "127.0.0.1:4000", "[::]:4000", "[::1]:4000"] {
        netd.host.run(move || TcpListener::bind(address).expect_err(address));
        netd.host.run(move || UdpSocket::bind(address).expect_err(address));
    }
    let error = netd.client.put_sandbox("other", &request(&[("tcp", 4000, 1)])).await.expect_err("it is published");
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("published by sandbox web"), "{error}");

    let _theirs = netd.host.run(|| TcpListener::bind("127.0.0.1:5000").expect("a free port"));
    let before = netd.traces();
    let error = netd.client.put_sandbox("other", &request(&[("tcp", 5000, 1)])).await.expect_err("somebody has it");
    assert!(matches!(&error, Error::Refused { kind: Kind::Conflict, .. }), "{error:?}");
    // A machine that is busy with other tests may take longer to go through than netd looks.
    let holder = format!("(process {})", std::process::id());
    let is_told = ["another program", &holder].iter().any(|words| error.to_string().contains(words));
    assert!(error.to_string().contains(":5000/tcp") && is_told, "{error}");
    assert_eq!(netd.traces(), before);
}

#[tokio::test]
async fn ports_follow_the_default_gateway_to_another_network() {
    let netd = NetdHost::new();
    let net = NetworkCreate { name: "net".to_owned(), ..NetworkCreate::default() };
    netd.client.create_network(&net).await.expect("a network");
    let web = netd.put("web", &[("tcp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    let request = EndpointRequest { network: "net".to_owned(), gateway_priority: 1, ..EndpointRequest::default() };
    let endpoint = netd.client.connect_endpoint("web", &request).await.expect("an endpoint");
    assert!(endpoint.is_gateway_ipv4);
    let gateway = endpoint.addresses[0].gateway.expect("a gateway");
    let there = [("127.0.0.1:4000", gateway), ("[::1]:4000", gateway)];
    for (address, source) in there {
        let answer = ask_tcp(&netd.host, address).expect(address);
        assert!(answer.starts_with(&format!("web {source}:")), "{address}: {answer}");
    }
    netd.client.disconnect_endpoint("web", &endpoint.id).await.expect("the endpoint");
    for address in ["127.0.0.1:4000", "[::1]:4000"] {
        let answer = ask_tcp(&netd.host, address).expect(address);
        assert!(answer.starts_with("web 172.17.0.1:"), "{address}: {answer}");
    }
}

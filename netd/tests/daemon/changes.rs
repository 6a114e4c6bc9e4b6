//! Sandboxes that become otherwise while they are used.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use cnm::{
    Kind,
    api::{EndpointRequest, NetworkCreate, Sandbox, SandboxCheck, SandboxPut},
};

use crate::{
    netd_host::{NetdHost, request},
    traffic::{ask_tcp, ask_udp, serve},
};

/// Asks without end until told to stop; answers with how often, and what went wrong.
fn ask_on_and_on(netd: &NetdHost, stop: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<(usize, Vec<String>)>> {
    let asks = [
        ("127.0.0.1:4000", ask_tcp as fn(&_, &_) -> _, "TCP"),
        ("[::1]:4000", ask_tcp, "TCP"),
        ("127.0.0.1:4000", ask_udp, "UDP"),
        ("[::1]:4000", ask_udp, "UDP"),
    ];
    let started = Arc::new(AtomicUsize::new(0));
    let threads = asks.map(|(address, ask, how)| {
        let (host, stop, started) = (netd.host.clone(), stop.clone(), started.clone());
        thread::spawn(move || {
            let (mut count, mut wrong) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                match ask(&host, address) {
                    Ok(answer) if answer.starts_with("web ") => {}
                    other => wrong.push(format!("{address} over {how}: {other:?}")),
                }
                count += 1;
                started.fetch_add(usize::from(count == 1), Ordering::Relaxed);
            }
            (count, wrong)
        })
    });
    while started.load(Ordering::Relaxed) < asks.len() {
        thread::yield_now();
    }
    threads.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_that_come_and_go_lose_no_request_on_others() {
    let netd = NetdHost::new();
    let web = netd.put("web", &[("tcp", 4000, 1), ("udp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    let stop = Arc::new(AtomicBool::new(false));
    let asking = ask_on_and_on(&netd, &stop);
    let wishes: [&[(&str, u16, u16)]; 4] = [
        &[("tcp", 4000, 1), ("udp", 4000, 1), ("tcp", 5000, 1)],
        &[("tcp", 4000, 3), ("udp", 4000, 3)],
        &[("tcp", 4000, 2), ("udp", 4000, 2), ("udp", 5000, 1)],
        &[("tcp", 4000, 1), ("udp", 4000, 1)],
    ];
    for round in 0..40 {
        let wish = request(wishes[round % wishes.len()]);
        netd.client.put_sandbox("web", &wish).await.expect("a change");
    }
    stop.store(true, Ordering::Relaxed);
    for thread in asking {
        let (count, wrong) = thread.join().expect("no panic");
        assert!(wrong.is_empty(), "{} of {count}: {wrong:?}", wrong.len());
    }
    // What came and went is as it was: free, and refused.
    ask_tcp(&netd.host, "127.0.0.1:5000").expect_err("it is published no longer");
    netd.put("other", &[("tcp", 5000, 1), ("udp", 5000, 1), ("tcp", 4001, 1)]).await;
}

/// What there is with one sandbox, whose host end and address have other names each time.
fn traces_of(netd: &NetdHost, only: &Sandbox) -> Vec<String> {
    let address = only.endpoints[0].addresses[0].address.ip().to_string();
    let traces = netd.traces();
    let is_host_end = |line: &&str| line.len() == 12 && line.starts_with("bv");
    let host_end = traces.lines().find(is_host_end).expect("a host end");
    let mut lines: Vec<_> =
        traces.lines().map(|line| line.replace(&address, "ADDRESS").replace(host_end, "HOST END")).collect();
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn a_change_is_kept_over_a_kill_and_refused_whole() {
    let mut netd = NetdHost::new();
    let net = NetworkCreate { name: "net".to_owned(), ..NetworkCreate::default() };
    netd.client.create_network(&net).await.expect("a network");
    let first = request(&[("tcp", 4000, 1)]);
    let web = netd.put("web", &[("tcp", 4000, 1)]).await;
    serve(&netd.inside(&web), 80, "web");
    let start = traces_of(&netd, &web);
    let endpoint = EndpointRequest { network: "net".to_owned(), ..EndpointRequest::default() };
    let other = SandboxPut { endpoints: vec![endpoint], ..request(&[("tcp", 4000, 1), ("tcp", 5000, 1)]) };
    let changed = netd.client.put_sandbox("web", &other).await.expect("a change");
    assert_eq!(netd.client.put_sandbox("web", &other).await.expect("the same"), changed);
    let gateway = changed.endpoints[0].addresses[0].gateway.expect("a gateway");
    netd.kill();
    netd.start();
    assert_eq!(netd.client.sandbox("web").await.expect("the sandbox"), changed);
    for address in ["127.0.0.1:4000", "[::1]:4000", "127.0.0.1:5000", "[::1]:5000"] {
        let answer = ask_tcp(&netd.host, address).expect(address);
        assert!(answer.starts_with(&format!("web {gateway}:")), "{address}: {answer}");
    }
    let nothing = SandboxCheck::default();
    assert_eq!(netd.client.check_sandbox("web").await.expect("the sandbox"), nothing);
    let before = netd.traces();
    netd.put("other", &[("udp", 6000, 1)]).await;
    let taken = SandboxPut { ports: request(&[("tcp", 4001, 1), ("udp", 6000, 1)]).ports, ..first.clone() };
    let error = netd.client.put_sandbox("web", &taken).await.expect_err("it is published");
    assert_eq!(error.kind(), Kind::Conflict);
    let theirs = SandboxPut { owner: "them".to_owned(), ..first.clone() };
    assert_eq!(netd.client.put_sandbox("web", &theirs).await.expect_err("it isn't theirs").kind(), Kind::Forbidden);
    netd.client.remove_sandbox("other").await.expect("the sandbox");
    assert_eq!((netd.traces(), netd.client.sandbox("web").await.expect("the sandbox")), (before, changed));
    let web = netd.client.put_sandbox("web", &first).await.expect("and back");
    let interface = web.endpoints[0].interface.as_deref().expect("a link");
    netd.inside(&web).sh(&format!("ip route del default && ip address flush dev {interface}"));
    let check = netd.client.check_sandbox("web").await.expect("the sandbox");
    assert_eq!(check.missing.len(), 3, "address, neighbour and route: {check:?}");
    assert_eq!(traces_of(&netd, &web), start);
    netd.client.remove_sandbox("web").await.expect("the sandbox");
}

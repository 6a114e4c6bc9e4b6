//! What requests lead to when nothing goes wrong.

use std::{collections::BTreeSet, time::Duration};

use cnm::{
    Kind,
    api::{Claim, EndpointRequest, EventKind, NetworkCreate, PruneRequest},
    spec::{EndpointSpec, NetworkSpec, SandboxSpec},
};
use futures::future::join_all;

use super::world::{World, address, id, put, request, spec};
use crate::controller::{Controller, PutSandbox, lanes::LaneKey};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn create(netd: &Controller, name: &str) {
    let wire = NetworkCreate { name: name.to_owned(), ..NetworkCreate::default() };
    netd.create_network(NetworkSpec::try_from(wire).expect("a valid request")).await.expect("a network");
}

#[tokio::test]
async fn a_repeated_put_answers_with_what_is_there() {
    let world = World::new();
    let netd = world.netd().await;
    let puts = join_all((0..8).map(|_| netd.put_sandbox(spec("web")))).await;
    let puts: Vec<_> = puts.into_iter().map(|put| put.expect("a sandbox").value).collect();
    let made = puts.iter().filter(|put| matches!(put, PutSandbox::Made(_))).count();
    assert_eq!(made, 1);
    assert!(puts.iter().all(|put| matches!(put, PutSandbox::Made(_) | PutSandbox::There(_))));
    assert_eq!(netd.read_view().count_sandboxes(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_side_by_side_have_addresses_and_ports_of_their_own() {
    let world = World::new();
    let netd = world.netd().await;
    let before = world.seen();
    let names: Vec<String> = (0..50).map(|number| format!("s{number}")).collect();
    let sandboxes = join_all(names.iter().map(|name| put(&netd, name))).await;
    let sandboxes: Vec<_> = sandboxes.into_iter().map(|sandbox| sandbox.expect("a sandbox")).collect();
    let addresses: BTreeSet<_> = sandboxes.iter().map(|sandbox| address(sandbox)).collect();
    let ports: BTreeSet<_> = sandboxes.iter().map(|sandbox| sandbox.ports[0].host_first).collect();
    assert_eq!((addresses.len(), ports.len()), (50, 50));
    assert_eq!(netd.read_view().count_endpoints(), 50);
    let removed = join_all(names.iter().map(|name| netd.remove_sandbox(id(name)))).await;
    assert!(removed.into_iter().all(|removed| removed.is_ok()));
    assert_eq!(world.seen(), before);
    assert_eq!(netd.read_view().count_endpoints(), 0);
}

#[tokio::test]
async fn a_port_of_somebody_else_is_refused_by_name_before_anything_is_made() {
    let world = World::new();
    let netd = world.netd().await;
    let before = world.seen();
    let thief = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = thief.local_addr().expect("an address").port();
    let mut wire = request();
    wire.ports[0].host_ports = Some(cnm::api::PortRange { first: port, last: port });
    let error = netd.put_sandbox(SandboxSpec::parse("web", wire).expect("a valid request")).await.expect_err("taken");
    assert_eq!(error.kind(), Kind::Conflict);
    let expected = format!("failed to bind host port 127.0.0.1:{port}/tcp: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(world.seen(), before);
}

#[tokio::test]
async fn an_owner_keeps_what_it_claims() {
    let world = World::new();
    let netd = world.netd().await;
    for name in ["a", "b", "c"] {
        put(&netd, name).await.expect("a sandbox");
    }
    let mut wire = request();
    wire.owner = "somebody-else".to_owned();
    netd.put_sandbox(SandboxSpec::parse("d", wire).expect("a valid request")).await.expect("a sandbox");
    let claim = Claim { sandboxes: ["b", "d", "gone"].map(str::to_owned).to_vec() };
    let mut reply = netd.claim("tests".parse().expect("an owner"), claim).await.expect("a claim");
    reply.removed.sort();
    assert_eq!(reply.removed, ["a", "c"]);
    assert_eq!(reply.missing, ["d", "gone"]);
    let published = netd.read_view();
    let left: Vec<_> = published.sandboxes().map(|sandbox| sandbox.id().to_string()).collect();
    assert_eq!(left, ["b", "d"]);
}

#[tokio::test]
async fn a_claim_waits_for_nobody_who_works_on_a_sandbox_that_it_does_not_name() {
    let world = World::new();
    let netd = world.netd().await;
    for name in ["busy", "free"] {
        put(&netd, name).await.expect("a sandbox");
    }
    let lane = || netd.lanes.enter(LaneKey::Sandbox(id("busy")));
    let working = lane().await;
    let nothing = Claim { sandboxes: Vec::new() };
    let claim = netd.claim("tests".parse().expect("an owner"), nothing);
    let reply = tokio::time::timeout(PATIENCE, claim).await.expect("it waits for nobody").expect("a claim");
    assert_eq!(reply.removed, ["free"]);
    assert!(netd.read_view().sandbox("busy").is_ok());
    drop(working);
    // Whoever comes after the claim finds it gone.
    let _after = lane().await;
    assert!(netd.read_view().sandbox("busy").is_err());
}

#[tokio::test]
async fn events_tell_of_all_of_it_in_order() {
    use EventKind::{
        EndpointConnected, EndpointDisconnected, NetworkCreated, NetworkRemoved, SandboxCreated, SandboxRemoved,
    };
    let world = World::new();
    let netd = world.netd().await;
    let mut events = netd.subscribe(None).await.expect("events");
    create(&netd, "net").await;
    put(&netd, "web").await.expect("a sandbox");
    let wire = EndpointRequest { network: "net".to_owned(), ..EndpointRequest::default() };
    let endpoint = EndpointSpec::try_from(wire).expect("a valid request");
    let endpoint = netd.connect(id("web"), endpoint).await.expect("an endpoint");
    netd.disconnect(id("web"), endpoint.id.clone()).await.expect("the endpoint");
    netd.remove_sandbox(id("web")).await.expect("the sandbox");
    netd.remove_network("net".parse().expect("a name")).await.expect("nobody is on it");
    let mut told = Vec::new();
    while let Ok(event) = events.upcoming.try_recv() {
        told.push(event);
    }
    let kinds: Vec<_> = told.iter().map(|event| event.what).collect();
    assert_eq!(
        kinds,
        [
            NetworkCreated,
            EndpointConnected,
            SandboxCreated,
            EndpointConnected,
            EndpointDisconnected,
            EndpointDisconnected,
            SandboxRemoved,
            NetworkRemoved
        ]
    );
    assert!(told.windows(2).all(|pair| pair[1].revision == pair[0].revision + 1));
    assert_eq!(told[3].endpoint, Some(endpoint.id));
    assert_eq!(told[3].network_name.as_deref(), Some("net"));
}

#[tokio::test]
async fn prune_removes_what_nobody_is_on() {
    let world = World::new();
    let netd = world.netd().await;
    for name in ["used", "unused", "kept"] {
        let mut wire = NetworkCreate { name: name.to_owned(), ..NetworkCreate::default() };
        if name == "kept" {
            wire.labels.insert("keep".to_owned(), String::new());
        }
        netd.create_network(NetworkSpec::try_from(wire).expect("a valid request")).await.expect("a network");
    }
    let mut wire = request();
    wire.endpoints[0].network = "used".to_owned();
    netd.put_sandbox(SandboxSpec::parse("web", wire).expect("a valid request")).await.expect("a sandbox");
    let before =
        |until| PruneRequest { labels_not: vec!["keep".to_owned()], until: Some(until), ..PruneRequest::default() };
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    assert_eq!(netd.prune(before(now - hour)).await.expect("a prune"), [""; 0]);
    assert_eq!(netd.prune(before(now)).await.expect("a prune"), ["unused"]);
    let published = netd.read_view();
    let left: Vec<_> = published.networks().map(|network| network.spec.name.to_string()).collect();
    assert_eq!(left, ["bridge", "host", "kept", "none", "used"]);
}

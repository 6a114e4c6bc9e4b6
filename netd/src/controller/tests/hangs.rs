//! The kernel never answers about some networks: nobody on another one notices.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cnm::{
    api::NetworkCreate,
    id::LinkName,
    plan::Op,
    resource::Resource,
    spec::{NetworkSpec, SandboxSpec},
};
use kernel::LinkEvent;

use super::{
    crashing_host::{Burial, CrashingHost},
    world::{World, id, request},
};
use crate::controller::Controller;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn network(netd: &Controller, name: &str) -> LinkName {
    let wire = NetworkCreate { name: name.to_owned(), ..NetworkCreate::default() };
    let network = netd.create_network(NetworkSpec::try_from(wire).expect("a valid request")).await.expect("a network");
    network.value.link().expect("a bridge").clone()
}

fn on(network: &str, id: &str) -> SandboxSpec {
    let mut wire = request();
    wire.endpoints[0].network = network.to_owned();
    SandboxSpec::parse(id, wire).expect("a valid request")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_that_hangs_over_one_network_keeps_no_other_waiting() {
    let world = World::new();
    let crashing_host = Arc::new(CrashingHost::new(world.host.clone()));
    let netd = world.netd_on(crashing_host.clone()).await;
    let _burial = Burial(crashing_host.clone());
    let (dead, fresh, empty) =
        (network(&netd, "dead").await, network(&netd, "fresh").await, network(&netd, "empty").await);
    let alive = network(&netd, "alive").await;
    netd.put_sandbox(on("dead", "d0")).await.expect("it still lives");
    netd.put_sandbox(on("alive", "a0")).await.expect("a sandbox");
    crashing_host.dies_at([dead.clone(), fresh, empty]);
    // A put that needs nothing of its network itself, and one that does: it is the first with a port on loopback.
    let hanging = netd.clone();
    tokio::spawn(async move { hanging.put_sandbox(on("dead", "d1")).await });
    let at = crashing_host.died_at().await;
    assert!(matches!(at, Op::Make(Resource::Neighbour(_))), "{at:?}");
    let hanging = netd.clone();
    tokio::spawn(async move { hanging.put_sandbox(on("fresh", "f0")).await });
    let at = crashing_host.died_at().await;
    assert!(matches!(at, Op::Make(Resource::Sysctl(_))), "{at:?}");
    // A removal of a sandbox, and one of a network.
    let hanging = netd.clone();
    tokio::spawn(async move { hanging.remove_sandbox(id("d0")).await });
    let at = crashing_host.died_at().await;
    assert!(matches!(at, Op::Remove(Resource::Veth(_) | Resource::Neighbour(_))), "{at:?}");
    let hanging = netd.clone();
    tokio::spawn(async move { hanging.remove_network("empty".parse().expect("a name")).await });
    let at = crashing_host.died_at().await;
    assert!(matches!(at, Op::Remove(Resource::Address(_) | Resource::Bridge(_))), "{at:?}");
    // One that waits for the lane of a network, and a repair.
    let hanging = netd.clone();
    tokio::spawn(async move { hanging.remove_network("fresh".parse().expect("a name")).await });
    netd.repair_links([LinkEvent::Bridge(dead)].into()).await.expect("it is looked at beside");

    let rest = async {
        netd.put_sandbox(on("alive", "a1")).await.expect("a sandbox");
        netd.remove_sandbox(id("a0")).await.expect("the sandbox");
        netd.remove_sandbox(id("a1")).await.expect("the sandbox");
        netd.handshake().await.expect("an answer");
        assert_eq!(netd.read_view().networks().count(), 7);
        let mut events = netd.subscribe(None).await.expect("events");
        world.host.change_externally(|state| {
            let host = state.namespaces.get_mut(&cnm::resource::NamespaceAt::Host).expect("the host's namespace");
            host.links.get_mut(&alive).expect("the bridge").addresses.clear();
        });
        netd.repair_links(BTreeSet::from([LinkEvent::Bridge(alive.clone())])).await.expect("it is looked at");
        let told = events.upcoming.recv().await.expect("an event").message.unwrap_or_default();
        assert!(told.contains(alive.as_str()) && told.contains("put them back"), "{told}");
        netd.remove_network("alive".parse().expect("a name")).await.expect("nobody is on it");
    };
    tokio::time::timeout(PATIENCE, rest).await.expect("nobody waits for the dead networks");
}

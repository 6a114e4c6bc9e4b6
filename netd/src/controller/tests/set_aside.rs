//! Records that can't be read, or contradict each other: named, and everything else goes on.

use cnm::{
    api::{EndpointRequest, NetworkCreate},
    resource::NamespaceAt,
    spec::{NetworkSpec, SandboxSpec},
};

use super::world::{World, id, put, request};
use crate::controller::Controller;

async fn put_on(netd: &Controller, name: &str, network: &str) {
    let mut wire = request();
    wire.endpoints = vec![EndpointRequest { network: network.to_owned(), ..EndpointRequest::default() }];
    netd.put_sandbox(SandboxSpec::parse(name, wire).expect("a valid request")).await.expect("a sandbox");
}

/// A netd with a sandbox on network `lan` and two on network `bridge`.
async fn busy(world: &World) -> Controller {
    let netd = world.netd().await;
    let lan = NetworkCreate { name: "lan".to_owned(), ..NetworkCreate::default() };
    netd.create_network(NetworkSpec::try_from(lan).expect("a valid request")).await.expect("a network");
    put_on(&netd, "api", "lan").await;
    put(&netd, "web").await.expect("a sandbox");
    put(&netd, "db").await.expect("a sandbox");
    netd
}

/// What `info` warns of, in the order in which it does.
async fn assert_warns(netd: &Controller, of: &[&str]) {
    let warnings = netd.info().await.expect("info").warnings;
    for part in of {
        assert!(warnings.iter().any(|warning| warning.contains(part)), "{part}: {warnings:#?}");
    }
}

#[tokio::test]
async fn others_go_on_and_its_id_can_be_asked_for_again() {
    let world = World::new();
    let before = busy(&world).await;
    let spoil = [
        ("netd.db", "UPDATE network SET record = '{}' WHERE record LIKE '%\"lan\"%'"),
        ("netd-boot.db", "UPDATE sandbox SET record = '{\"spec\":7}' WHERE id = 'web'"),
    ];
    let (_files, netd) = world.netd_after_kill_and(&spoil).await;
    let published = netd.read_view();
    let there: Vec<_> = published.sandboxes().map(|sandbox| sandbox.id().to_string()).collect();
    assert_eq!(there, ["db"]);
    assert_eq!(published.sandbox("db").expect("db"), before.read_view().sandbox("db").expect("db"));
    assert_eq!(
        published.networks().map(|network| network.spec.name.to_string()).collect::<Vec<_>>(),
        ["bridge", "host", "none"]
    );
    let names = ["the record of network ", "the record of sandbox web ", "sandbox api is set aside: ", "network lan"];
    assert_warns(&netd, &names).await;
    // Their namespaces end with what runs in them.
    let namespaces = world.host.read().namespaces;
    for (sandbox, there) in [("web", false), ("api", false), ("db", true)] {
        assert_eq!(namespaces.contains_key(&NamespaceAt::Pinned(id(sandbox))), there, "{sandbox}");
    }
    put(&netd, "web").await.expect("the same id again");
    netd.remove_sandbox(id("db")).await.expect("another");
}

#[tokio::test]
async fn without_its_predefined_network_netd_starts_and_says_so() {
    let world = World::new();
    let _before = busy(&world).await;
    let spoil = [("netd.db", "UPDATE network SET record = 'x' WHERE record LIKE '%default_bridge%'")];
    let (_files, netd) = world.netd_after_kill_and(&spoil).await;
    let there: Vec<_> = netd.read_view().sandboxes().map(|sandbox| sandbox.id().to_string()).collect();
    assert_eq!(there, ["api"]);
    assert_warns(&netd, &["the record of network ", "sandbox web is set aside", "sandbox db is set aside"]).await;
    put_on(&netd, "new", "lan").await;
    let networks: Vec<_> = netd.read_view().networks().map(|network| network.spec.name.to_string()).collect();
    assert!(networks.contains(&"lan".to_owned()), "{networks:?}");
}

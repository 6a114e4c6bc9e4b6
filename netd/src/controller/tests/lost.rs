//! Namespaces that nobody keeps any more: left as they are until their owners say where they are.

use cnm::{
    Kind,
    api::{Claim, SandboxPut},
    id::LinkName,
    observed::ObservedNamespace,
    resource::NamespaceAt,
};
use kernel::{Host as _, LinkEvent};

use super::world::{World, id, put, put_as, request};
use crate::controller::Controller;

const FOUND: &str = "/proc/4711/ns/net";

async fn claim(netd: &Controller, sandboxes: &[&str]) -> cnm::api::ClaimReply {
    let sandboxes = sandboxes.iter().map(|name| (*name).to_owned()).collect();
    netd.claim("tests".parse().expect("an owner"), Claim { sandboxes }).await.expect("a claim")
}

#[tokio::test]
async fn nothing_is_done_to_a_lost_namespace_until_its_owner_says_where_it_is() {
    let world = World::new();
    let netd = world.netd().await;
    put(&netd, "web").await.expect("a sandbox");
    put(&netd, "db").await.expect("a sandbox");
    let before = world.seen();
    assert_eq!(claim(&netd, &["web", "db"]).await.lost, Vec::<String>::new());
    drop(netd);

    world.host.lose_namespace(&id("web"), FOUND);
    let lost = world.seen();
    let (_files, netd) = world.netd_after_kill().await;
    assert_eq!(world.seen(), lost);
    let reply = claim(&netd, &["web", "db", "never"]).await;
    assert_eq!((reply.lost, reply.missing), (vec!["web".to_owned()], vec!["never".to_owned()]));
    let check = netd.check_sandbox(id("web")).await.expect("a comparison");
    assert!(check.missing[0].contains("nobody keeps it"), "{check:?}");

    let other = SandboxPut { endpoints: Vec::new(), ports: Vec::new(), ..request() };
    let error = put_as(&netd, "web", other).await.expect_err("it can't be changed");
    assert_eq!(error.kind(), Kind::Conflict);

    let owner = "tests".parse().expect("an owner");
    let refused = |sandbox: &str, found: &str| netd.adopt_namespace(&owner, id(sandbox), found.into());
    assert_eq!(refused("web", "/proc/1/ns/mnt").await.expect_err("none").kind(), Kind::InvalidParameter);
    assert_eq!(refused("db", FOUND).await.expect_err("kept").kind(), Kind::Conflict);
    assert_eq!(refused("never", FOUND).await.expect_err("unknown").kind(), Kind::NotFound);
    let others = "somebody".parse().expect("an owner");
    let error = netd.adopt_namespace(&others, id("web"), FOUND.into()).await.expect_err("another's");
    assert_eq!(error.kind(), Kind::Forbidden);
    let foreign = NamespaceAt::Path("/proc/7/ns/net".to_owned());
    world.host.change_externally(|state| state.namespaces.insert(foreign, ObservedNamespace::default()));
    let error = refused("web", "/proc/7/ns/net").await.expect_err("another namespace");
    assert!(error.to_string().contains("it has none of the sandbox's links"), "{error}");
    world.host.change_externally(|state| state.namespaces.remove(&NamespaceAt::Path("/proc/7/ns/net".to_owned())));
    assert_eq!(world.seen(), lost);

    netd.adopt_namespace(&owner, id("web"), FOUND.into()).await.expect("it is found");
    assert_eq!(world.seen(), before);
    assert_eq!(claim(&netd, &["web", "db"]).await, cnm::api::ClaimReply::default());
}

#[tokio::test]
async fn a_sandbox_whose_namespace_is_lost_can_be_removed_and_made_again() {
    let world = World::new();
    let netd = world.netd().await;
    put(&netd, "web").await.expect("a sandbox");
    world.host.lose_namespace(&id("web"), FOUND);
    drop(netd);
    let (_files, netd) = world.netd_after_kill().await;
    netd.remove_sandbox(id("web")).await.expect("it goes");
    assert!(world.host.lost_namespaces().expect("the links").is_empty());
    put(&netd, "web").await.expect("the same id again");
    assert!(netd.check_sandbox(id("web")).await.expect("a comparison").missing.is_empty());
}

#[tokio::test]
async fn a_lost_namespace_that_ends_takes_its_links_along_and_nobody_else_is_said_to_have_deleted_them() {
    let world = World::new();
    let netd = world.netd().await;
    let mut host_ends = Vec::<LinkName>::new();
    for name in ["web", "db"] {
        let sandbox = put(&netd, name).await.expect("a sandbox");
        host_ends.push(sandbox.endpoints[0].interface().expect("a link").host_end.clone());
    }
    world.host.lose_namespace(&id("web"), FOUND);
    drop(netd);
    let (_files, netd) = world.netd_after_kill().await;
    let mut events = netd.subscribe(None).await.expect("events");
    world.host.end_lost_namespace(FOUND);
    world.host.delete_link(&host_ends[1]);
    let told = host_ends.iter().cloned().map(LinkEvent::HostEnd).collect();
    netd.repair_links(told).await.expect("they are looked at");
    let told = events.upcoming.recv().await.expect("an event").message.unwrap_or_default();
    assert!(told.contains(host_ends[1].as_str()) && told.contains("put them back"), "{told}");
    assert!(!told.contains(host_ends[0].as_str()), "{told}");
    assert!(netd.check_sandbox(id("db")).await.expect("a comparison").missing.is_empty());
}

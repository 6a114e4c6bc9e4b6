//! netd is killed between any two steps: the next one finds the world as before or as asked.

use std::sync::Arc;

use cnm::{
    id::LinkName,
    observed::{LinkKind, ObservedLink},
    resource::NamespaceAt,
};

use super::{
    crashing_host::CrashingHost,
    world::{World, address, id, put},
};
use crate::controller::Controller;

/// More steps than any request here takes, also where each port that it chooses first is held by a test beside it: the
/// loopback plan is applied once more for each of these.
const STEPS: usize = 64;

/// Kills netd at each step of a request, in a world of its own each time, until there is none left to be killed at: the
/// next netd finds the world as it was before `prepare`. Says how often.
async fn kill_at_each_step<R>(
    prepare: impl AsyncFn(&Controller),
    request: impl Fn(Controller) -> R,
    then: impl AsyncFn(&Controller),
) -> usize
where
    R: Future<Output = bool> + Send + 'static,
{
    for step in 0..STEPS {
        let world = World::new();
        let crashing_host = Arc::new(CrashingHost::new(world.host.clone()));
        let netd = world.netd_on(crashing_host.clone()).await;
        let before = world.seen();
        prepare(&netd).await;
        crashing_host.dies_after(step);
        tokio::select! {
            () = crashing_host.dead.notified() => {}
            answered = tokio::spawn(request(netd.clone())) => {
                assert!(answered.expect("no panic"), "step {step}");
                return step;
            }
        }
        let (_copy, next) = world.netd_after_kill().await;
        assert_eq!(world.seen(), before, "after a kill at step {step}");
        assert_eq!(next.read_view().count_sandboxes(), 0, "after a kill at step {step}");
        then(&next).await;
        assert_eq!(world.seen(), before, "after a kill at step {step}");
        crashing_host.bury();
    }
    panic!("more than {STEPS} steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_was_never_answered_never_was() {
    let request = |netd: Controller| async move { put(&netd, "web").await.is_ok() };
    let kills = kill_at_each_step(
        async |_| {},
        request,
        async |next| {
            put(next, "web").await.expect("nothing stands in the way");
            next.remove_sandbox(id("web")).await.expect("the sandbox");
        },
    );
    let kills = kills.await;
    assert!(kills >= 4, "{kills} kills");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_was_begun_is_finished() {
    let prepare = async |netd: &Controller| drop(put(netd, "web").await.expect("a sandbox"));
    let request = |netd: Controller| async move { netd.remove_sandbox(id("web")).await.is_ok() };
    let kills = kill_at_each_step(prepare, request, async |_| {}).await;
    assert!(kills >= 2, "{kills} kills");
}

#[tokio::test]
async fn what_was_answered_is_there_again_just_as_it_was() {
    let world = World::new();
    let netd = world.netd().await;
    let web = put(&netd, "web").await.expect("a sandbox");
    let db = put(&netd, "db").await.expect("a sandbox");
    let before = world.seen();
    let operations = world.host.read().operations;
    let networks = netd.read_view().networks().cloned().collect::<Vec<_>>();
    // Its ports are bound by the netd that is still there: a thief, as far as the next one can tell.
    let (_copy, next) = world.netd_after_kill().await;
    assert_eq!(world.seen(), before);
    assert_eq!(world.host.read().operations, operations, "nothing had to be done");
    assert_eq!(next.read_view().networks().cloned().collect::<Vec<_>>(), networks);
    for sandbox in [&web, &db] {
        let there = next.read_view().sandbox(sandbox.id().as_str()).cloned();
        assert_eq!(there.expect("the sandbox"), *sandbox);
    }
    assert_ne!(address(&web), address(&db));
    let warnings = next.info().await.expect("info").warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("sandbox db") && warnings[0].contains("another program"), "{warnings:?}");
    let again = put(&next, "web").await.expect("the same request");
    assert_eq!(again, web);
}

#[tokio::test]
async fn a_start_repairs_what_others_broke_and_leaves_what_is_theirs() {
    let world = World::new();
    let netd = world.netd().await;
    put(&netd, "web").await.expect("a sandbox");
    let before = world.seen();
    drop(netd);
    world.host.change_externally(|state| {
        state.elements.clear();
        let host = state.namespaces.get_mut(&NamespaceAt::Host).expect("the host's namespace");
        let berth0 = host.links.get_mut(&"berth0".parse().expect("a name")).expect("the bridge");
        berth0.addresses.clear();
    });
    let (_copy, _next) = world.netd_after_kill().await;
    assert_eq!(world.seen(), before);
}

#[tokio::test]
async fn links_whose_deletion_was_cut_off_are_deleted_by_the_next_netd() {
    let world = World::new();
    let retired_bridge = LinkName::of_retired_bridge(7);
    let netd = world.netd().await;
    let web = put(&netd, "web").await.expect("a sandbox");
    let host_end = web.endpoints[0].interface().expect("a link").host_end.clone();
    let of_host = |state: &kernel::fake::State| state.namespaces[&NamespaceAt::Host].links.clone();
    let link = of_host(&world.host.read())[&host_end].clone();
    netd.remove_sandbox(id("web")).await.expect("the sandbox");
    world.host.change_externally(|state| {
        let host = state.namespaces.get_mut(&NamespaceAt::Host).expect("the host's namespace");
        let retired = ObservedLink { bridge: None, up: false, ..link };
        host.links.insert(retired_bridge.clone(), ObservedLink { kind: LinkKind::Bridge, ..retired.clone() });
        host.links.insert(host_end.clone(), retired);
    });
    let (_copy, _next) = world.netd_after_kill().await;
    let left = of_host(&world.host.read());
    assert!(!left.contains_key(&host_end) && !left.contains_key(&retired_bridge), "{left:?}");
}

#[tokio::test]
async fn an_address_that_was_just_freed_rests_over_a_kill() {
    let world = World::new();
    let netd = world.netd().await;
    let first = put(&netd, "first").await.expect("a sandbox");
    let last = put(&netd, "last").await.expect("a sandbox");
    netd.remove_sandbox(id("last")).await.expect("the sandbox");
    let (_copy, next) = world.netd_after_kill().await;
    let new = put(&next, "new").await.expect("a sandbox");
    // It may be later than the very next: one is left out each time that a port turns out to be another test's.
    let number = |sandbox| address(sandbox).parse::<std::net::Ipv4Addr>().expect("an address");
    assert!(number(&first) < number(&last) && number(&last) < number(&new), "{first:?} {last:?} {new:?}");
}

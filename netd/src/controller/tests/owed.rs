//! What was asked of others is owed to them: over kills at every step, reboots, and until they take it back.

use std::{sync::Arc, time::Duration};

use cnm::{api::OwedState, spec::SandboxSpec};

use super::{
    crashing_host::CrashingHost,
    granting_driver::{Behaviour, Lent, NO_DEADLINE, endpoint, network, on},
    world::{Seen, World, id},
};
use crate::controller::Controller;

/// More steps than any request here takes, see the other kills.
const STEPS: usize = 64;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a kill left.
struct Killed<'a> {
    world: &'a World,
    lent: &'a Lent,
    next: &'a Controller,
    /// Before the request.
    before: Seen,
    step: usize,
}

/// Kills netd at each step of a request, in a world with a network of the granting driver's each time, until there is none left to be
/// killed at. Says how often.
async fn kill_at_each_step<R>(
    prepare: impl AsyncFn(&Controller),
    request: impl Fn(Controller) -> R,
    then: impl AsyncFn(Killed<'_>),
) -> usize
where
    R: Future<Output = bool> + Send + 'static,
{
    for step in 0..STEPS {
        let lent = Lent::new(NO_DEADLINE);
        let world = World::with(lent.planners());
        let crashing_host = Arc::new(CrashingHost::new(world.host.clone()));
        let netd = world.netd_of(crashing_host.clone(), lent.of(crashing_host.clone()).planners()).await;
        netd.create_network(network("lent")).await.expect("a network");
        prepare(&netd).await;
        let before = world.seen();
        crashing_host.dies_after(step);
        tokio::select! {
            () = crashing_host.dead.notified() => {}
            answered = tokio::spawn(request(netd.clone())) => {
                assert!(answered.expect("no panic"), "step {step}");
                return step;
            }
        }
        let (_copy, next) = world.netd_after_kill().await;
        then(Killed { world: &world, lent: &lent, next: &next, before, step }).await;
        crashing_host.bury();
    }
    panic!("more than {STEPS} steps");
}

/// What the next netd has no record of goes back by itself; then so many endpoints and networks have something.
async fn goes_back(killed: &Killed<'_>, lent: (usize, usize)) {
    let gone = killed.lent.until(|granting_driver| granting_driver.given.len() == lent.0 + lent.1);
    let in_time = tokio::time::timeout(PATIENCE, gone).await;
    assert!(in_time.is_ok(), "{:?} after a kill at step {}", killed.lent.lent(), killed.step);
    assert_eq!(killed.lent.lent(), lent, "after a kill at step {}", killed.step);
}

/// Without ports: those of a netd that isn't really dead stay bound.
fn bare(network: &str) -> SandboxSpec {
    SandboxSpec { ports: Vec::new(), ..on(network, "web") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_a_put_leaves_nothing_given_that_nobody_owes() {
    let request = |netd: Controller| async move { netd.put_sandbox(on("lent", "web")).await.is_ok() };
    let then = async |killed: Killed<'_>| {
        goes_back(&killed, (0, 1)).await;
        assert_eq!(killed.world.seen(), killed.before, "after a kill at step {}", killed.step);
        assert_eq!(killed.next.read_view().count_sandboxes(), 0);
        killed.next.put_sandbox(bare("lent")).await.expect("nothing stands in the way");
        assert_eq!(killed.lent.lent(), (1, 1));
    };
    let kills = kill_at_each_step(async |_| {}, request, then).await;
    assert!(kills >= 6, "{kills} kills");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_a_connect_leaves_nothing_given_that_nobody_owes() {
    let prepare = async |netd: &Controller| {
        netd.put_sandbox(bare("bridge")).await.expect("a sandbox");
    };
    let request = |netd: Controller| async move { netd.connect(id("web"), endpoint("lent")).await.is_ok() };
    let then = async |killed: Killed<'_>| {
        goes_back(&killed, (0, 1)).await;
        assert_eq!(killed.world.seen(), killed.before, "after a kill at step {}", killed.step);
        assert_eq!(killed.next.read_view().count_endpoints(), 1);
        killed.next.connect(id("web"), endpoint("lent")).await.expect("nothing stands in the way");
        assert_eq!(killed.lent.lent(), (1, 1));
    };
    let kills = kill_at_each_step(prepare, request, then).await;
    assert!(kills >= 5, "{kills} kills");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_a_removal_leaves_nothing_given_that_nobody_owes() {
    let prepare = async |netd: &Controller| {
        netd.put_sandbox(bare("lent")).await.expect("a sandbox");
    };
    let request = |netd: Controller| async move { netd.remove_sandbox(id("web")).await.is_ok() };
    let then = async |killed: Killed<'_>| {
        goes_back(&killed, (0, 1)).await;
        assert_eq!(killed.next.read_view().count_sandboxes(), 0);
        killed.next.put_sandbox(bare("lent")).await.expect("nothing stands in the way");
    };
    let kills = kill_at_each_step(prepare, request, then).await;
    assert!(kills >= 4, "{kills} kills");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_making_or_removing_a_network_leaves_nothing_given_that_nobody_owes() {
    let request = |netd: Controller| async move { netd.create_network(network("more")).await.is_ok() };
    let then = async |killed: Killed<'_>| {
        goes_back(&killed, (0, 1)).await;
        assert_eq!(killed.world.seen(), killed.before, "after a kill at step {}", killed.step);
        killed.next.create_network(network("more")).await.expect("nothing stands in the way");
    };
    let kills = kill_at_each_step(async |_| {}, request, then).await;
    assert!(kills >= 4, "{kills} kills");

    let request = |netd: Controller| async move {
        let reference = "lent".parse().expect("a name");
        netd.remove_network(reference).await.is_ok()
    };
    let then = async |killed: Killed<'_>| {
        goes_back(&killed, (0, 0)).await;
        assert_eq!(killed.next.read_view().count_networks(), 3);
        killed.next.create_network(network("lent")).await.expect("nothing stands in the way");
    };
    let kills = kill_at_each_step(async |_| {}, request, then).await;
    assert!(kills >= 4, "{kills} kills");
}

/// On the granting driver's network, made if it isn't there.
async fn put_lent(netd: &Controller, id: &str) {
    if netd.read_view().network("lent").is_err() {
        netd.create_network(network("lent")).await.expect("a network");
    }
    netd.put_sandbox(on("lent", id)).await.expect("nothing stands in the way");
}

#[tokio::test]
async fn what_endpoints_of_an_earlier_boot_were_given_goes_back() {
    let lent = Lent::new(NO_DEADLINE);
    let world = World::with(lent.planners());
    let netd = world.netd().await;
    put_lent(&netd, "web").await;
    assert_eq!(lent.lent(), (1, 1));
    let (_copy, next) = world.next_netd("another-boot", lent.planners(), &[]).await;
    lent.until(|granting_driver| granting_driver.given.len() == 1).await;
    assert_eq!((lent.lent(), next.read_view().count_sandboxes()), ((0, 1), 0));
}

/// The clock stands still but for what is waited for.
#[tokio::test(start_paused = true)]
async fn what_is_not_taken_back_is_shown_and_offered_again_until_it_is() {
    let lent = Lent::new(Duration::from_secs(2));
    let world = World::with(lent.planners());
    let netd = world.netd().await;
    for behaviour in [Behaviour::Refusing, Behaviour::Silent] {
        put_lent(&netd, "web").await;
        lent.takes(behaviour);
        netd.remove_sandbox(id("web")).await.expect("that is no reason to stay");
        let owed = netd.owed().await.expect("a list");
        let error = match behaviour {
            Behaviour::Refusing => "come back tomorrow",
            _ => "it did not answer within 2s",
        };
        assert_eq!((owed.len(), owed[0].state, owed[0].error.as_deref()), (1, OwedState::Due, Some(error)));
        assert!(owed[0].to == "lent" && owed[0].sandbox.as_deref() == Some("web") && owed[0].attempts >= 1);
        let warnings = netd.info().await.expect("info").warnings;
        assert!(
            warnings.len() == 1
                && warnings[0].starts_with("driver lent has not released what it granted for endpoint ")
                && warnings[0].ends_with(&format!(" of sandbox web, it is asked again: {error}")),
            "{warnings:?}"
        );
        // A network goes after its endpoints.
        netd.remove_network("lent".parse().expect("a name")).await.expect("nobody is on it");
        assert_eq!(lent.lent(), (1, 1));
        lent.takes(Behaviour::Willing);
        lent.until(|granting_driver| granting_driver.given.is_empty()).await;
        while !netd.owed().await.expect("a list").is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(netd.info().await.expect("info").warnings.is_empty());
    }
    let order: Vec<_> =
        lent.granting_driver.borrow().taken_back.iter().map(|holder| holder.endpoint.is_some()).collect();
    assert_eq!(order, [true, false, true, false]);
}

#[tokio::test]
async fn what_is_owed_to_a_driver_that_is_away_waits_for_it() {
    let lent = Lent::new(NO_DEADLINE);
    let world = World::with(lent.planners());
    let netd = world.netd().await;
    put_lent(&netd, "web").await;
    lent.takes(Behaviour::Refusing);
    netd.remove_sandbox(id("web")).await.expect("the sandbox");
    netd.remove_network("lent".parse().expect("a name")).await.expect("nobody is on it");
    let (_copy, without) = world.next_netd("boot", Arc::new(drivers::Registry), &[]).await;
    let owed = loop {
        let owed = without.owed().await.expect("a list");
        if owed.iter().any(|owed| owed.error.is_some()) {
            break owed;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((owed.len(), owed.iter().find_map(|owed| owed.error.as_deref())), (2, Some("there is no driver lent")));
    lent.takes(Behaviour::Willing);
    let (_copy, _next) = world.netd_after_kill().await;
    lent.until(|granting_driver| granting_driver.given.is_empty()).await;
}

#[tokio::test]
async fn what_a_record_that_is_set_aside_speaks_of_is_not_given_back() {
    let lent = Lent::new(NO_DEADLINE);
    let world = World::with(lent.planners());
    put_lent(&world.netd().await, "web").await;
    let given = lent.lent();
    for spoil in [
        ("netd.db", "UPDATE network SET record = '{}' WHERE record LIKE '%\"lent\"%'"),
        ("netd-boot.db", "UPDATE sandbox SET record = '{}'"),
    ] {
        let (_copy, next) = world.netd_after_kill_and(&[spoil]).await;
        assert_eq!(next.owed().await.expect("a list"), [], "{spoil:?}");
        assert_eq!(lent.lent(), given, "{spoil:?}");
    }
    let (_copy, _next) = world.netd_after_kill_and(&[("netd-boot.db", "DELETE FROM sandbox")]).await;
    lent.until(|granting_driver| granting_driver.given.len() == 1).await;
}

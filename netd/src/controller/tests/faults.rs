//! Every operation fails once: what was asked for is then not there, and can be had.

use cnm::api::SandboxState;

use super::world::{World, id, put};

/// More steps than any plan here has, with what undoing adds.
const STEPS: usize = 16;

#[tokio::test]
async fn a_failed_put_leaves_nothing_and_can_be_repeated() {
    let mut failures = 0;
    for step in 0..STEPS {
        let world = World::new();
        let netd = world.netd().await;
        let before = world.seen();
        world.host.fail_after(step);
        let Err(error) = put(&netd, "web").await else { break };
        failures += 1;
        let message = error.chain();
        assert!(message.starts_with("cannot set up sandbox web: step "), "{message}");
        assert_eq!(world.seen(), before, "after a failure at step {step}");
        assert_eq!(netd.published().count_sandboxes(), 0);
        put(&netd, "web").await.expect("nothing stands in the way");
        netd.remove_sandbox(id("web")).await.expect("the sandbox");
        assert_eq!(world.seen(), before, "after a failure at step {step} and a removal");
    }
    assert!((3..STEPS).contains(&failures), "{failures} steps failed");
}

#[tokio::test]
async fn what_can_not_be_undone_is_kept_and_undone_later() {
    let mut kept = 0;
    for step in 1..STEPS {
        let world = World::new();
        let netd = world.netd().await;
        let before = world.seen();
        world.host.fail_after(step);
        world.host.fail_after(step + 1);
        if put(&netd, "web").await.is_ok() {
            break;
        }
        if netd.published().count_sandboxes() == 0 {
            // The step that was to be undone first needs no undoing.
            continue;
        }
        kept += 1;
        let published = netd.published();
        let sandbox = netd.show_sandbox(published.sandbox("web").expect("it is shown"));
        assert_eq!(sandbox.state, SandboxState::PartlyTorn);
        let again = put(&netd, "web").await.expect("the rest is undone first");
        assert!(again.lifecycle.is_programmed());
        netd.remove_sandbox(id("web")).await.expect("the sandbox");
        assert_eq!(world.seen(), before, "after two failures from step {step}");
    }
    assert!(kept > 0);
}

#[tokio::test]
async fn a_failed_removal_can_be_repeated() {
    for step in 0..STEPS {
        let world = World::new();
        let netd = world.netd().await;
        let before = world.seen();
        put(&netd, "web").await.expect("a sandbox");
        world.host.fail_after(step);
        if netd.remove_sandbox(id("web")).await.is_ok() {
            assert!(step > 0, "no step failed");
            break;
        }
        assert_eq!(netd.published().count_sandboxes(), 1);
        netd.remove_sandbox(id("web")).await.expect("what is left goes");
        assert_eq!(world.seen(), before, "after a failure at step {step}");
    }
}

#[tokio::test]
async fn a_failed_network_leaves_nothing() {
    let create = || {
        let wire = cnm::api::NetworkCreate { name: "net".to_owned(), ..Default::default() };
        cnm::spec::NetworkSpec::try_from(wire).expect("a valid request")
    };
    for step in 0..STEPS {
        let world = World::new();
        let netd = world.netd().await;
        let before = world.seen();
        world.host.fail_after(step);
        if netd.create_network(create()).await.is_ok() {
            assert!(step > 0, "no step failed");
            break;
        }
        assert_eq!(world.seen(), before, "after a failure at step {step}");
        assert_eq!(netd.published().count_networks(), 3);
        netd.create_network(create()).await.expect("nothing stands in the way");
        netd.remove_network("net".parse().expect("a name")).await.expect("nobody is on it");
        assert_eq!(world.seen(), before);
    }
}

#[tokio::test]
async fn a_failed_connect_leaves_the_sandbox_as_it_was() {
    let world = World::new();
    let netd = world.netd().await;
    let wire = cnm::api::NetworkCreate { name: "net".to_owned(), ..Default::default() };
    netd.create_network(cnm::spec::NetworkSpec::try_from(wire).expect("a valid request")).await.expect("a network");
    put(&netd, "web").await.expect("a sandbox");
    let before = world.seen();
    let endpoint = || {
        let wire = cnm::api::EndpointRequest {
            network: "net".to_owned(),
            gateway_priority: 1,
            ..cnm::api::EndpointRequest::default()
        };
        cnm::spec::EndpointSpec::try_from(wire).expect("a valid request")
    };
    let mut failures = 0;
    loop {
        world.host.fail_after(failures);
        match netd.connect(id("web"), endpoint()).await {
            Err(_) => {
                assert_eq!(world.seen(), before, "after a failure at step {failures}");
                failures += 1;
            }
            Ok(endpoint) => {
                assert!(endpoint.is_gateway_ipv4);
                netd.disconnect(id("web"), endpoint.id).await.ok();
                break;
            }
        }
    }
    assert!(failures >= 3, "{failures} steps failed");
}

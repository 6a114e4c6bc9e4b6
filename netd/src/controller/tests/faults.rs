//! Every operation fails once: what was asked for is then not there, and can be had.

use cnm::api::{EventKind, SandboxState};

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
        assert_eq!(netd.read_view().count_sandboxes(), 0);
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
        if netd.read_view().count_sandboxes() == 0 {
            // The step that was to be undone first needs no undoing.
            continue;
        }
        kept += 1;
        let published = netd.read_view();
        let sandbox = netd.show_sandbox(published.sandbox("web").expect("it is shown"));
        assert_eq!(sandbox.state, SandboxState::PartlyTorn);
        let again = put(&netd, "web").await.expect("the rest is undone first");
        assert!(again.lifecycle.is_programmed());
        netd.remove_sandbox(id("web")).await.expect("the sandbox");
        assert_eq!(world.seen(), before, "after two failures from step {step}");
    }
    assert!(kept > 0);
}

/// The clock stands still but for what is waited for.
#[tokio::test(start_paused = true)]
async fn what_is_left_goes_by_itself() {
    let world = World::new();
    let netd = world.netd().await;
    let before = world.seen();
    put(&netd, "web").await.expect("a sandbox");
    let mut events = netd.subscribe(None).await.expect("events");
    // The removal, and the first two tries after it.
    (0..3).for_each(|step| world.host.fail_after(step));
    netd.remove_sandbox(id("web")).await.expect_err("a step fails");
    assert_eq!(netd.read_view().count_sandboxes(), 1);
    while events.upcoming.recv().await.expect("an event").what != EventKind::SandboxRemoved {}
    assert_eq!((world.seen(), netd.read_view().count_sandboxes()), (before.clone(), 0));

    netd.create_network(net("net")).await.expect("a network");
    world.host.fail_after(0);
    netd.remove_network("net".parse().expect("a name")).await.expect_err("a step fails");
    while events.upcoming.recv().await.expect("an event").what != EventKind::NetworkRemoved {}
    assert_eq!((world.seen(), netd.read_view().count_networks()), (before, 3));
}

/// Whatever is stuck is tried again.
#[tokio::test]
async fn a_removal_that_can_not_be_stored_is_stuck() {
    let world = World::new();
    let going = "json_type(NEW.record, '$.lifecycle.partly_torn') = 'object'";
    world.refuse_to_store("netd-boot.db", "sandbox", going);
    world.refuse_to_store("netd.db", "network", going);
    let netd = world.netd().await;
    netd.create_network(net("net")).await.expect("a network");
    put(&netd, "web").await.expect("a sandbox");
    for error in [
        netd.remove_sandbox(id("web")).await.expect_err("no room"),
        netd.remove_network("net".parse().expect("a name")).await.expect_err("no room"),
    ] {
        assert!(error.chain().starts_with("cannot write the state file "), "{error}");
    }
    let published = netd.read_view();
    assert!(published.sandbox("web").expect("it is there").lifecycle.is_stuck());
    assert!(published.network("net").expect("it is there").lifecycle.is_stuck());
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
        assert_eq!(netd.read_view().count_sandboxes(), 1);
        netd.remove_sandbox(id("web")).await.expect("what is left goes");
        assert_eq!(world.seen(), before, "after a failure at step {step}");
    }
}

fn net(name: &str) -> cnm::spec::NetworkSpec {
    let wire = cnm::api::NetworkCreate { name: name.to_owned(), ..Default::default() };
    cnm::spec::NetworkSpec::try_from(wire).expect("a valid request")
}

/// An endpoint that takes the default gateway, and the ports with it.
fn endpoint_with_gateway(network: &str) -> cnm::spec::EndpointSpec {
    let wire = cnm::api::EndpointRequest {
        network: network.to_owned(),
        gateway_priority: 1,
        ..cnm::api::EndpointRequest::default()
    };
    cnm::spec::EndpointSpec::try_from(wire).expect("a valid request")
}

/// The kernel has it all when the disk turns out to be full.
#[tokio::test]
async fn what_is_applied_and_can_not_be_stored_is_taken_back() {
    let (world, is_full) = (World::new(), "cannot write the state file ");
    let programmed = |at| format!("json_extract(NEW.record, '$.{at}lifecycle') = 'programmed'");
    let web = "NEW.id = 'web' AND ";
    world.refuse_to_store("netd-boot.db", "sandbox", &(web.to_owned() + &programmed("")));
    world.refuse_to_store("netd.db", "network", &format!("NEW.record LIKE '%\"full\"%' AND {}", programmed("")));
    let netd = world.netd().await;
    netd.create_network(net("net")).await.expect("room for this one");
    let before = world.seen();

    let error = netd.create_network(net("full")).await.expect_err("no room").chain();
    assert!(error.starts_with(is_full), "{error}");
    assert_eq!((world.seen(), netd.read_view().count_networks()), (before.clone(), 4));

    let error = put(&netd, "web").await.expect_err("no room").chain();
    assert!(error.starts_with(is_full), "{error}");
    assert_eq!((world.seen(), netd.read_view().count_sandboxes()), (before.clone(), 0));

    let (_copy, next) = world.netd_after_kill().await;
    assert_eq!((world.seen(), next.read_view().count_sandboxes()), (before, 0));
}

#[tokio::test]
async fn an_endpoint_that_can_not_be_stored_is_taken_back() {
    let world = World::new();
    let second = "json_array_length(NEW.record, '$.endpoints') = 2";
    world.refuse_to_store("netd-boot.db", "sandbox", second);
    let netd = world.netd().await;
    netd.create_network(net("net")).await.expect("a network");
    put(&netd, "web").await.expect("a sandbox");
    let before = world.seen();
    let error = netd.connect(id("web"), endpoint_with_gateway("net")).await.expect_err("no room").chain();
    assert!(error.starts_with("cannot write the state file "), "{error}");
    assert_eq!((world.seen(), netd.read_view().count_endpoints()), (before, 1));
}

#[tokio::test]
async fn a_failed_network_leaves_nothing() {
    for step in 0..STEPS {
        let world = World::new();
        let netd = world.netd().await;
        let before = world.seen();
        world.host.fail_after(step);
        if netd.create_network(net("net")).await.is_ok() {
            assert!(step > 0, "no step failed");
            break;
        }
        assert_eq!(world.seen(), before, "after a failure at step {step}");
        assert_eq!(netd.read_view().count_networks(), 3);
        netd.create_network(net("net")).await.expect("nothing stands in the way");
        netd.remove_network("net".parse().expect("a name")).await.expect("nobody is on it");
        assert_eq!(world.seen(), before);
    }
}

#[tokio::test]
async fn a_failed_connect_leaves_the_sandbox_as_it_was() {
    let world = World::new();
    let netd = world.netd().await;
    netd.create_network(net("net")).await.expect("a network");
    put(&netd, "web").await.expect("a sandbox");
    let before = world.seen();
    let mut failures = 0;
    loop {
        world.host.fail_after(failures);
        match netd.connect(id("web"), endpoint_with_gateway("net")).await {
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

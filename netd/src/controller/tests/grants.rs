//! What others give enters decisions and records; whoever waits for them keeps nobody else waiting; wrong answers are refused.

use std::{sync::Arc, time::Duration};

use cnm::{
    Kind,
    api::{EndpointRequest, OwedState, SandboxPut},
    sandbox::Sandbox,
};

use super::{
    granting_driver::{Behaviour, Lent, NO_DEADLINE, endpoint, network, on},
    world::{World, address, id, put, put_as, request},
};
use crate::{
    Error,
    controller::{Controller, PutSandbox},
};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

async fn put_on(netd: &Controller, network: &str, id: &str) -> Result<Arc<Sandbox>, Error> {
    netd.put_sandbox(on(network, id)).await.map(|put| match put.value {
        PutSandbox::There(sandbox) | PutSandbox::Changed(sandbox) | PutSandbox::Made(sandbox) => sandbox,
    })
}

fn reference(name: &str) -> cnm::spec::NetworkRef {
    name.parse().expect("a name")
}

/// A world with a granting driver, a netd in it, and a network of the driver's.
async fn started(deadline: Duration) -> (World, Lent, Controller) {
    let lent = Lent::new(deadline);
    let world = World::with(lent.planners());
    let netd = world.netd().await;
    netd.create_network(network("lent")).await.expect("a network");
    (world, lent, netd)
}

#[tokio::test]
async fn what_is_granted_is_decided_with_stored_and_not_asked_for_again() {
    let (world, lent, netd) = started(NO_DEADLINE).await;
    let made = netd.read_view().network("lent").expect("the network").clone();
    assert_eq!(made.pools[0].subnet.to_string(), "10.9.0.0/24");
    let web = put_on(&netd, "lent", "web").await.expect("a sandbox");
    let interface = web.endpoints[0].interface().expect("a link");
    assert_eq!((address(&web), interface.mac.to_string()), ("10.9.0.201".to_owned(), "02:00:00:00:00:77".to_owned()));
    let grant = web.endpoints[0].grant.as_ref().expect("it is stored");
    assert_eq!(grant.addresses[0].to_string(), "10.9.0.201");
    put(&netd, "db").await.expect("a sandbox");
    let joined = netd.connect(id("db"), endpoint("lent")).await.expect("an endpoint");
    assert_eq!(joined.addresses[0].address.to_string(), "10.9.0.202/24");
    let asked = lent.granting_driver.borrow().asked;
    assert_eq!((asked, lent.lent()), (3, (2, 1)));
    assert_eq!(netd.owed().await.expect("a list"), [], "it is in use");

    let (before, operations) = (world.seen(), world.host.read().operations);
    let (_copy, next) = world.netd_after_kill().await;
    assert_eq!((world.seen(), world.host.read().operations), (before, operations), "the plans are the same");
    assert_eq!(put_on(&next, "lent", "web").await.expect("the same request"), web);
    assert_eq!(lent.granting_driver.borrow().asked, asked);

    next.disconnect(id("db"), joined.id).await.expect("the endpoint");
    next.remove_sandbox(id("web")).await.expect("the sandbox");
    assert_eq!(lent.lent(), (0, 1), "given back before the answer");
    next.remove_network(reference("lent")).await.expect("nobody is on it");
    assert_eq!((lent.lent(), next.owed().await.expect("a list").len()), ((0, 0), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lender_that_is_silent_keeps_no_other_request_waiting() {
    let (_world, lent, netd) = started(NO_DEADLINE).await;
    put(&netd, "there").await.expect("a sandbox");
    put_on(&netd, "lent", "old").await.expect("a sandbox");
    lent.gives(Behaviour::Silent);
    let hanging = [
        tokio::spawn({
            let netd = netd.clone();
            async move { put_on(&netd, "lent", "slow").await.map(drop) }
        }),
        tokio::spawn({
            let netd = netd.clone();
            async move { netd.connect(id("there"), endpoint("lent")).await.map(drop) }
        }),
        tokio::spawn({
            let netd = netd.clone();
            async move { netd.create_network(network("slow")).await.map(drop) }
        }),
    ];
    let rest = async {
        lent.until(|granting_driver| granting_driver.asked == 5).await;
        put(&netd, "web").await.expect("a sandbox");
        netd.remove_sandbox(id("web")).await.expect("the sandbox");
        // On the same network, which has to be told that nobody needs loopback there any more.
        netd.remove_sandbox(id("old")).await.expect("the sandbox");
        let other = cnm::api::NetworkCreate { name: "other".to_owned(), ..Default::default() };
        let other = cnm::spec::NetworkSpec::try_from(other).expect("a valid request");
        netd.create_network(other).await.expect("a network");
        put_on(&netd, "other", "web").await.expect("a sandbox");
        netd.handshake().await.expect("an answer");
        let owed = netd.owed().await.expect("a list");
        assert!(owed.iter().all(|owed| owed.state == OwedState::Unanswered), "{owed:?}");
        assert_eq!(owed.len(), 3);
    };
    tokio::time::timeout(PATIENCE, rest).await.expect("nobody waits for the lender");
    assert!(hanging.iter().all(|request| !request.is_finished()), "who asked waits");
    lent.gives(Behaviour::Willing);
    for request in hanging {
        request.await.expect("no panic").expect("an answer came");
    }
    assert_eq!(lent.lent(), (2, 2));
}

#[tokio::test]
async fn an_answer_after_the_deadline_is_refused_and_given_back() {
    let (world, lent, netd) = started(Duration::from_millis(1)).await;
    put(&netd, "there").await.expect("a sandbox");
    let before = world.seen();
    lent.gives(Behaviour::Silent);
    let late = [
        put_on(&netd, "lent", "web").await.map(drop),
        netd.connect(id("there"), endpoint("lent")).await.map(drop),
        netd.create_network(network("late")).await.map(drop),
    ];
    let expected =
        ["an endpoint of sandbox web on network lent", "an endpoint of sandbox there on network lent", "network late"];
    for (refusal, what) in late.into_iter().zip(expected) {
        let error = refusal.expect_err("no answer");
        assert_eq!(error.kind(), Kind::Unavailable);
        let expected =
            format!("driver lent did not answer within 1ms when it was asked for {what}: see whether it runs");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    assert_eq!((world.seen(), netd.owed().await.expect("a list").len()), (before.clone(), 3));
    assert_eq!(lent.lent(), (0, 1));
    // Now they are given all the same.
    lent.gives(Behaviour::Willing);
    lent.until(|granting_driver| granting_driver.taken_back.len() == 3 && granting_driver.given.len() == 1).await;
    assert_eq!(world.seen(), before);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_never_answered_is_taken_back_in_the_end() {
    let (world, lent, netd) = started(Duration::from_secs(2)).await;
    let before = world.seen();
    lent.gives(Behaviour::Silent);
    put_on(&netd, "lent", "web").await.expect_err("no answer");
    lent.until(|granting_driver| granting_driver.taken_back.len() == 1).await;
    assert_eq!((world.seen(), lent.lent(), netd.read_view().count_sandboxes()), (before, (0, 1), 0));
}

#[tokio::test]
async fn a_refusal_is_said_and_leaves_nothing() {
    let (world, lent, netd) = started(NO_DEADLINE).await;
    let before = world.seen();
    lent.gives(Behaviour::Refusing);
    let error = put_on(&netd, "lent", "web").await.expect_err("a refusal");
    assert_eq!(error.kind(), Kind::Conflict);
    let expected = "driver lent has refused an endpoint of sandbox web on network lent: nothing is left";
    assert_eq!(error.to_string(), expected);
    // Nobody knows what a refusal means to whoever refuses.
    lent.until(|granting_driver| granting_driver.taken_back.len() == 1).await;
    let error = netd.create_network(network("more")).await.expect_err("a refusal").to_string();
    assert_eq!(error, "driver lent has refused network more: nothing is left");
    assert_eq!((world.seen(), lent.lent()), (before, (0, 1)));
}

#[tokio::test]
async fn a_fault_in_a_driver_fails_only_who_asked_it() {
    let (world, lent, netd) = started(NO_DEADLINE).await;
    let before = world.seen();
    lent.gives(Behaviour::Broken);
    let error = put_on(&netd, "lent", "web").await.expect_err("a fault").to_string();
    assert!(error.starts_with("netd failed while it worked on this request"), "{error}");
    lent.until(|granting_driver| granting_driver.taken_back.len() == 1).await;
    lent.gives(Behaviour::Willing);
    put_on(&netd, "lent", "web").await.expect("a sandbox");
    lent.takes(Behaviour::Broken);
    netd.remove_sandbox(id("web")).await.expect("that is no reason to stay");
    let owed = netd.owed().await.expect("a list");
    assert_eq!((owed.len(), owed[0].error.as_deref()), (1, Some("asking it failed")));
    assert_eq!((world.seen(), lent.lent()), (before, (1, 1)));
}

#[tokio::test]
async fn nobody_is_asked_for_what_can_not_be() {
    let (_world, lent, netd) = started(NO_DEADLINE).await;
    put_on(&netd, "lent", "web").await.expect("a sandbox");
    let asked = lent.granting_driver.borrow().asked;
    let mut with_mac = on("lent", "db");
    with_mac.endpoints.push(with_mac.endpoints[0].clone());
    netd.put_sandbox(with_mac).await.expect_err("one network twice");
    netd.connect(id("web"), endpoint("lent")).await.expect_err("it is on it");
    netd.connect(id("nobody"), endpoint("lent")).await.expect_err("there is none");
    let taken = netd.create_network(network("lent")).await.expect_err("the name is taken");
    assert_eq!(taken.to_string(), "network with name lent already exists");
    put_on(&netd, "lent", "web").await.expect("the same request");
    assert_eq!(lent.granting_driver.borrow().asked, asked);
}

#[tokio::test]
async fn answers_that_can_not_be_used_are_refused_and_given_back() {
    let (world, lent, netd) = started(NO_DEADLINE).await;
    put_on(&netd, "lent", "there").await.expect("a sandbox");
    let before = world.seen();
    let there = "10.9.0.201";
    let answers: [(&[&str], &str); 5] = [
        (&["192.0.2.7"], "no configured subnet contains IP address 192.0.2.7"),
        (&["10.9.0.1"], "is set aside in subnet 10.9.0.0/24"),
        (&[there], "is held by sandbox web"),
        (&["10.9.0.8", "10.9.0.9"], "an endpoint has one IPv4 address"),
        (&["fd00::1"], "the network has no IPv6 subnet"),
    ];
    for (addresses, why) in answers {
        lent.says(addresses);
        let error = put_on(&netd, "lent", "web").await.expect_err("a bad answer");
        let (kind, text) = (error.kind(), error.to_string());
        assert_eq!(kind, Kind::Internal, "{text}");
        let given = addresses.last().expect("one");
        let expected = format!("driver lent granted {given} for an endpoint on network lent, which can't be used: ");
        assert!(text.starts_with(&expected) && text.contains(why), "{text}");
        assert_eq!((world.seen(), lent.lent()), (before.clone(), (1, 1)), "{text}");
    }
    let subnets: [(&[&str], &str); 3] = [
        (&["10.9.0.0/25"], "overlaps 10.9.0.0/24 of network lent"),
        (&["10.9.8.0/24", "10.9.9.0/24"], "the network has no pool that it could be of"),
        (&["fd00:9::/64"], "driver lent granted subnet fd00:9::/64 for network more, which can't be used"),
    ];
    for (subnets, why) in subnets {
        lent.says_of_network(subnets);
        let error = netd.create_network(network("more")).await.expect_err("a bad answer").to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!((world.seen(), lent.lent()), (before.clone(), (1, 1)), "{error}");
    }
    assert_eq!(netd.owed().await.expect("a list"), []);
    put_on(&netd, "lent", "web").await.expect("nothing stands in the way");
}

#[tokio::test]
async fn a_removal_ends_the_asking_for_what_it_removes() {
    let (world, lent, netd) = started(NO_DEADLINE).await;
    put(&netd, "there").await.expect("a sandbox");
    lent.gives(Behaviour::Silent);
    let (putting, joining) = (netd.clone(), netd.clone());
    let putting = tokio::spawn(async move { put_on(&putting, "lent", "web").await.map(drop) });
    let joining = tokio::spawn(async move { joining.connect(id("there"), endpoint("lent")).await.map(drop) });
    lent.until(|granting_driver| granting_driver.asked == 3).await;
    let removed = netd.remove_sandbox(id("web")).await;
    assert_eq!(removed.map(drop).expect_err("it never was").kind(), Kind::NotFound);
    netd.remove_sandbox(id("there")).await.expect("the sandbox");
    for (request, id) in [(putting, "web"), (joining, "there")] {
        let error = request.await.expect("no panic").expect_err("it is removed");
        assert_eq!(
            (error.kind(), error.to_string()),
            (Kind::Conflict, format!("sandbox {id} is being removed: try again"))
        );
    }
    assert_eq!(lent.granting_driver.borrow().giving, Behaviour::Silent);
    lent.gives(Behaviour::Willing);
    lent.until(|granting_driver| granting_driver.taken_back.len() == 2 && granting_driver.given.len() == 1).await;
    assert_eq!((netd.read_view().count_sandboxes(), world.host.read().namespaces.len()), (0, 1));
    put_on(&netd, "lent", "web").await.expect("nothing stands in the way");
}

#[tokio::test]
async fn a_network_that_is_removed_while_an_endpoint_on_it_is_asked_for_is_given_back_last() {
    let (_world, lent, netd) = started(NO_DEADLINE).await;
    lent.gives(Behaviour::Silent);
    let putting = netd.clone();
    let putting = tokio::spawn(async move { put_on(&putting, "lent", "web").await.map(drop) });
    lent.until(|granting_driver| granting_driver.asked == 2).await;
    netd.remove_network(reference("lent")).await.expect("nobody is on it");
    lent.gives(Behaviour::Willing);
    let error = putting.await.expect("no panic").expect_err("the network is gone");
    assert_eq!(error.to_string(), "network lent not found");
    lent.until(|granting_driver| granting_driver.given.is_empty()).await;
    let order: Vec<_> =
        lent.granting_driver.borrow().taken_back.iter().map(|holder| holder.endpoint.is_some()).collect();
    assert_eq!(order, [true, false]);
}

#[tokio::test]
async fn of_two_at_once_one_is_made_and_what_the_other_was_given_goes_back() {
    let (_world, lent, netd) = started(NO_DEADLINE).await;
    lent.gives(Behaviour::Silent);
    let twice = [(); 2].map(|()| {
        let netd = netd.clone();
        tokio::spawn(async move { netd.create_network(network("twin")).await.map(drop) })
    });
    lent.until(|granting_driver| granting_driver.asked == 3).await;
    lent.gives(Behaviour::Willing);
    let mut outcomes = Vec::new();
    for request in twice {
        outcomes.push(request.await.expect("no panic").map_err(|error| error.to_string()));
    }
    outcomes.sort();
    assert_eq!(outcomes, [Ok(()), Err("network with name twin already exists".to_owned())]);
    assert_eq!((lent.lent(), lent.granting_driver.borrow().taken_back.len()), ((0, 2), 1));
    // One id is one sandbox, asked for once.
    let (one, other) = tokio::join!(put_on(&netd, "twin", "web"), put_on(&netd, "twin", "web"));
    assert_eq!(one.expect("a sandbox"), other.expect("the same"));
    assert_eq!((lent.granting_driver.borrow().asked, lent.lent()), (4, (1, 2)));
}

#[tokio::test]
async fn a_change_asks_for_what_comes_and_gives_back_what_goes() {
    let (world, lent, netd) = started(NO_DEADLINE).await;
    put(&netd, "web").await.expect("a sandbox");
    let with = |lent: EndpointRequest| SandboxPut { endpoints: vec![lent, request().endpoints.remove(0)], ..request() };
    let on_lent = EndpointRequest { network: "lent".to_owned(), ..EndpointRequest::default() };
    let both = put_as(&netd, "web", with(on_lent.clone())).await.expect("it is on both");
    assert_eq!((both.endpoints.len(), lent.lent()), (2, (1, 1)));
    let asked = lent.granting_driver.borrow().asked;
    let on_lent_again = on_lent.clone();
    let elsewhere = EndpointRequest { mac: Some("02:00:00:00:00:09".to_owned()), ..on_lent };
    let error = put_as(&netd, "web", with(elsewhere)).await.expect_err("it was given another");
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    let (there, seen) = (put_as(&netd, "web", with(on_lent_again)).await.expect("as before"), world.seen());
    assert_eq!((there.endpoints.clone(), lent.granting_driver.borrow().asked), (both.endpoints.clone(), asked));
    let alone = put(&netd, "web").await.expect("it leaves one");
    assert_eq!((alone.endpoints.len(), lent.lent()), (1, (0, 1)));
    assert_ne!(world.seen(), seen);
    assert_eq!(netd.owed().await.expect("a list"), []);

    // What can't be had takes nothing along.
    lent.gives(Behaviour::Refusing);
    let asked_for = with(EndpointRequest { network: "lent".to_owned(), ..EndpointRequest::default() });
    put_as(&netd, "web", asked_for).await.expect_err("nothing is given");
    assert_eq!(put(&netd, "web").await.expect("as before"), alone);
}

//! Sandboxes that are there become otherwise, whole or not at all, whenever netd is killed and whatever fails.

use std::{net::TcpListener, sync::Arc};

use cnm::{
    Kind,
    api::{EndpointRequest, EventKind, NetworkCreate, PoolConfig, PortRange, PortRequest, SandboxCheck, SandboxPut},
    resource::NamespaceAt,
    sandbox::Sandbox,
    spec::{EndpointSpec, NetworkSpec},
};

use super::{
    crashing_host::CrashingHost,
    world::{World, id, put_as, request},
};
use crate::{Error, controller::Controller};

/// More steps than any change here takes, with what undoing adds.
const STEPS: usize = 40;

async fn network(netd: &Controller, name: &str) {
    let wire = NetworkCreate { name: name.to_owned(), ..NetworkCreate::default() };
    netd.create_network(NetworkSpec::try_from(wire).expect("a valid request")).await.expect("a network");
}

fn port(container: u16) -> PortRequest {
    PortRequest { container_ports: PortRange { first: container, last: container }, ..request().ports[0].clone() }
}

/// On another network, with one port that [`request`] has as well and one that it hasn't.
fn other() -> SandboxPut {
    let endpoint = EndpointRequest { network: "net".to_owned(), ..EndpointRequest::default() };
    SandboxPut { endpoints: vec![endpoint], ports: vec![port(80), port(82)], ..request() }
}

fn first() -> SandboxPut {
    SandboxPut { ports: vec![port(80), port(81)], ..request() }
}

async fn put(netd: &Controller, wire: SandboxPut) -> Result<Arc<Sandbox>, Error> {
    put_as(netd, "web", wire).await
}

fn shown(netd: &Controller) -> Arc<Sandbox> {
    netd.read_view().sandbox("web").expect("the sandbox").clone()
}

/// The host's ports that lead to a container's port.
fn host_port(sandbox: &Sandbox, container: u16) -> Option<u16> {
    sandbox.ports.iter().find_map(|port| {
        let offset = container.checked_sub(port.container_first).filter(|offset| *offset < port.count)?;
        Some(port.host_first + offset)
    })
}

#[tokio::test]
async fn another_wish_is_a_change_and_the_same_again_is_none() {
    let world = World::new();
    let netd = world.netd().await;
    network(&netd, "net").await;
    let before = put(&netd, first()).await.expect("a sandbox");
    let mut events = netd.subscribe(None).await.expect("events");
    let after = put(&netd, other()).await.expect("a change");
    assert_eq!(host_port(&after, 80), host_port(&before, 80), "a port of our choice stays");
    assert_eq!((host_port(&after, 81), after.endpoints[0].network_name.to_string()), (None, "net".to_owned()));
    let held = host_port(&after, 82).expect("it is published");
    TcpListener::bind(("127.0.0.1", held)).expect_err("it is held");
    TcpListener::bind(("127.0.0.1", host_port(&before, 81).expect("it was published"))).expect("it is free");
    let (seen, operations) = (world.seen(), world.host.read().operations);
    assert_eq!(put(&netd, other()).await.expect("the same"), after);
    assert_eq!((world.seen(), world.host.read().operations), (seen, operations), "nothing was to be done");
    let renamed = SandboxPut { name: "shop".to_owned(), labels: [("a".to_owned(), "b".to_owned())].into(), ..other() };
    assert_eq!(put(&netd, renamed).await.expect("a change").spec.name, "shop");
    assert_eq!(world.host.read().operations, operations, "a name is nothing of the kernel's");
    let mut told = Vec::new();
    while let Ok(event) = events.upcoming.try_recv() {
        told.push(event.what);
    }
    let expected = [
        EventKind::EndpointDisconnected,
        EventKind::EndpointConnected,
        EventKind::SandboxChanged,
        EventKind::SandboxChanged,
    ];
    assert_eq!(told, expected);
    let (_copy, next) = world.netd_after_kill().await;
    assert_eq!(shown(&next), shown(&netd));
    let theirs = SandboxPut { owner: "them".to_owned(), ..other() };
    let error = put(&netd, theirs).await.expect_err("it isn't theirs");
    assert_eq!(error.kind(), Kind::Forbidden);
}

#[tokio::test]
async fn an_endpoint_that_is_made_anew_is_told_as_gone_and_come() {
    let world = World::new();
    let netd = world.netd().await;
    let pool = PoolConfig { subnet: Some("10.9.0.0/24".to_owned()), ..PoolConfig::default() };
    let lan = NetworkCreate { name: "lan".to_owned(), pools: vec![pool], ..NetworkCreate::default() };
    netd.create_network(NetworkSpec::try_from(lan).expect("a valid request")).await.expect("a network");
    let on_lan = || EndpointRequest { network: "lan".to_owned(), ..EndpointRequest::default() };
    let wire = |endpoint| SandboxPut { endpoints: vec![endpoint], ..request() };
    let there = put(&netd, wire(on_lan())).await.expect("a sandbox");
    let id = &there.endpoints[0].id;
    let mut events = netd.subscribe(None).await.expect("events");
    let mac = there.endpoints[0].interface().expect("a link").mac.to_string();
    let (gone, come) = (EventKind::EndpointDisconnected, EventKind::EndpointConnected);
    for (what, endpoint, expected) in [
        ("its own MAC address", EndpointRequest { mac: Some(mac), ..on_lan() }, [].as_slice()),
        ("a MAC address", EndpointRequest { mac: Some("02:00:00:00:00:07".to_owned()), ..on_lan() }, &[gone, come]),
        ("an interface", EndpointRequest { interface: Some("wan".to_owned()), ..on_lan() }, &[gone, come]),
        ("an address", EndpointRequest { ipv4: Some("10.9.0.77".to_owned()), ..on_lan() }, &[gone, come]),
    ] {
        let after = put(&netd, wire(endpoint)).await.unwrap_or_else(|error| panic!("{what}: {}", error.chain()));
        assert_eq!(after.endpoints[0].id, *id, "{what}");
        let told: Vec<EventKind> =
            std::iter::from_fn(|| events.upcoming.try_recv().ok()).map(|event| event.what).collect();
        assert_eq!(told, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_never_answered_never_was() {
    for step in 0..STEPS {
        let world = World::new();
        let crashing_host = Arc::new(CrashingHost::new(world.host.clone()));
        let netd = world.netd_on(crashing_host.clone()).await;
        network(&netd, "net").await;
        let there = put(&netd, first()).await.expect("a sandbox");
        let before = world.seen();
        crashing_host.dies_after(step);
        let request = netd.clone();
        tokio::select! {
            () = crashing_host.dead.notified() => {}
            answered = tokio::spawn(async move { put(&request, other()).await.is_ok() }) => {
                assert!(answered.expect("no panic"), "step {step}");
                assert!(step >= 10, "{step} kills");
                return;
            }
        }
        let (_copy, next) = world.netd_after_kill().await;
        if shown(&next).spec == there.spec {
            assert_eq!((world.seen(), shown(&next)), (before, there), "after a kill at step {step}");
        } else {
            // It was done and stored; what nobody needs any more was on its way out.
            assert!(step >= 10, "after a kill at step {step}");
            let (seen, operations) = (world.seen(), world.host.read().operations);
            put(&next, other()).await.expect("it is as asked");
            assert_eq!((world.seen(), world.host.read().operations), (seen, operations), "after a kill at step {step}");
        }
        // What it had been given for it is free, and what it has is its own.
        let after = put(&next, other()).await.expect("nothing stands in the way");
        assert_eq!(after.endpoints.len(), 1);
        put(&next, first()).await.expect("and back");
        next.remove_sandbox(id("web")).await.expect("the sandbox");
        next.remove_network("net".parse().expect("a name")).await.expect("nobody is on it");
        crashing_host.bury();
    }
    panic!("more than {STEPS} steps");
}

#[tokio::test]
async fn a_failed_change_leaves_the_sandbox_as_it_was() {
    let mut failures = 0;
    for step in 0..STEPS {
        let world = World::new();
        let netd = world.netd().await;
        network(&netd, "net").await;
        let there = put(&netd, first()).await.expect("a sandbox");
        let before = world.seen();
        world.host.fail_after(step);
        let Err(error) = put(&netd, other()).await else { break };
        failures += 1;
        let message = error.chain();
        assert!(message.starts_with("cannot change sandbox web: step "), "{message}");
        assert_eq!((world.seen(), shown(&netd)), (before, there), "after a failure at step {step}");
        put(&netd, other()).await.expect("nothing stands in the way");
    }
    assert!((10..STEPS).contains(&failures), "{failures} steps failed");
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_taken_back_of_a_change_is_kept_and_taken_back_later() {
    let mut kept = 0;
    for step in 1..STEPS {
        let world = World::new();
        let netd = world.netd().await;
        let start = world.seen();
        network(&netd, "net").await;
        let there = put(&netd, first()).await.expect("a sandbox");
        // The step, what undoes those before it, and what looks at what is there then.
        (step..step + 8).for_each(|step| world.host.fail_after(step));
        if put(&netd, other()).await.is_ok() {
            break;
        }
        if shown(&netd).change.is_none() {
            // The step that was to be undone first needs no undoing.
            continue;
        }
        kept += 1;
        assert_eq!(shown(&netd).ports, there.ports, "readers see it as it was");
        match step % 3 {
            0 => {
                for _ in 0..STEPS {
                    if put(&netd, other()).await.is_ok() {
                        break;
                    }
                }
                let after = put(&netd, other()).await.expect("what is left is taken back first");
                assert_eq!(host_port(&after, 80), host_port(&there, 80));
                assert!(after.change.is_none());
            }
            1 => {
                for _ in 0..STEPS {
                    if netd.remove_sandbox(id("web")).await.is_ok() {
                        break;
                    }
                }
                netd.remove_network("net".parse().expect("a name")).await.expect("nobody is on it");
            }
            // By itself.
            _ => {
                let began = std::time::Instant::now();
                while shown(&netd).change.is_some() && began.elapsed().as_secs() < 30 {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
                assert_eq!(shown(&netd), there, "after failures from step {step}");
                netd.remove_sandbox(id("web")).await.expect("the sandbox");
                netd.remove_network("net".parse().expect("a name")).await.expect("nobody is on it");
                assert_eq!(world.seen(), start, "after failures from step {step}");
            }
        }
    }
    assert!(kept > 3, "{kept}");
}

#[tokio::test]
async fn a_change_that_can_not_be_stored_is_taken_back() {
    let world = World::new();
    world.refuse_to_store("netd-boot.db", "sandbox", "json_extract(NEW.record, '$.endpoints[0].network_name') = 'net'");
    let netd = world.netd().await;
    network(&netd, "net").await;
    let there = put(&netd, first()).await.expect("a sandbox");
    let before = world.seen();
    let error = put(&netd, other()).await.expect_err("no room").chain();
    assert!(error.starts_with("cannot write the state file "), "{error}");
    assert_eq!((world.seen(), shown(&netd)), (before, there));
}

#[tokio::test]
async fn a_port_that_another_program_has_leaves_the_sandbox_as_it_was() {
    let world = World::new();
    let netd = world.netd().await;
    let there = put(&netd, first()).await.expect("a sandbox");
    let before = world.seen();
    let thief = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = thief.local_addr().expect("an address").port();
    let named = PortRequest { host_ports: Some(PortRange { first: taken, last: taken }), ..port(82) };
    let wish = SandboxPut { ports: vec![port(80), named], ..request() };
    let error = put(&netd, wish.clone()).await.expect_err("it is taken");
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().starts_with(&format!("failed to bind host port 127.0.0.1:{taken}/tcp: ")), "{error}");
    assert_eq!((world.seen(), shown(&netd)), (before, there));
    drop(thief);
    put(&netd, wish).await.expect("it is free now");
}

/// The socket that holds the port of every address stands in the way of one for IPv4 alone.
#[tokio::test]
async fn a_port_can_be_had_on_fewer_addresses_than_it_was() {
    let world = World::new();
    let netd = world.netd().await;
    let on = |host_ip: Option<&str>| {
        let port = PortRequest { host_ip: host_ip.map(str::to_owned), ..port(80) };
        SandboxPut { ports: vec![port], ..request() }
    };
    let all = put(&netd, on(None)).await.expect("a sandbox");
    let number = host_port(&all, 80).expect("it is published");
    TcpListener::bind(("::1", number)).expect_err("it is held");
    let some = put(&netd, on(Some("0.0.0.0"))).await.expect("a change");
    assert_eq!(host_port(&some, 80), Some(number));
    TcpListener::bind(("::1", number)).expect("it is free");
    TcpListener::bind(("127.0.0.1", number)).expect_err("it is held");
    let all = put(&netd, on(None)).await.expect("a change");
    assert_eq!(host_port(&all, 80), Some(number));
    TcpListener::bind(("::1", number)).expect_err("it is held");
    assert!(netd.info().await.expect("info").warnings.is_empty());
}

#[tokio::test]
async fn a_check_says_what_is_missing_and_what_differs() {
    let world = World::new();
    let netd = world.netd().await;
    let web = put(&netd, first()).await.expect("a sandbox");
    let check = async || netd.check_sandbox(id("web")).await.expect("the sandbox");
    assert_eq!(check().await, SandboxCheck::default());
    let host_end = web.endpoints[0].interface().expect("a link").host_end.clone();
    world.host.change_externally(|state| {
        state.elements.clear();
        let host = state.namespaces.get_mut(&NamespaceAt::Host).expect("the host's namespace");
        host.links.get_mut(&host_end).expect("the link").bridge = None;
        let inside = state.namespaces.get_mut(&NamespaceAt::Pinned(id("web"))).expect("its namespace");
        inside.routes.clear();
    });
    let SandboxCheck { missing, different, superfluous, not_held } = check().await;
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(
        missing[0].starts_with("route add 0.0.0.0/0") && missing[1].starts_with("firewall add {port"),
        "{missing:?}"
    );
    assert!(different.iter().all(|it| it.wanted.starts_with("link add")) && different.len() == 1, "{different:?}");
    assert_eq!((superfluous, not_held), (Vec::<String>::new(), Vec::<String>::new()));
    // Of a netd that came while another had its ports.
    let (_copy, next) = world.netd_after_kill().await;
    let check = next.check_sandbox(id("web")).await.expect("the sandbox");
    assert_eq!((check.missing, check.not_held.len()), (Vec::<String>::new(), 2));
    let error = netd.check_sandbox(id("nobody")).await.expect_err("there is none");
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn connecting_and_disconnecting_are_changes_of_one_endpoint() {
    let world = World::new();
    let netd = world.netd().await;
    network(&netd, "net").await;
    let before = put(&netd, request()).await.expect("a sandbox");
    let net = EndpointRequest { network: "net".to_owned(), ..EndpointRequest::default() };
    let spec = EndpointSpec::try_from(net.clone()).expect("a valid request");
    let endpoint = netd.connect(id("web"), spec).await.expect("an endpoint");
    let both = SandboxPut { endpoints: [request().endpoints, vec![net]].concat(), ..request() };
    let there = put(&netd, both).await.expect("it is what was wished for");
    assert_eq!((there.endpoints.len(), there.endpoints[1].id.as_str()), (2, endpoint.id.as_str()));
    netd.disconnect(id("web"), endpoint.id).await.expect("the endpoint");
    assert_eq!(shown(&netd), before);
    assert_eq!(put(&netd, request()).await.expect("the first"), before);
}

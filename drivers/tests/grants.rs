//! Decisions with what others gave: nothing is decided before they were asked, and what they say is taken or refused by name.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cnm::{
    Error, Kind,
    api::{EndpointRequest, NetworkCreate, PoolConfig, SandboxPut},
    driver::{HostView, Planner, Planners},
    grant::{
        EndpointGrant, EndpointGrantRequest, Grant, GrantFuture, GrantRequest, Grantor, Grants, NetworkGrant,
        NetworkGrantRequest, Owed,
    },
    id::DriverName,
    ipam::DefaultPools,
    network::Network,
    spec::{EndpointSpec, NetworkSpec, PoolSpec, SandboxSpec},
    state::{Context, PutOutcome, State},
};
use drivers::Registry;

/// The built-in drivers, of which `bridge` asks somebody.
struct Asking;

#[derive(Debug)]
struct Nobody;

impl Grantor for Nobody {
    fn deadline(&self) -> Duration {
        panic!("a decision calls nobody")
    }

    fn request_network<'a>(&'a self, _ask: &'a NetworkGrantRequest) -> GrantFuture<'a, NetworkGrant> {
        panic!("a decision calls nobody")
    }

    fn request_endpoint<'a>(&'a self, _ask: &'a EndpointGrantRequest) -> GrantFuture<'a, EndpointGrant> {
        panic!("a decision calls nobody")
    }

    fn release<'a>(&'a self, _owed: &'a Owed) -> GrantFuture<'a, ()> {
        panic!("a decision calls nobody")
    }
}

impl Planners for Asking {
    fn planner(&self, driver: &DriverName) -> Option<&dyn Planner> {
        Registry.planner(driver)
    }

    fn names(&self) -> Vec<&'static str> {
        Registry.names()
    }

    fn grantor(&self, driver: &DriverName) -> Option<Arc<dyn Grantor>> {
        (driver.as_str() == "bridge").then(|| Arc::new(Nobody) as Arc<dyn Grantor>)
    }
}

#[derive(Default)]
struct Bench {
    state: State,
    drawn: u8,
}

impl Bench {
    fn with<R>(&mut self, grants: &Grants, decide: impl FnOnce(&mut State, &mut Context<'_>) -> R) -> R {
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn += 1;
            [*drawn; 32]
        };
        let mut context = Context {
            planners: &Asking,
            host: &HostView::default(),
            pools: &DefaultPools::default(),
            now: "2026-11-30T00:00:00Z".parse().expect("a time"),
            random: &mut random,
            avoid_ports: &BTreeSet::new(),
            grants,
        };
        decide(&mut self.state, &mut context)
    }

    fn request_network(&mut self, spec: &NetworkSpec) -> GrantRequest {
        let mut requests =
            self.with(&Grants::default(), |state, context| state.grant_requests_of_network(spec, context));
        requests.as_mut().expect("it can be").pop().expect("a question")
    }

    /// With what is given upon the question.
    fn create(&mut self, spec: NetworkSpec, given: NetworkGrant) -> Result<Network, Error> {
        let request = self.request_network(&spec);
        let mut grants = Grants::default();
        grants.add(&request, Grant::Network(given));
        let (network, _) = self.with(&grants, |state, context| state.create_network(spec, false, context))?;
        self.state.network_programmed(&network.id)
    }

    fn put(&mut self, spec: SandboxSpec, given: EndpointGrant) -> Result<PutOutcome, Error> {
        let requests = self.with(&Grants::default(), |state, context| state.grant_requests_of_put(&spec, context))?;
        let mut grants = Grants::default();
        requests.iter().for_each(|request| grants.add(request, Grant::Endpoint(given.clone())));
        self.with(&grants, |state, context| state.put_sandbox(spec, context))
    }
}

fn pool(subnet: &str, gateway: Option<&str>) -> PoolConfig {
    let gateway = gateway.map(str::to_owned);
    PoolConfig { subnet: Some(subnet.to_owned()), gateway, ..PoolConfig::default() }
}

fn network(name: &str, pools: Vec<PoolConfig>) -> NetworkSpec {
    let wire = NetworkCreate { name: name.to_owned(), pools, ..NetworkCreate::default() };
    NetworkSpec::try_from(wire).expect("a valid request")
}

fn gives(pools: &[PoolConfig]) -> NetworkGrant {
    NetworkGrant { pools: pools.iter().map(|pool| PoolSpec::try_from(pool).expect("a valid pool")).collect() }
}

fn sandbox(id: &str, endpoint: EndpointRequest) -> SandboxSpec {
    let wire = SandboxPut {
        owner: "tests".to_owned(),
        name: id.to_owned(),
        labels: Default::default(),
        namespace: Default::default(),
        endpoints: vec![endpoint],
        ports: Vec::new(),
    };
    SandboxSpec::parse(id, wire).expect("a valid request")
}

fn on(network: &str) -> EndpointRequest {
    EndpointRequest { network: network.to_owned(), ..EndpointRequest::default() }
}

#[test]
fn nothing_is_decided_before_they_were_asked() {
    let mut bench = Bench::default();
    let spec = network("net", Vec::new());
    let none = Grants::default();
    let unasked = bench.with(&none, |state, context| state.create_network(spec.clone(), false, context));
    assert_eq!(unasked.expect_err("nobody was asked").kind, Kind::Internal);
    let made = bench.create(spec, gives(&[])).expect("a network");
    assert_eq!(made.grant, Some(NetworkGrant::default()), "the choice was left to us");

    let spec = sandbox("web", on("net"));
    let unasked = bench.with(&none, |state, context| state.put_sandbox(spec.clone(), context));
    assert_eq!(unasked.expect_err("nobody was asked").kind, Kind::Internal);
    assert!(bench.state.sandboxes().is_empty());
    let Ok(PutOutcome::Made(made, _)) = bench.put(spec.clone(), EndpointGrant::default()) else { panic!("a sandbox") };
    assert!(made.endpoints[0].grant.is_some() && made.endpoints[0].interface().is_some(), "{made:?}");
    // There is nothing to ask about what is there.
    let requests = bench.with(&none, |state, context| state.grant_requests_of_put(&spec, context));
    assert_eq!(requests, Ok(Vec::new()));
    let other = EndpointSpec::try_from(on("net")).expect("a valid request");
    let requests = bench.with(&none, |state, context| state.grant_requests_of_connect(made.id(), &other, context));
    assert_eq!(requests, Ok(Vec::new()), "the decision refuses it");
}

#[test]
fn ids_are_those_that_were_asked_with() {
    let mut bench = Bench::default();
    let spec = network("net", Vec::new());
    let request = bench.request_network(&spec);
    let mut grants = Grants::default();
    grants.add(&request, Grant::Network(NetworkGrant::default()));
    let (network, _) =
        bench.with(&grants, |state, context| state.create_network(spec, false, context)).expect("a network");
    assert_eq!(network.id, request.holder().network);
    assert!(bench.state.has(&request.holder()));
}

#[test]
fn a_subnet_is_what_is_given_and_what_was_asked_for() {
    let given = pool("10.9.0.0/24", Some("10.9.0.9"));
    let asked_gateway = pool("10.9.0.0/24", Some("10.9.0.5"));
    for (asked, given, expected) in [
        (Vec::new(), vec![given.clone()], Ok(("10.9.0.0/24", "10.9.0.9"))),
        (vec![pool("10.9.0.0/24", None)], vec![given.clone()], Ok(("10.9.0.0/24", "10.9.0.9"))),
        (vec![asked_gateway], vec![given.clone()], Ok(("10.9.0.0/24", "10.9.0.5"))),
        (vec![pool("10.8.0.0/24", None)], Vec::new(), Ok(("10.8.0.0/24", "10.8.0.1"))),
        (vec![pool("10.8.0.0/24", None)], vec![given.clone()], Err("another one was asked for")),
        (Vec::new(), vec![given.clone(), pool("10.8.0.0/24", None)], Err("no pool that it could be of")),
    ] {
        let made = Bench::default().create(network("net", asked.clone()), gives(&given));
        match (made, expected) {
            (Ok(made), Ok((subnet, gateway))) => {
                let pool = &made.pools[0];
                assert_eq!(
                    (pool.subnet.to_string(), pool.gateway.to_string()),
                    (subnet.to_owned(), gateway.to_owned())
                );
            }
            (Err(error), Err(why)) => {
                assert_eq!(error.kind, Kind::Internal);
                assert!(error.message.contains(why), "{error}");
            }
            (made, expected) => panic!("{asked:?}, {given:?}: {made:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn an_address_is_what_is_given_and_what_was_asked_for() {
    let mac = |text: &str| Some(text.parse().expect("an address"));
    let fixed = |address: &str| EndpointRequest { ipv4: Some(address.to_owned()), ..on("net") };
    let with_mac = EndpointRequest { mac: Some("02:00:00:00:00:05".to_owned()), ..on("net") };
    let gives = |addresses: &[&str], mac| EndpointGrant {
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
        mac,
    };
    for (asked, given, expected) in [
        (on("net"), gives(&["10.9.0.7"], mac("02:00:00:00:00:07")), Ok(("10.9.0.7", "02:00:00:00:00:07"))),
        (fixed("10.9.0.7"), gives(&["10.9.0.7"], None), Ok(("10.9.0.7", "02:42:0a:09:00:07"))),
        (fixed("10.9.0.7"), gives(&[], None), Ok(("10.9.0.7", "02:42:0a:09:00:07"))),
        (with_mac.clone(), gives(&["10.9.0.8"], None), Ok(("10.9.0.8", "02:00:00:00:00:05"))),
        (fixed("10.9.0.7"), gives(&["10.9.0.8"], None), Err("10.9.0.7 was asked for")),
        (with_mac, gives(&[], mac("02:00:00:00:00:06")), Err("02:00:00:00:00:05 was asked for")),
    ] {
        let mut bench = Bench::default();
        let spec = network("net", vec![pool("10.9.0.0/24", None)]);
        bench.create(spec, NetworkGrant::default()).expect("a network");
        match (bench.put(sandbox("web", asked.clone()), given.clone()), expected) {
            (Ok(PutOutcome::Made(made, _)), Ok((address, mac))) => {
                let link = made.endpoints[0].interface().expect("a link");
                let got = (link.addresses[0].address.ip().to_string(), link.mac.to_string());
                assert_eq!(got, (address.to_owned(), mac.to_owned()));
            }
            (Err(error), Err(why)) => {
                assert_eq!(error.kind, Kind::Internal);
                assert!(error.message.contains(why), "{error}");
                assert!(bench.put(sandbox("web", on("net")), EndpointGrant::default()).is_ok(), "nothing is left");
            }
            (made, expected) => panic!("{asked:?}, {given:?}: {made:?} instead of {expected:?}"),
        }
    }
}

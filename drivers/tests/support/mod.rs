//! A state with its context, and what tests ask of it in one line.
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod kernel;

use std::collections::BTreeSet;

use cnm::{
    Error,
    api::{EndpointRequest, NamespaceRequest, NetworkCreate, PortRange, PortRequest, SandboxPut},
    driver::HostView,
    firewall::Protocol,
    grant::Grants,
    id::SandboxId,
    ipam::DefaultPools,
    network::Network,
    plan::{Op, Plan},
    sandbox::Sandbox,
    spec::{NetworkSpec, SandboxSpec},
    state::{Context, PutOutcome, State},
};
use drivers::Registry;

/// A state on a host, with ids that count up.
pub(crate) struct Bench {
    pub(crate) state: State,
    pub(crate) host: HostView,
    pub(crate) pools: DefaultPools,
    pub(crate) avoid: BTreeSet<(Protocol, u16)>,
    pub(crate) grants: Grants,
    pub(crate) drawn: u8,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            state: State::default(),
            host: HostView::default(),
            pools: DefaultPools::default(),
            avoid: BTreeSet::new(),
            grants: Grants::default(),
            drawn: 0,
        }
    }

    /// With the predefined networks in place.
    pub(crate) fn started() -> Self {
        let mut bench = Self::new();
        for spec in bench.with(|state, context| state.missing_predefined(context)) {
            let (network, _) = bench.with(|state, context| state.create_network(spec, true, context)).expect("made");
            bench.state.network_programmed(&network.id).expect("reserved before");
        }
        bench
    }

    pub(crate) fn with<R>(&mut self, decide: impl FnOnce(&mut State, &mut Context<'_>) -> R) -> R {
        let drawn = &mut self.drawn;
        let mut random = || {
            *drawn += 1;
            [*drawn; 32]
        };
        let mut context = Context {
            planners: &Registry,
            host: &self.host,
            pools: &self.pools,
            now: "2026-11-21T00:00:00Z".parse().expect("a time"),
            random: &mut random,
            avoid_ports: &self.avoid,
            grants: &self.grants,
        };
        decide(&mut self.state, &mut context)
    }

    /// Asks for a network as the API does.
    pub(crate) fn create(&mut self, wire: NetworkCreate) -> Result<(Network, Plan), Error> {
        let spec = NetworkSpec::try_from(wire)?;
        self.with(|state, context| state.create_network(spec, false, context))
    }

    /// Makes a network with options, programmed.
    pub(crate) fn network(&mut self, wire: NetworkCreate) -> (Network, Plan) {
        let (network, plan) = self.create(wire).expect("a network");
        (self.state.network_programmed(&network.id).expect("reserved before"), plan)
    }

    /// Asks for a sandbox as the API does.
    pub(crate) fn put(&mut self, id: &str, wire: SandboxPut) -> Result<PutOutcome, Error> {
        let spec = SandboxSpec::parse(id, wire)?;
        self.with(|state, context| state.put_sandbox(spec, context))
    }

    /// What networks need now, or need no longer: as if it were applied.
    pub(crate) fn apply_loopback(&mut self) -> Plan {
        let all: Vec<_> = self.state.networks().keys().cloned().collect();
        let mut applied = Plan::default();
        for id in self.state.loopback_pending(&all) {
            let plan = self.state.loopback_plan(&Registry, &id).expect("planned").expect("it is pending");
            self.state.loopback_applied(&id, &plan);
            applied = applied.then(plan);
        }
        applied
    }

    /// Makes a sandbox, programmed.
    pub(crate) fn sandbox(&mut self, id: &str, wire: SandboxPut) -> (Sandbox, Plan) {
        match self.put(id, wire).expect("a sandbox") {
            PutOutcome::Made(sandbox, plan) => {
                (self.state.sandbox_programmed(sandbox.id()).expect("reserved before"), plan)
            }
            PutOutcome::There(_) | PutOutcome::Differs => panic!("sandbox {id} is there"),
        }
    }

    /// Asks for a sandbox that is there to be another as the API does.
    pub(crate) fn wish(&mut self, id: &str, wire: SandboxPut) -> Result<Plan, Error> {
        let spec = SandboxSpec::parse(id, wire)?;
        self.with(|state, context| state.change(spec, context)).map(|(_, plan)| plan)
    }

    /// The same, programmed.
    pub(crate) fn change(&mut self, id: &str, wire: SandboxPut) -> (Sandbox, Plan) {
        let plan = self.wish(id, wire).expect("a change");
        (self.state.changed(&id.parse().expect("an id")).expect("reserved before").1, plan)
    }
}

/// The plan that takes down what a plan makes.
pub(crate) fn teardown(plan: &Plan) -> Plan {
    let made = plan.ops.iter().filter_map(|op| if let Op::Make(resource) = op { Some(resource.clone()) } else { None });
    Plan::teardown(&made.collect::<Vec<_>>())
}

pub(crate) fn id(text: &str) -> SandboxId {
    text.parse().expect("an id")
}

pub(crate) fn net(name: &str) -> NetworkCreate {
    NetworkCreate { name: name.to_owned(), ..Default::default() }
}

/// A network with options, by the ends of their names.
pub(crate) fn net_with(name: &str, options: &[(&str, &str)]) -> NetworkCreate {
    let options =
        options.iter().map(|(option, value)| (format!("com.docker.network.{option}"), (*value).to_owned())).collect();
    NetworkCreate { options, ..net(name) }
}

pub(crate) fn on(network: &str) -> EndpointRequest {
    EndpointRequest { network: network.to_owned(), ..Default::default() }
}

pub(crate) fn put(endpoints: Vec<EndpointRequest>) -> SandboxPut {
    SandboxPut {
        owner: "test".to_owned(),
        name: String::new(),
        labels: Default::default(),
        namespace: NamespaceRequest::New,
        endpoints,
        ports: Vec::new(),
    }
}

pub(crate) fn port(host_ip: Option<&str>, host: u16, container: u16) -> PortRequest {
    let one = |port| PortRange { first: port, last: port };
    PortRequest {
        protocol: "tcp".to_owned(),
        host_ip: host_ip.map(str::to_owned),
        host_ports: (host != 0).then(|| one(host)),
        container_ports: one(container),
    }
}

pub(crate) fn put_with_ports(endpoints: Vec<EndpointRequest>, ports: Vec<PortRequest>) -> SandboxPut {
    SandboxPut { ports, ..put(endpoints) }
}

//! All networks and sandboxes of this host as one value, and every decision about them. The daemon owns one `State` in
//! one task, publishes clones of its records to readers, stores what it answers and applies the plans.
//!
//! A method that answers with an error has changed nothing but the place where the search for free addresses and ports
//! goes on.

mod changes;
mod grant_requests;
mod leases;
mod networks;
mod plans;
mod ports;
mod sandboxes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use jiff::Timestamp;

use crate::{
    Error, Kind,
    driver::{HostView, Planner, Planners},
    endpoint::Endpoint,
    firewall::Protocol,
    grant::Grants,
    id::{EndpointId, LinkName, NetworkId, NetworkName, SandboxId},
    ipam::{AddressSpace, DefaultPools, Leases},
    network::Network,
    plan::Plan,
    ports::PortTable,
    sandbox::Sandbox,
    spec::NetworkRef,
};

/// What a decision may use of the world.
pub struct Context<'a> {
    /// The drivers.
    pub planners: &'a dyn Planners,
    /// The host.
    pub host: &'a HostView,
    /// Where subnets come from.
    pub pools: &'a DefaultPools,
    /// The time.
    pub now: Timestamp,
    /// Random bytes, drawn by the caller, for each id.
    pub random: &'a mut dyn FnMut() -> [u8; 32],
    /// Host ports that were found in use by somebody else.
    pub avoid_ports: &'a BTreeSet<(Protocol, u16)>,
    /// What others have given for this decision, see [`State::grant_requests_of_put`].
    pub grants: &'a Grants,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("host", self.host).field("now", &self.now).finish_non_exhaustive()
    }
}

/// All networks and sandboxes of this host.
#[derive(Debug, Clone, Default)]
pub struct State {
    networks: BTreeMap<NetworkId, Network>,
    names: BTreeMap<NetworkName, NetworkId>,
    /// The links of the host that networks have.
    links: BTreeMap<LinkName, NetworkId>,
    space: AddressSpace,
    leases: BTreeMap<NetworkId, Vec<Leases>>,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    /// Who is on a network.
    members: BTreeMap<NetworkId, BTreeSet<(SandboxId, EndpointId)>>,
    ports: PortTable,
    /// Sandboxes with ports that the host reaches over 127.0.0.1, by the network that leads there.
    loopback: BTreeMap<NetworkId, BTreeSet<SandboxId>>,
    /// Networks that have what that needs, see [`State::loopback_plan`].
    loopback_applied: BTreeSet<NetworkId>,
}

/// What [`State::put_sandbox`] decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is there, just as asked for (look at its lifecycle).
    There(Sandbox),
    /// It is *Reserved*; store it and apply the plan.
    Made(Sandbox, Plan),
    /// It is there and was asked for differently: [`State::change`] has it become what is asked for now.
    Differs,
}

/// Something that was on its way in or out when the daemon ended; the plan takes away what there may be of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfinished {
    /// Store the record, apply the plan, then [`State::forget_sandbox`].
    Sandbox(Sandbox, Plan),
    /// Apply the plan, then [`State::unchanged`].
    Change(Sandbox, Plan),
    /// Store the record, apply the plan, then [`State::forget_network`].
    Network(Network, Plan),
}

/// A stored object that can't be part of the state, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectedRecord {
    /// By its name.
    Network(NetworkName, Error),
    /// By its id.
    Sandbox(SandboxId, Error),
}

impl State {
    /// The state that stored records describe. What can't be part of it, because it contradicts another record or is of a
    /// driver that isn't there, is left out and told.
    pub fn restore(
        planners: &dyn Planners,
        networks: Vec<Network>,
        sandboxes: Vec<Sandbox>,
    ) -> (Self, Vec<RejectedRecord>) {
        let mut state = Self::default();
        let mut rejected = Vec::new();
        for network in networks {
            let adopted = planner_of(planners, &network).map(drop).and_then(|()| state.adopt_network(network.clone()));
            rejected.extend(adopted.err().map(|why| RejectedRecord::Network(network.spec.name, why)));
        }
        for sandbox in sandboxes {
            let id = sandbox.id().clone();
            rejected.extend(state.adopt_sandbox(sandbox).err().map(|why| RejectedRecord::Sandbox(id, why)));
        }
        (state, rejected)
    }

    /// What was on its way in or out when the daemon ended, sandboxes first; from here on it is all on its way out. What was
    /// about to change is taken back.
    ///
    /// # Errors
    /// When a record is of a driver that isn't there.
    pub fn unfinished(&mut self, planners: &dyn Planners) -> Result<Vec<Unfinished>, Error> {
        let mut unfinished = Vec::new();
        let halfway: Vec<SandboxId> = self
            .sandboxes
            .values()
            .filter(|sandbox| !sandbox.lifecycle.is_programmed() || sandbox.change.is_some())
            .map(|sandbox| sandbox.id().clone())
            .collect();
        for id in halfway {
            if self.sandboxes.get(&id).is_some_and(|sandbox| !sandbox.lifecycle.is_programmed()) {
                let (sandbox, plan) = self.remove_sandbox(planners, &id)?;
                unfinished.push(Unfinished::Sandbox(sandbox, plan));
            } else {
                unfinished.push(self.unfinished_change(planners, &id)?);
            }
        }
        let halfway: Vec<NetworkId> = self
            .networks
            .values()
            .filter(|network| !network.lifecycle.is_programmed())
            .map(|network| network.id.clone())
            .collect();
        for id in halfway {
            let (network, plan) = self.tear_network(planners, &id)?;
            unfinished.push(Unfinished::Network(network, plan));
        }
        Ok(unfinished)
    }

    /// The network that is meant: an id, a name, or the beginning of a single id.
    ///
    /// # Errors
    /// When there is none, or a prefix means more than one.
    pub fn network(&self, network: &NetworkRef) -> Result<&Network, Error> {
        let text = network.as_str();
        let exact = text.parse::<NetworkId>().ok().and_then(|id| self.networks.get(&id));
        let named = || self.names.get(&text.parse::<NetworkName>().ok()?).and_then(|id| self.networks.get(id));
        if let Some(found) = exact.or_else(named) {
            return Ok(found);
        }
        let mut beginning = self.with_id_prefix(text);
        match (beginning.next(), beginning.next()) {
            (Some(found), None) => Ok(found),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "network {text} is ambiguous (2 or more matches found by the beginning of its id)"
            ))),
            (None, _) => Err(Error::new(Kind::NotFound, format!("network {text} not found"))),
        }
    }

    /// Networks whose ids begin with some hexadecimal digits.
    fn with_id_prefix<'a>(&'a self, digits: &str) -> impl Iterator<Item = &'a Network> + use<'a> {
        let digits = digits.to_lowercase();
        let is_hex = (1..64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let lowest = is_hex.then(|| format!("{digits:0<64}").parse::<NetworkId>().ok()).flatten();
        lowest
            .into_iter()
            .flat_map(|lowest| self.networks.range(lowest..))
            .take_while(move |(id, _)| id.as_str().starts_with(&digits))
            .map(|(_, network)| network)
    }

    /// The network whose bridge is the link of that name.
    pub fn network_on(&self, link: &LinkName) -> Option<&Network> {
        self.networks.get(self.links.get(link)?)
    }

    /// The sandbox with that id.
    ///
    /// # Errors
    /// When there is none.
    pub fn sandbox(&self, id: &SandboxId) -> Result<&Sandbox, Error> {
        self.sandboxes.get(id).ok_or_else(|| Error::new(Kind::NotFound, format!("sandbox {id} not found")))
    }

    /// All networks by id.
    pub const fn networks(&self) -> &BTreeMap<NetworkId, Network> {
        &self.networks
    }

    /// All sandboxes by id.
    pub const fn sandboxes(&self) -> &BTreeMap<SandboxId, Sandbox> {
        &self.sandboxes
    }

    /// The endpoints on a network with their sandboxes.
    pub fn members(&self, network: &NetworkId) -> impl Iterator<Item = (&Sandbox, &Endpoint)> {
        self.members.get(network).into_iter().flatten().filter_map(|(sandbox, endpoint)| {
            let sandbox = self.sandboxes.get(sandbox)?;
            Some((sandbox, sandbox.all_endpoints().find(|other| other.id == *endpoint)?))
        })
    }

    /// The address that a network handed out last, to be stored if round-robin is to go on exactly after a restart.
    pub fn last_lease(&self, network: &NetworkId) -> Option<IpAddr> {
        self.leases.get(network)?.iter().find_map(Leases::last)
    }

    /// Addresses are handed out from after this one.
    pub fn resume_leases(&mut self, network: &NetworkId, last: IpAddr) {
        self.leases.get_mut(network).into_iter().flatten().for_each(|leases| leases.resume_after(last));
    }

    fn network_by_id(&self, id: &NetworkId) -> Result<&Network, Error> {
        self.networks.get(id).ok_or_else(|| Error::new(Kind::NotFound, format!("network {id} not found")))
    }
}

/// The planner of a network that exists.
fn planner_of<'a>(planners: &'a dyn Planners, network: &Network) -> Result<&'a dyn Planner, Error> {
    planners.planner(&network.spec.driver).ok_or_else(|| {
        Error::new(
            Kind::Internal,
            format!(
                "network {} is of driver {}, which this release doesn't have",
                network.spec.name, network.spec.driver
            ),
        )
    })
}

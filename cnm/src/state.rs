//! All networks and sandboxes of this host as one value, and every decision about them. The daemon owns one `State` in
//! one task, publishes clones of its records to readers, stores what it answers and applies the plans.
//!
//! A method that answers with an error has changed nothing.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use jiff::Timestamp;

use crate::{
    Error,
    driver::{HostView, Planners},
    endpoint::Endpoint,
    firewall::{Element, Protocol},
    id::{EndpointId, NetworkId, SandboxId},
    ipam::DefaultPools,
    network::Network,
    op::{Op, Plan},
    sandbox::Sandbox,
    spec::{EndpointSpec, NetworkRef, NetworkSpec, SandboxSpec},
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
}

/// All networks and sandboxes of this host.
#[derive(Debug, Default)]
pub struct State {
    networks: BTreeMap<NetworkId, Network>,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
}

/// What [`State::put_sandbox`] decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// The same request was made before: this is what it led to (look at its lifecycle).
    There(Sandbox),
    /// It is *Reserved*; store it and apply the plan.
    Made(Sandbox, Plan),
}

impl State {
    /// The state that stored records describe.
    ///
    /// # Errors
    /// When records contradict each other.
    pub fn restore(_planners: &dyn Planners, _networks: Vec<Network>, _sandboxes: Vec<Sandbox>) -> Result<Self, Error> {
        todo!()
    }

    /// The networks `bridge`, `host` and `none`, as far as they aren't there: create them at start. `bridge` is to get
    /// 172.17.0.0/16 where that is free, else a subnet of the default pools.
    pub fn missing_predefined(&self, _context: &Context<'_>) -> Vec<NetworkSpec> {
        todo!()
    }

    /// Makes a network (*Reserved*); `predefined` is for those of [`State::missing_predefined`] alone.
    ///
    /// # Errors
    /// When the name is taken, the driver unknown, an option wrong, a subnet taken or none free.
    pub fn create_network(
        &mut self,
        _spec: NetworkSpec,
        _predefined: bool,
        _context: &mut Context<'_>,
    ) -> Result<(Network, Plan), Error> {
        todo!()
    }

    /// The kernel has the network; the record to store.
    ///
    /// # Errors
    /// When the network isn't known or is going.
    pub fn network_programmed(&mut self, _id: &NetworkId) -> Result<Network, Error> {
        todo!()
    }

    /// The network is to go (*PartlyTorn*; the plan is in its lifecycle).
    ///
    /// # Errors
    /// When it is predefined or somebody is on it (named).
    pub fn remove_network(
        &mut self,
        _planners: &dyn Planners,
        _network: &NetworkRef,
    ) -> Result<(Network, Plan), Error> {
        todo!()
    }

    /// Taking the network down, or undoing its making, stopped with this left to do; the record to store.
    ///
    /// # Errors
    /// When the network isn't known.
    pub fn network_stuck(&mut self, _id: &NetworkId, _remaining: Plan, _error: String) -> Result<Network, Error> {
        todo!()
    }

    /// The network is gone, or never came to be: gives back its name and subnets.
    pub fn forget_network(&mut self, _id: &NetworkId) -> Option<Network> {
        todo!()
    }

    /// Makes a sandbox with all its endpoints and ports, or finds the one that the same request made.
    ///
    /// # Errors
    /// When another request has the id, a network doesn't exist, an address or a port is taken or none is free.
    pub fn put_sandbox(&mut self, _spec: SandboxSpec, _context: &mut Context<'_>) -> Result<Put, Error> {
        todo!()
    }

    /// The kernel has the sandbox with the endpoints that it had then; the record to store.
    ///
    /// # Errors
    /// When the sandbox isn't known or is going.
    pub fn sandbox_programmed(&mut self, _id: &SandboxId) -> Result<Sandbox, Error> {
        todo!()
    }

    /// The sandbox is to go (*PartlyTorn*; the plan is in its lifecycle).
    ///
    /// # Errors
    /// When it isn't known.
    pub fn remove_sandbox(&mut self, _planners: &dyn Planners, _id: &SandboxId) -> Result<(Sandbox, Plan), Error> {
        todo!()
    }

    /// Taking the sandbox down, or undoing its making, stopped with this left to do; the record to store.
    ///
    /// # Errors
    /// When the sandbox isn't known.
    pub fn sandbox_stuck(&mut self, _id: &SandboxId, _remaining: Plan, _error: String) -> Result<Sandbox, Error> {
        todo!()
    }

    /// The sandbox is gone, or never came to be: gives back its addresses and ports.
    pub fn forget_sandbox(&mut self, _id: &SandboxId) -> Option<Sandbox> {
        todo!()
    }

    /// Adds an endpoint (*Reserved*) to a programmed sandbox. The plan may move the default gateway and the ports.
    ///
    /// # Errors
    /// As for [`State::put_sandbox`]; and when the sandbox is on that network already or is going.
    pub fn connect(
        &mut self,
        _sandbox: &SandboxId,
        _spec: EndpointSpec,
        _context: &mut Context<'_>,
    ) -> Result<(Sandbox, EndpointId, Plan), Error> {
        todo!()
    }

    /// The kernel has the endpoint; the sandbox's record to store.
    ///
    /// # Errors
    /// When it isn't known or is going.
    pub fn endpoint_programmed(&mut self, _sandbox: &SandboxId, _endpoint: &EndpointId) -> Result<Sandbox, Error> {
        todo!()
    }

    /// The endpoint is to go (*PartlyTorn*). The plan may move the default gateway and the ports.
    ///
    /// # Errors
    /// When it isn't known.
    pub fn disconnect(
        &mut self,
        _planners: &dyn Planners,
        _sandbox: &SandboxId,
        _endpoint: &EndpointId,
    ) -> Result<(Sandbox, Plan), Error> {
        todo!()
    }

    /// Taking the endpoint away, or undoing its making, stopped with this left to do; the sandbox's record to store.
    ///
    /// # Errors
    /// When it isn't known.
    pub fn endpoint_stuck(
        &mut self,
        _sandbox: &SandboxId,
        _endpoint: &EndpointId,
        _remaining: Plan,
        _error: String,
    ) -> Result<Sandbox, Error> {
        todo!()
    }

    /// The endpoint is gone, or never came to be: gives back its addresses. The sandbox's record to store.
    ///
    /// # Errors
    /// When it isn't known.
    pub fn forget_endpoint(&mut self, _sandbox: &SandboxId, _endpoint: &EndpointId) -> Result<Sandbox, Error> {
        todo!()
    }

    /// The network that is meant.
    ///
    /// # Errors
    /// When there is none, or a prefix means more than one.
    pub fn network(&self, _network: &NetworkRef) -> Result<&Network, Error> {
        todo!()
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
    pub fn members(&self, _network: &NetworkId) -> impl Iterator<Item = (&Sandbox, &Endpoint)> {
        std::iter::empty()
    }

    /// Every operation that the kernel should have seen: the plans of all that is programmed. `skip` leaves out
    /// sandboxes that are being worked on.
    pub fn desired(&self, _planners: &dyn Planners, _skip: &BTreeSet<SandboxId>) -> Vec<Op> {
        todo!()
    }

    /// All that the firewall should hold, of what is programmed or on its way.
    pub fn firewall(&self, _planners: &dyn Planners) -> BTreeSet<Element> {
        todo!()
    }

    /// Subnets of our networks: the host's routes to them are no obstacle.
    pub fn subnets(&self) -> impl Iterator<Item = IpNetwork> {
        std::iter::empty()
    }
}

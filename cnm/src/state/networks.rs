//! Decisions about networks.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;

use super::{Context, State, planner_of};
use crate::{
    Error, Kind,
    driver::{HostView, Planner, Planners},
    id::NetworkId,
    ipam::{Leases, Pool},
    lifecycle::Lifecycle,
    network::Network,
    plan::Plan,
    resource::Resource,
    spec::{Family, NetworkRef, NetworkSpec, PoolSpec, SubnetRequest},
};

/// The subnet that users expect network `bridge` to have.
const DEFAULT_BRIDGE_SUBNET: &str = "172.17.0.0/16";

impl State {
    /// The networks `bridge`, `host` and `none`, as far as they aren't there: create them at start. `bridge` is to get
    /// 172.17.0.0/16 where that is free, else a subnet of the default pools.
    pub fn missing_predefined(&self, context: &Context<'_>) -> Vec<NetworkSpec> {
        let usual: IpNetwork = DEFAULT_BRIDGE_SUBNET.parse().expect("a literal prefix parses");
        let subnet = if self.space.is_free(usual, &context.host.routes) {
            SubnetRequest::Exact(usual)
        } else {
            SubnetRequest::Any(Family::Ipv4)
        };
        let pool = PoolSpec { subnet, ip_range: None, gateway: None, aux_addresses: BTreeMap::new() };
        let marks_default = [("com.docker.network.bridge.default_bridge".to_owned(), "true".to_owned())];
        let wanted = [
            ("bridge", "bridge", vec![pool], BTreeMap::from(marks_default)),
            ("host", "host", Vec::new(), BTreeMap::new()),
            ("none", "null", Vec::new(), BTreeMap::new()),
        ];
        wanted
            .into_iter()
            .map(|(name, driver, pools, options)| NetworkSpec {
                name: name.parse().expect("a literal name is valid"),
                driver: driver.parse().expect("a literal driver name is valid"),
                internal: false,
                ipv4: true,
                ipv6: false,
                pools,
                options,
                labels: BTreeMap::new(),
            })
            .filter(|spec| !self.names.contains_key(&spec.name))
            .collect()
    }

    /// Makes a network (*Reserved*); `predefined` is for those of [`State::missing_predefined`] alone.
    ///
    /// # Errors
    /// When the name is taken, the driver unknown, an option wrong, a subnet taken or none free.
    pub fn create_network(
        &mut self,
        spec: NetworkSpec,
        predefined: bool,
        context: &mut Context<'_>,
    ) -> Result<(Network, Plan), Error> {
        let planner = self.check_new(&spec, predefined, context.planners)?;
        let grant = match &context.grants.network {
            None if context.planners.grantor(&spec.driver).is_some() => {
                let message = format!("no grant of driver {} was requested for network {}", spec.driver, spec.name);
                return Err(Error::new(Kind::Internal, message));
            }
            grant => grant.clone(),
        };
        let pools = self.choose_pools(&spec, planner, context)?;
        let (id, grant) = match grant {
            Some((id, grant)) => (id, Some(grant)),
            None => (NetworkId::from_bytes((context.random)()), None),
        };
        let config = planner.configure(&id, &spec, &pools, context.host)?;
        let lifecycle = Lifecycle::Reserved;
        let network = Network { id, spec, created: context.now, predefined, pools, config, grant, lifecycle };
        self.check_link(&network)?;
        let resources = planner.network(&network);
        let plan = without_leftovers(&resources, context.host).then(Plan::make(resources));
        self.adopt_network(network.clone())?;
        Ok((network, plan))
    }

    /// Checks what can be said of a new network before anything is chosen for it, or anybody asked.
    pub(super) fn check_new<'a>(
        &self,
        spec: &NetworkSpec,
        predefined: bool,
        planners: &'a dyn Planners,
    ) -> Result<&'a dyn Planner, Error> {
        let name = &spec.name;
        if !predefined && ["bridge", "host", "none", "default"].contains(&name.as_str()) {
            return Err(Error::new(
                Kind::Forbidden,
                format!("operation is not permitted on predefined {name} network: choose another name"),
            ));
        }
        if self.names.contains_key(name) {
            return Err(Error::new(Kind::Conflict, format!("network with name {name} already exists")));
        }
        let planner = planners.planner(&spec.driver).ok_or_else(|| {
            let drivers = planners.names().join(", ");
            Error::new(Kind::NotFound, format!("plugin {:?} not found: drivers are {drivers}", spec.driver.as_str()))
        })?;
        if planner.traits().single_instance && !predefined {
            return Err(Error::new(
                Kind::Forbidden,
                format!("only one instance of {:?} network is allowed", planner.name()),
            ));
        }
        Ok(planner)
    }

    fn choose_pools(
        &self,
        spec: &NetworkSpec,
        planner: &dyn Planner,
        context: &Context<'_>,
    ) -> Result<Vec<Pool>, Error> {
        if !planner.traits().addresses {
            if !spec.pools.is_empty() {
                return Err(Error::invalid(format!(
                    "network {} can't have a subnet: networks of driver {} have no addresses",
                    spec.name,
                    planner.name()
                )));
            }
            return Ok(Vec::new());
        }
        let unasked = PoolSpec {
            subnet: SubnetRequest::Any(Family::Ipv4),
            ip_range: None,
            gateway: None,
            aux_addresses: BTreeMap::new(),
        };
        let without_ipv4 = !spec.pools.iter().any(|pool| pool.subnet.family() == Family::Ipv4);
        let wanted = spec.pools.iter().chain((spec.ipv4 && without_ipv4).then_some(&unasked)).cloned().collect();
        let wanted = match &context.grants.network {
            Some((_, grant)) => grant.apply(spec, wanted)?,
            None => wanted,
        };
        wanted
            .iter()
            .map(|pool| {
                let subnet = self.space.choose(pool.subnet, context.pools, &context.host.routes)?;
                Pool::choose(subnet, pool)
            })
            .collect()
    }

    /// Two networks on one bridge would be one network.
    fn check_link(&self, network: &Network) -> Result<(), Error> {
        let Some(link) = network.link() else { return Ok(()) };
        let Some(other) = self.links.get(link).and_then(|id| self.networks.get(id)) else { return Ok(()) };
        Err(Error::new(
            Kind::Forbidden,
            format!(
                "cannot create network {}: bridge {link} is already the bridge of network {}",
                network.spec.name, other.spec.name
            ),
        ))
    }

    /// Indexes a network by its name, link and subnets.
    pub(super) fn adopt_network(&mut self, network: Network) -> Result<(), Error> {
        let taken = |what: &str| {
            let name = &network.spec.name;
            Error::new(Kind::Internal, format!("records contradict each other: {what} of network {name} is taken"))
        };
        if self.names.contains_key(&network.spec.name) || self.networks.contains_key(&network.id) {
            return Err(taken("the name or id"));
        }
        for pool in &network.pools {
            if !self.space.is_free(pool.subnet, &[]) {
                return Err(taken(&format!("subnet {}", pool.subnet)));
            }
        }
        for pool in &network.pools {
            self.space.take(pool.subnet, &network.spec.name);
        }
        self.names.insert(network.spec.name.clone(), network.id.clone());
        if let Some(link) = network.link() {
            self.links.insert(link.clone(), network.id.clone());
        }
        self.leases.insert(network.id.clone(), network.pools.iter().map(Leases::new).collect());
        self.networks.insert(network.id.clone(), network);
        Ok(())
    }

    /// The kernel has the network; the record to store.
    ///
    /// # Errors
    /// When the network isn't known or is going.
    pub fn network_programmed(&mut self, id: &NetworkId) -> Result<Network, Error> {
        let lifecycle = self.network_by_id(id)?.lifecycle.clone().programmed()?;
        self.set_network_lifecycle(id, lifecycle)
    }

    /// The network is to go (*PartlyTorn*; the plan is in its lifecycle). Asked again, it answers with what is left.
    ///
    /// # Errors
    /// When it isn't known, is predefined, is still being made, or somebody is on it (named).
    pub fn remove_network(&mut self, planners: &dyn Planners, network: &NetworkRef) -> Result<(Network, Plan), Error> {
        let network = self.network(network)?;
        let name = &network.spec.name;
        if network.predefined {
            return Err(Error::new(Kind::Forbidden, format!("{name} is a pre-defined network and cannot be removed")));
        }
        if network.lifecycle == Lifecycle::Reserved {
            return Err(Error::new(Kind::Conflict, format!("network {name} is being created: try again")));
        }
        let holders: Vec<String> = self
            .members(&network.id)
            .take(3)
            .map(|(sandbox, endpoint)| format!("name:{:?} id:{:?}", sandbox.spec.name, endpoint.id.short()))
            .collect();
        if !holders.is_empty() {
            let (holders, more) =
                (holders.join(", "), self.members.get(&network.id).map_or(0, |all| all.len()) - holders.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Err(Error::new(
                Kind::Forbidden,
                format!(
                    "error while removing network: network {name} has active endpoints ({holders}{more}): disconnect \
                     them or stop what uses them"
                ),
            ));
        }
        let id = network.id.clone();
        self.tear_network(planners, &id)
    }

    pub(super) fn tear_network(&mut self, planners: &dyn Planners, id: &NetworkId) -> Result<(Network, Plan), Error> {
        let network = self.network_by_id(id)?;
        let teardown = Plan::teardown(&planner_of(planners, network)?.network(network));
        let lifecycle = network.lifecycle.clone().tearing(teardown);
        let plan = lifecycle.remaining().cloned().unwrap_or_default();
        Ok((self.set_network_lifecycle(id, lifecycle)?, plan))
    }

    /// Taking the network down, or undoing its making, stopped with this left to do; the record to store.
    ///
    /// # Errors
    /// When the network isn't known.
    pub fn network_stuck(&mut self, id: &NetworkId, remaining: Plan, error: String) -> Result<Network, Error> {
        let lifecycle = self.network_by_id(id)?.lifecycle.clone().stuck(remaining, error);
        self.set_network_lifecycle(id, lifecycle)
    }

    fn set_network_lifecycle(&mut self, id: &NetworkId, lifecycle: Lifecycle) -> Result<Network, Error> {
        let network =
            self.networks.get_mut(id).ok_or_else(|| Error::new(Kind::NotFound, format!("network {id} not found")))?;
        network.lifecycle = lifecycle;
        Ok(network.clone())
    }

    /// The network is gone, or never came to be: gives back its name and subnets.
    pub fn forget_network(&mut self, id: &NetworkId) -> Option<Network> {
        let network = self.networks.remove(id)?;
        self.names.remove(&network.spec.name);
        if let Some(link) = network.link() {
            self.links.remove(link);
        }
        for pool in &network.pools {
            self.space.release(pool.subnet);
        }
        self.leases.remove(id);
        self.loopback.remove(id);
        self.loopback_applied.remove(id);
        Some(network)
    }
}

/// What takes away links that are to be made and are there already: no record speaks of them, so they are left over from
/// a state that was lost. (A bridge of the user's own isn't made.)
fn without_leftovers(resources: &[Resource], host: &HostView) -> Plan {
    let is_there = |resource: &&Resource| resource.host_link().is_some_and(|link| host.links.contains_key(&link));
    Plan::teardown(&resources.iter().filter(is_there).cloned().collect::<Vec<_>>())
}

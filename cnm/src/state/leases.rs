//! What a new endpoint gets: an id, addresses, a name for its interface; and what it gives back.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Context, State, planner_of};
use crate::{
    Error, Kind,
    driver::NewEndpoint,
    endpoint::{Address, Attachment, Endpoint},
    grant::{EndpointGrant, bad_endpoint},
    id::{EndpointId, LinkName, NetworkId},
    ipam::with_prefix,
    network::Network,
    spec::{EndpointSpec, Family, SubnetRequest},
};

impl State {
    /// Leases addresses for an endpoint and chooses everything else of it. `names` are the interface names in use. One that is
    /// there and is to be another keeps its id and what the request leaves open.
    pub(super) fn lease_endpoint(
        &mut self,
        spec: &EndpointSpec,
        there: Option<&Endpoint>,
        names: &mut BTreeSet<LinkName>,
        context: &mut Context<'_>,
    ) -> Result<Endpoint, Error> {
        let network = self.network(&spec.network)?;
        let planner = planner_of(context.planners, network)?;
        check_fixed(network, spec)?;
        let (id, grant) = match (there, context.grants.endpoints.get(&network.id)) {
            (Some(there), _) => {
                check_kept(there, network, spec)?;
                (there.id.clone(), there.grant.clone())
            }
            (None, Some((id, grant))) => {
                grant.check(network, spec)?;
                (id.clone(), Some(grant.clone()))
            }
            (None, None) if context.planners.grantor(&network.spec.driver).is_some() => {
                let (driver, name) = (&network.spec.driver, &network.spec.name);
                let message = format!("no grant of driver {driver} was requested for an endpoint on network {name}");
                return Err(Error::new(Kind::Internal, message));
            }
            (None, None) => (EndpointId::from_bytes((context.random)()), None),
        };
        let mut endpoint = Endpoint {
            id,
            network: network.id.clone(),
            network_name: network.spec.name.clone(),
            spec: spec.clone(),
            attachment: Attachment::Bare,
            grant,
        };
        if !planner.traits().addresses {
            return Ok(endpoint);
        }
        let interface = match there.and_then(Endpoint::interface) {
            Some(interface) if spec.interface.is_none() => interface.name.clone(),
            _ => choose_interface(network, spec, names)?,
        };
        let network_id = network.id.clone();
        let addresses = self.lease_addresses(&network_id, spec, endpoint.grant.as_ref(), there)?;
        let network = self.network_by_id(&network_id)?;
        let attaching = NewEndpoint { id: &endpoint.id, spec, interface: &interface, addresses: &addresses };
        let mut link = planner.attach(network, attaching);
        if let (Some(link), Some(mac)) = (&mut link, endpoint.grant.as_ref().and_then(|grant| grant.mac)) {
            link.mac = mac;
        }
        endpoint.attachment = link.map_or(Attachment::Bare, Attachment::Link);
        names.insert(interface);
        Ok(endpoint)
    }

    fn lease_addresses(
        &mut self,
        network: &NetworkId,
        spec: &EndpointSpec,
        grant: Option<&EndpointGrant>,
        there: Option<&Endpoint>,
    ) -> Result<Vec<Address>, Error> {
        let record = self.network_by_id(network)?.clone();
        let mut leases = self.leases.get(network).cloned().unwrap_or_default();
        let mut addresses = Vec::with_capacity(leases.len());
        for (lease, pool) in leases.iter_mut().zip(&record.pools) {
            let fixed = match lease.family() {
                Family::Ipv4 => spec.ipv4.map(IpAddr::from),
                Family::Ipv6 => spec.ipv6.map(IpAddr::from),
            };
            let granted = grant.and_then(|grant| grant.address(lease.family()));
            let held = there.and_then(|there| there.address(lease.family())).map(|address| address.address.ip());
            let address = match (granted.or(fixed), held) {
                (None, Some(held)) => held,
                (Some(wanted), Some(held)) if wanted == held => held,
                (Some(granted), _) if fixed.is_none() => lease.reserve(granted).map(|()| granted).map_err(|error| {
                    let held = self.name_holder(network, granted, error);
                    bad_endpoint(&record, &granted.to_string(), &held.message)
                })?,
                (Some(wanted), _) => {
                    lease.reserve(wanted).map(|()| wanted).map_err(|error| self.name_holder(network, wanted, error))?
                }
                (None, None) => lease.allocate().map_err(|error| {
                    Error::new(error.kind, format!("network {}: {}", record.spec.name, error.message))
                })?,
            };
            addresses.push(Address {
                address: with_prefix(address, pool.subnet),
                gateway: (!record.spec.internal).then(|| pool.default_gateway()),
                fixed: fixed.is_some(),
            });
        }
        self.leases.insert(network.clone(), leases);
        Ok(addresses)
    }

    /// Says who has an address that can't be had.
    fn name_holder(&self, network: &NetworkId, wanted: IpAddr, error: Error) -> Error {
        let holder = self.members(network).find(|(_, endpoint)| {
            endpoint.interface().is_some_and(|link| link.addresses.iter().any(|held| held.address.ip() == wanted))
        });
        match holder {
            Some((sandbox, _)) => {
                Error::new(error.kind, format!("{} is held by sandbox {}", error.message, sandbox.spec.name))
            }
            None => error,
        }
    }

    /// Gives back the addresses of endpoints, but for those that others of the same sandbox have, too.
    pub(super) fn release_endpoints(&mut self, endpoints: &[Endpoint], kept: &[Endpoint]) {
        for endpoint in endpoints {
            for lease in self.leases.get_mut(&endpoint.network).into_iter().flatten() {
                if let Some(held) = endpoint.address(lease.family()) {
                    let is_it = |other: &Endpoint| {
                        let same = other.address(lease.family()).map(|address| address.address.ip());
                        other.network == endpoint.network && same == Some(held.address.ip())
                    };
                    if !kept.iter().any(is_it) {
                        lease.release(held.address.ip());
                    }
                }
            }
        }
    }
}

/// Fixed addresses are for networks whose subnet the user named: another may have another one tomorrow.
fn check_fixed(network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
    for (family, wanted) in [(Family::Ipv4, spec.ipv4.map(IpAddr::from)), (Family::Ipv6, spec.ipv6.map(IpAddr::from))] {
        let Some(wanted) = wanted else { continue };
        let name = &network.spec.name;
        if network.predefined {
            return Err(Error::invalid(format!(
                "user specified IP address is supported on user defined networks only: {name} is predefined"
            )));
        }
        if !network.pools.iter().any(|pool| Family::of_network(pool.subnet) == family) {
            return Err(Error::invalid(format!("network {name} has no {family} subnet: {wanted} can't be had")));
        }
        let named = |subnet: &SubnetRequest| matches!(subnet, SubnetRequest::Exact(_)) && subnet.family() == family;
        if !network.spec.pools.iter().any(|pool| named(&pool.subnet)) {
            return Err(Error::invalid(format!(
                "user specified IP address is supported only when connecting to networks with user configured \
                 subnets: network {name} was made without --subnet"
            )));
        }
    }
    Ok(())
}

/// What was given for an endpoint is given once: it can't be had otherwise while that is in use.
fn check_kept(there: &Endpoint, network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
    if there.grant.as_ref().is_none_or(|grant| grant.check(network, spec).is_ok()) {
        return Ok(());
    }
    let (driver, name) = (&network.spec.driver, &network.spec.name);
    let message = format!(
        "the endpoint on network {name} has what driver {driver} gave for it, and that isn't what is asked for now: \
         disconnect it first"
    );
    Err(Error::new(Kind::Conflict, message))
}

/// The name asked for, or the first of `eth0`, `eth1`, … that is free.
fn choose_interface(network: &Network, spec: &EndpointSpec, names: &BTreeSet<LinkName>) -> Result<LinkName, Error> {
    if let Some(name) = &spec.interface {
        return Ok(name.clone());
    }
    let prefix = network.config.interface_prefix();
    (0..=names.len())
        .map(|index| format!("{prefix}{index}").parse::<LinkName>())
        .find(|name| name.as_ref().map_or(true, |name| !names.contains(name)))
        .unwrap_or_else(|| Err(Error::new(Kind::Internal, format!("no interface name {prefix}N is free"))))
}

//! Which subnets are in use on this host, and the choice of free ones from the default pools.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::pool::{address, bounds};
use crate::{
    Error, Kind, api,
    id::NetworkName,
    interval::IntervalSet,
    spec::{Family, SubnetRequest},
};

/// A range that subnets are cut from when the caller names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultPool {
    /// The range.
    pub base: IpNetwork,
    /// The prefix length of each subnet.
    pub size: u8,
}

/// Ranges that subnets are cut from, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultPools(Vec<DefaultPool>);

impl DefaultPools {
    /// The pools given, in order.
    ///
    /// # Errors
    /// When a base has host bits set, a size is outside of its base or its family, or two overlap.
    pub fn new(pools: Vec<DefaultPool>) -> Result<Self, Error> {
        for (index, pool) in pools.iter().enumerate() {
            let refuse = |why: String| Error::invalid(format!("invalid default address pool {}: {why}", pool.base));
            if pool.base.ip() != pool.base.network() {
                return Err(refuse(format!("it should be {}/{}", pool.base.network(), pool.base.prefix())));
            }
            if pool.base.prefix() < 8 {
                return Err(refuse("a prefix length of at least 8 is expected".to_owned()));
            }
            let longest = Family::of_network(pool.base).bits() - 2;
            if !(pool.base.prefix()..=longest).contains(&pool.size) {
                return Err(refuse(format!(
                    "its size {} is not a prefix length from {} to {longest}",
                    pool.size,
                    pool.base.prefix()
                )));
            }
            if let Some(other) = pools[..index].iter().find(|other| overlap(other.base, pool.base)) {
                return Err(refuse(format!("it overlaps the pool {}", other.base)));
            }
        }
        Ok(Self(pools))
    }

    /// As the API shows them, in order.
    pub fn to_api(&self) -> Vec<api::DefaultPool> {
        let Self(pools) = self;
        pools.iter().map(|pool| api::DefaultPool { base: pool.base.to_string(), size: pool.size }).collect()
    }
}

impl Default for DefaultPools {
    /// 3,840 subnets of 253 endpoints from the private ranges of RFC 1918; 172.17.0.0/16 is left to network `bridge`,
    /// and 10.0.0.0/8 to those who use it already.
    fn default() -> Self {
        let pool = |base: &str| DefaultPool { base: base.parse().expect("a literal prefix parses"), size: 24 };
        Self(["172.18.0.0/15", "172.20.0.0/14", "172.24.0.0/13", "192.168.0.0/16"].map(pool).to_vec())
    }
}

fn overlap(one: IpNetwork, other: IpNetwork) -> bool {
    Family::of_network(one) == Family::of_network(other) && (one.contains(other.ip()) || other.contains(one.ip()))
}

/// Subnets in use by networks of this host.
#[derive(Debug, Clone, Default)]
pub struct AddressSpace {
    ipv4: FamilySpace,
    ipv6: FamilySpace,
}

#[derive(Debug, Clone, Default)]
struct FamilySpace {
    occupied: IntervalSet,
    /// By its first address: the subnet and the network that has it. Subnets in use are disjoint.
    subnets: BTreeMap<u128, (IpNetwork, NetworkName)>,
}

impl AddressSpace {
    /// Chooses a subnet; nothing is taken yet. A subnet named by the caller may overlap routes of the host, a chosen
    /// one doesn't.
    ///
    /// # Errors
    /// When the subnet overlaps another network's (named), or none is free.
    pub fn choose(
        &self,
        request: SubnetRequest,
        pools: &DefaultPools,
        host_routes: &[IpNetwork],
    ) -> Result<IpNetwork, Error> {
        let family = request.family();
        let length = match request {
            SubnetRequest::Exact(subnet) => return self.check(subnet),
            SubnetRequest::OfLength { prefix_length, .. } => Some(prefix_length),
            SubnetRequest::Any(_) => None,
        };
        let routes = obstacles(family, host_routes);
        pools
            .0
            .iter()
            .filter(|pool| Family::of_network(pool.base) == family)
            .filter_map(|pool| {
                let size = length.unwrap_or(pool.size);
                (size >= pool.base.prefix()).then(|| self.family(family).first_free(pool.base, size, &routes))?
            })
            .next()
            .ok_or_else(|| {
                let wanted = length.map_or_else(String::new, |length| format!(" /{length}"));
                Error::new(
                    Kind::Conflict,
                    format!(
                        "all predefined address pools have been fully subnetted: no{wanted} subnet is left that is free \
                         of other networks and of the host's routes; remove networks or name a subnet"
                    ),
                )
            })
    }

    /// Whether a network could have this subnet.
    fn check(&self, subnet: IpNetwork) -> Result<IpNetwork, Error> {
        let space = self.family(Family::of_network(subnet));
        let (first, last) = bounds(subnet);
        let neighbour = space.subnets.range(..=last).next_back();
        if let Some((_, (taken, network))) = neighbour.filter(|(_, (taken, _))| bounds(*taken).1 >= first) {
            return Err(Error::new(
                Kind::Forbidden,
                format!(
                    "invalid pool request: Pool overlaps with other one on this address space: {subnet} overlaps \
                     {taken} of network {network}"
                ),
            ));
        }
        Ok(subnet)
    }

    /// Whether a subnet is free of networks and of the host's routes.
    pub fn is_free(&self, subnet: IpNetwork, host_routes: &[IpNetwork]) -> bool {
        let (first, last) = bounds(subnet);
        let routes = obstacles(Family::of_network(subnet), host_routes);
        self.check(subnet).is_ok() && routes.overlapping(first, last).is_none()
    }

    /// Takes a subnet for a network.
    pub fn take(&mut self, subnet: IpNetwork, network: &NetworkName) {
        let (first, last) = bounds(subnet);
        let space = self.family_mut(Family::of_network(subnet));
        space.occupied.insert(first, last);
        space.subnets.insert(first, (subnet, network.clone()));
    }

    /// Gives a subnet back.
    pub fn release(&mut self, subnet: IpNetwork) {
        let (first, last) = bounds(subnet);
        let space = self.family_mut(Family::of_network(subnet));
        space.occupied.remove(first, last);
        space.subnets.remove(&first);
    }

    const fn family(&self, family: Family) -> &FamilySpace {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    const fn family_mut(&mut self, family: Family) -> &mut FamilySpace {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}

impl FamilySpace {
    /// The first subnet of a size in a range that overlaps neither what is in use nor the routes.
    fn first_free(&self, base: IpNetwork, size: u8, routes: &IntervalSet) -> Option<IpNetwork> {
        let family = Family::of_network(base);
        let step = 1u128 << (family.bits() - size);
        let (mut candidate, end) = bounds(base);
        while candidate <= end {
            let last = candidate + (step - 1);
            let obstacle = self.occupied.overlapping(candidate, last).or_else(|| routes.overlapping(candidate, last));
            let Some((_, occupied_to)) = obstacle else {
                return IpNetwork::new(address(family, candidate), size).ok();
            };
            candidate = (occupied_to / step).checked_add(1)?.checked_mul(step)?;
        }
        None
    }
}

/// The routes that subnets are chosen around. Very short prefixes are a default route in pieces (a VPN's 0.0.0.0/1 and
/// 128.0.0.0/1, IPv6's 2000::/3), which leave nothing free and collide with nothing.
fn obstacles(family: Family, host_routes: &[IpNetwork]) -> IntervalSet {
    let shortest = match family {
        Family::Ipv4 => 8,
        Family::Ipv6 => 7,
    };
    let mut routes = IntervalSet::default();
    for route in host_routes.iter().filter(|route| Family::of_network(**route) == family && route.prefix() >= shortest)
    {
        let (first, last) = bounds(*route);
        routes.insert(first, last);
    }
    routes
}

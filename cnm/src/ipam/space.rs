//! Which subnets are in use on this host, and the choice of free ones from the default pools.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{Error, id::NetworkName, spec::SubnetRequest};

/// A range that subnets are cut from when the caller names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    pub fn new(_pools: Vec<DefaultPool>) -> Result<Self, Error> {
        todo!()
    }
}

/// Subnets in use by networks of this host.
#[derive(Debug, Clone, Default)]
pub struct AddressSpace {}

impl AddressSpace {
    /// Chooses a subnet; nothing is taken yet. Subnets named by the caller may overlap routes of the host, chosen ones
    /// don't.
    ///
    /// # Errors
    /// When the subnet overlaps another network's (named), or none is free.
    pub fn choose(
        &self,
        _request: SubnetRequest,
        _pools: &DefaultPools,
        _host_routes: &[IpNetwork],
    ) -> Result<IpNetwork, Error> {
        todo!()
    }

    /// Takes a subnet for a network.
    pub fn take(&mut self, _subnet: IpNetwork, _network: &NetworkName) {
        todo!()
    }

    /// Gives a subnet back.
    pub fn release(&mut self, _subnet: IpNetwork) {
        todo!()
    }
}

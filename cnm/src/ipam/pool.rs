//! An address pool of a network, everything chosen.

use std::{collections::BTreeMap, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{Error, api, spec::PoolSpec};

/// An address pool of a network, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// All of its addresses.
    pub subnet: IpNetwork,
    /// The part that addresses are chosen from; all of the subnet when absent.
    pub ip_range: Option<IpNetwork>,
    /// The gateway's address.
    pub gateway: IpAddr,
    /// Addresses that are never handed out, by a name for each.
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

impl Pool {
    /// The pool that was asked for, in the subnet that was chosen for it.
    ///
    /// # Errors
    /// When nothing is left for a gateway, or what was asked for isn't in the subnet.
    pub fn choose(_subnet: IpNetwork, _spec: &PoolSpec) -> Result<Self, Error> {
        todo!()
    }

    /// As the API shows it.
    pub fn to_api(&self) -> api::PoolConfig {
        todo!()
    }
}

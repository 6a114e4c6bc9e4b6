//! Networks as stored, everything chosen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    api,
    driver::DriverConfig,
    id::{LinkName, NetworkId},
    ipam::Pool,
    lifecycle::Lifecycle,
    spec::NetworkSpec,
};

/// A network, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its id.
    pub id: NetworkId,
    /// What was asked for.
    pub spec: NetworkSpec,
    /// When it was made.
    pub created: Timestamp,
    /// `bridge`, `host` and `none` are there from the start and can't be removed.
    pub predefined: bool,
    /// Its address pools, at most one a family; none on `host` and `null` networks.
    pub pools: Vec<Pool>,
    /// What its driver made of the options.
    pub config: DriverConfig,
    /// How far it is.
    pub lifecycle: Lifecycle,
}

impl Network {
    /// The bridge on the host, for a network that has one.
    pub const fn link(&self) -> Option<&LinkName> {
        match &self.config {
            DriverConfig::Bridge(bridge) => Some(&bridge.name),
            DriverConfig::Host | DriverConfig::Null => None,
        }
    }

    /// The MTU of its links, for a network that has links.
    pub const fn mtu_bytes(&self) -> Option<u32> {
        match &self.config {
            DriverConfig::Bridge(bridge) => Some(bridge.mtu_bytes),
            DriverConfig::Host | DriverConfig::Null => None,
        }
    }

    /// As the API shows it, with the endpoints given.
    pub fn to_api(&self, endpoints: Vec<api::NetworkEndpoint>) -> api::Network {
        api::Network {
            id: self.id.to_string(),
            name: self.spec.name.to_string(),
            driver: self.spec.driver.to_string(),
            scope: "local".to_owned(),
            created: self.created,
            internal: self.spec.internal,
            ipv4: self.spec.ipv4,
            ipv6: self.spec.ipv6,
            pools: self.pools.iter().map(Pool::to_api).collect(),
            options: self.spec.options.clone(),
            labels: self.spec.labels.clone(),
            predefined: self.predefined,
            link: self.link().map(ToString::to_string),
            mtu_bytes: self.mtu_bytes(),
            endpoints,
        }
    }
}

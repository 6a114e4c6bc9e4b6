//! Networks as stored, everything chosen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    api,
    driver::DriverConfig,
    firewall::GatewayMode,
    grant::NetworkGrant,
    id::{LinkName, NetworkId},
    ipam::Pool,
    lifecycle::Lifecycle,
    spec::{Family, NetworkSpec},
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
    /// What others gave for it, where its driver asks them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<NetworkGrant>,
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
            pools: self.pools.iter().map(|pool| self.show_pool(pool)).collect(),
            options: self.spec.options.clone(),
            labels: self.spec.labels.clone(),
            predefined: self.predefined,
            link: self.link().map(ToString::to_string),
            mtu_bytes: self.mtu_bytes(),
            endpoints,
        }
    }

    /// A gateway that nobody named and that the bridge doesn't have, as in gateway mode `isolated`, isn't shown.
    fn show_pool(&self, pool: &Pool) -> api::Pool {
        let family = Family::of_network(pool.subnet);
        let is_isolated = self.config.gateway_mode(family) == Some(GatewayMode::Isolated);
        let is_named = self.spec.pools.iter().any(|asked| asked.gateway == Some(pool.gateway));
        let shown = pool.to_api();
        if is_isolated && !is_named { api::Pool { gateway: None, ..shown } } else { shown }
    }
}

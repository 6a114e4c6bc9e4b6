//! Drivers `host` and `null`: sandboxes live in the host's own network namespace, or in one with nothing but a loopback
//! link. There is one network of each and nothing to plan; everything about links and addresses is refused.

use cnm::{
    Error,
    driver::{DriverConfig, DriverTraits, HostView, NewEndpoint, Planner},
    endpoint::{Endpoint, Interface},
    id::NetworkId,
    ipam::Pool,
    network::Network,
    ports::PublishedPort,
    resource::{NamespaceAt, Resources},
    spec::{EndpointSpec, NetworkSpec},
};

use crate::options::{OPTIONS_OF_ENDPOINTS, unknown};

/// The planner of a driver without links: `host` or `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinklessPlanner {
    /// Of driver `host`.
    Host,
    /// Of driver `null`.
    Null,
}

impl Planner for LinklessPlanner {
    fn name(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Null => "null",
        }
    }

    fn traits(&self) -> DriverTraits {
        DriverTraits { addresses: false, single_instance: true, host_namespace: *self == Self::Host }
    }

    fn configure(
        &self,
        _id: &NetworkId,
        spec: &NetworkSpec,
        _pools: &[Pool],
        _host: &HostView,
    ) -> Result<DriverConfig, Error> {
        let driver = self.name();
        spec.options.keys().try_for_each(|option| unknown(driver, "com.docker.network.", option))?;
        if spec.internal {
            return Err(Error::invalid(format!(
                "network {} can't be internal: driver {driver} has no gateway",
                spec.name
            )));
        }
        Ok(match self {
            Self::Host => DriverConfig::Host,
            Self::Null => DriverConfig::Null,
        })
    }

    fn check_endpoint(&self, network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
        let (driver, name) = (self.name(), &network.spec.name);
        spec.options.keys().try_for_each(|option| unknown(driver, OPTIONS_OF_ENDPOINTS, option))?;
        let what = if spec.ipv4.is_some() || spec.ipv6.is_some() {
            "an IP address"
        } else if spec.mac.is_some() {
            "a MAC address"
        } else if spec.interface.is_some() {
            "an interface name"
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!("an endpoint on network {name} can't have {what}: driver {driver} makes no link")))
    }

    fn attach(&self, _network: &Network, _endpoint: NewEndpoint<'_>) -> Option<Interface> {
        None
    }

    fn network(&self, _network: &Network) -> Resources {
        Resources::new()
    }

    fn endpoint(&self, _network: &Network, _namespace: &NamespaceAt, _endpoint: &Endpoint) -> Resources {
        Resources::new()
    }

    fn published_ports(&self, _network: &Network, _endpoint: &Endpoint, _ports: &[PublishedPort]) -> Resources {
        Resources::new()
    }

    fn loopback_publishing(&self, _network: &Network) -> Resources {
        Resources::new()
    }
}

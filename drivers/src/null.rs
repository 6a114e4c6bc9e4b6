//! Driver `null`: sandboxes have a namespace with nothing but a loopback link. There is one such network, and nothing to
//! plan.

use std::collections::BTreeSet;

use cnm::{
    Error,
    driver::{Attaching, DriverConfig, DriverTraits, HostView, Planner},
    endpoint::{Endpoint, Interface},
    firewall::Element,
    id::NetworkId,
    ipam::Pool,
    network::Network,
    op::{NamespaceAt, Plan},
    ports::PublishedPort,
    spec::{EndpointSpec, NetworkSpec},
};

use crate::bare;

/// The planner of driver `null`.
#[derive(Debug, Clone, Copy)]
pub struct NullPlanner;

impl Planner for NullPlanner {
    fn name(&self) -> &'static str {
        "null"
    }

    fn traits(&self) -> DriverTraits {
        DriverTraits { addresses: false, single_instance: true, host_namespace: false }
    }

    fn configure(
        &self,
        _id: &NetworkId,
        spec: &NetworkSpec,
        _pools: &[Pool],
        _host: &HostView,
    ) -> Result<DriverConfig, Error> {
        bare::check_network(self.name(), spec)?;
        Ok(DriverConfig::Null)
    }

    fn check_endpoint(&self, network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
        bare::check_endpoint(self.name(), network, spec)
    }

    fn attach(&self, _network: &Network, _endpoint: Attaching<'_>, _host: &HostView) -> Option<Interface> {
        None
    }

    fn plan_network(&self, _network: &Network) -> Plan {
        Plan::default()
    }

    fn plan_endpoint(&self, _network: &Network, _namespace: &NamespaceAt, _endpoint: &Endpoint) -> Plan {
        Plan::default()
    }

    fn port_elements(&self, _network: &Network, _endpoint: &Endpoint, _ports: &[PublishedPort]) -> BTreeSet<Element> {
        BTreeSet::new()
    }

    fn plan_loopback_publishing(&self, _network: &Network) -> Plan {
        Plan::default()
    }
}

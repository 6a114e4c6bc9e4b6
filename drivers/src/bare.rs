//! What drivers without links have in common: everything about links and addresses is refused.

use cnm::{
    Error,
    network::Network,
    spec::{EndpointSpec, NetworkSpec},
};

use crate::options::unknown;

pub(crate) fn check_network(driver: &str, spec: &NetworkSpec) -> Result<(), Error> {
    if let Some(option) = spec.options.keys().next() {
        return Err(unknown(driver, option));
    }
    if spec.internal {
        return Err(Error::invalid(format!("network {} can't be internal: driver {driver} has no gateway", spec.name)));
    }
    Ok(())
}

pub(crate) fn check_endpoint(driver: &str, network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
    let name = &network.spec.name;
    if let Some(option) = spec.options.keys().next() {
        return Err(unknown(driver, option));
    }
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

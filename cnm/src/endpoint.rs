//! Endpoints as stored: the attachment of one sandbox to one network, everything chosen.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::{
    api,
    grant::EndpointGrant,
    id::{EndpointId, LinkName, MacAddress, NetworkId, NetworkName},
    spec::{EndpointSpec, Family},
};

/// An endpoint, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its network.
    pub network: NetworkId,
    /// Its network's name.
    pub network_name: NetworkName,
    /// What was asked for.
    pub spec: EndpointSpec,
    /// What it is in the sandbox.
    pub attachment: Attachment,
    /// What others gave for it, where its network's driver asks them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<EndpointGrant>,
}

/// What an endpoint is in its sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attachment {
    /// Nothing: on `host` and `null` networks.
    Bare,
    /// A link of its own.
    Link(Interface),
}

/// The link of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The end on the host.
    pub host_end: LinkName,
    /// Its name in the sandbox.
    pub name: LinkName,
    /// Its MAC address.
    pub mac: MacAddress,
    /// Its addresses, at most one a family.
    pub addresses: Vec<Address>,
    /// See [`crate::resource::VethPair::isolated`].
    pub isolated: bool,
}

/// An address of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address with the length of the subnet's prefix.
    pub address: IpNetwork,
    /// The next hop that a default route through this endpoint has; none on internal networks.
    pub gateway: Option<IpAddr>,
    /// Whether the caller asked for just this one.
    pub fixed: bool,
}

impl Endpoint {
    /// Its link, where it has one.
    pub const fn interface(&self) -> Option<&Interface> {
        match &self.attachment {
            Attachment::Bare => None,
            Attachment::Link(interface) => Some(interface),
        }
    }

    /// Its address of a family.
    pub fn address(&self, family: Family) -> Option<&Address> {
        self.interface()?.addresses.iter().find(|address| Family::of_network(address.address) == family)
    }

    /// Whether it has all that a request for an endpoint on its network names; what the request leaves open is as it is.
    pub fn has_all_of(&self, wanted: &EndpointSpec) -> bool {
        let Some(interface) = self.interface() else { return true };
        let has = |wanted: Option<IpAddr>, family| {
            wanted.is_none_or(|wanted| self.address(family).is_some_and(|address| address.address.ip() == wanted))
        };
        wanted.options == self.spec.options
            && wanted.interface.as_ref().is_none_or(|name| *name == interface.name)
            && wanted.mac.is_none_or(|mac| mac == interface.mac)
            && has(wanted.ipv4.map(IpAddr::from), Family::Ipv4)
            && has(wanted.ipv6.map(IpAddr::from), Family::Ipv6)
    }

    /// The same endpoint under another request for it, all of which it has.
    #[must_use]
    pub fn asked_for_as(&self, wanted: &EndpointSpec) -> Self {
        let mut endpoint = self.clone();
        if let Attachment::Link(interface) = &mut endpoint.attachment {
            for address in &mut interface.addresses {
                address.fixed = match Family::of_network(address.address) {
                    Family::Ipv4 => wanted.ipv4.is_some(),
                    Family::Ipv6 => wanted.ipv6.is_some(),
                };
            }
        }
        endpoint.spec = wanted.clone();
        endpoint
    }

    /// Whether another is the same in the sandbox: the same link with the same addresses, whether or not they were asked for.
    pub fn is_attached_as(&self, other: &Self) -> bool {
        let attachment = |endpoint: &Self| {
            let mut attachment = endpoint.attachment.clone();
            if let Attachment::Link(interface) = &mut attachment {
                interface.addresses.iter_mut().for_each(|address| address.fixed = false);
            }
            attachment
        };
        attachment(self) == attachment(other)
    }

    /// As the API shows it, given whether it is its sandbox's gateway for each family.
    pub fn to_api(&self, is_gateway_ipv4: bool, is_gateway_ipv6: bool) -> api::Endpoint {
        let interface = self.interface();
        api::Endpoint {
            id: self.id.to_string(),
            network: self.network.to_string(),
            network_name: self.network_name.to_string(),
            interface: interface.map(|interface| interface.name.to_string()),
            mac: interface.map(|interface| interface.mac.to_string()),
            addresses: interface
                .map_or_else(Vec::new, |interface| interface.addresses.iter().copied().map(Address::to_api).collect()),
            aliases: self.spec.aliases.clone(),
            gateway_priority: self.spec.gateway_priority,
            is_gateway_ipv4,
            is_gateway_ipv6,
            options: self.spec.options.clone(),
        }
    }
}

impl Address {
    fn to_api(self) -> api::EndpointAddress {
        let Self { address, gateway, fixed } = self;
        api::EndpointAddress { address, gateway, fixed }
    }
}

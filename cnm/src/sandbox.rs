//! Sandboxes as stored, everything chosen, and which of their endpoints is the default gateway.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::{
    api,
    endpoint::Endpoint,
    id::{EndpointId, SandboxId},
    lifecycle::Lifecycle,
    ports::PublishedPort,
    resource::NamespaceAt,
    spec::{Family, NamespaceSpec, SandboxSpec},
};

/// A sandbox, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// What its owner wants it to be; its id and owner are what it is known by.
    pub spec: SandboxSpec,
    /// Its attachments in the order of their interfaces.
    pub endpoints: Vec<Endpoint>,
    /// Its published ports, every port chosen; none while no endpoint is the default gateway.
    pub ports: Vec<PublishedPort>,
    /// How far it is.
    pub lifecycle: Lifecycle,
    /// What it is to become: *Reserved* while that is being applied, *PartlyTorn* when it failed and could not be taken
    /// back. Until that is over the sandbox has what it had, and holds what it is to have as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Box<Self>>,
}

/// The endpoints that a sandbox's default routes go out by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gateways<'a> {
    /// For IPv4.
    pub ipv4: Option<&'a Endpoint>,
    /// For IPv6.
    pub ipv6: Option<&'a Endpoint>,
}

impl<'a> Gateways<'a> {
    /// For a family.
    pub const fn of(self, family: Family) -> Option<&'a Endpoint> {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }
}

impl Sandbox {
    /// Its id.
    pub const fn id(&self) -> &SandboxId {
        &self.spec.id
    }

    /// Where its links live.
    pub fn namespace(&self) -> NamespaceAt {
        match &self.spec.namespace {
            NamespaceSpec::New => NamespaceAt::Pinned(self.spec.id.clone()),
            NamespaceSpec::Path(path) => NamespaceAt::Path(path.clone()),
            NamespaceSpec::Host => NamespaceAt::Host,
        }
    }

    /// Its endpoint with that id.
    pub fn endpoint(&self, id: &EndpointId) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.id == *id)
    }

    /// Its endpoints and those that it is to have.
    pub fn all_endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let coming = self.change.iter().flat_map(|change| &change.endpoints);
        self.endpoints.iter().chain(coming.filter(|endpoint| self.endpoint(&endpoint.id).is_none()))
    }

    /// The endpoints that the default routes go out by. The highest gateway priority goes first, then who has both families,
    /// then the network's name.
    pub fn gateways(&self) -> Gateways<'_> {
        let mut candidates: Vec<&Endpoint> = self.endpoints.iter().collect();
        candidates.sort_by_key(|endpoint| {
            let families =
                usize::from(has_gateway(endpoint, Family::Ipv4)) + usize::from(has_gateway(endpoint, Family::Ipv6));
            (Reverse(endpoint.spec.gateway_priority), Reverse(families), endpoint.network_name.clone())
        });
        let first = |family| candidates.iter().find(|endpoint| has_gateway(endpoint, family)).copied();
        Gateways { ipv4: first(Family::Ipv4), ipv6: first(Family::Ipv6) }
    }

    /// As the API shows it, with the path of its namespace.
    pub fn to_api(&self, namespace_path: Option<String>) -> api::Sandbox {
        let gateways = self.gateways();
        let is = |gateway: Option<&Endpoint>, endpoint: &Endpoint| gateway.is_some_and(|way| way.id == endpoint.id);
        api::Sandbox {
            id: self.spec.id.to_string(),
            owner: self.spec.owner.to_string(),
            name: self.spec.name.clone(),
            labels: self.spec.labels.clone(),
            namespace: namespace_path,
            endpoints: self
                .endpoints
                .iter()
                .map(|endpoint| endpoint.to_api(is(gateways.ipv4, endpoint), is(gateways.ipv6, endpoint)))
                .collect(),
            ports: self.ports.iter().map(PublishedPort::to_api).collect(),
            state: self.lifecycle.to_api(),
        }
    }
}

/// Endpoints on internal networks have addresses and no gateway.
fn has_gateway(endpoint: &Endpoint, family: Family) -> bool {
    endpoint.address(family).is_some_and(|address| address.gateway.is_some())
}

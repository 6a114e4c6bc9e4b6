//! Sandboxes as stored, everything chosen, and which of their endpoints is the way out.

use serde::{Deserialize, Serialize};

use crate::{
    api,
    endpoint::Endpoint,
    id::{EndpointId, SandboxId},
    lifecycle::Lifecycle,
    op::NamespaceAt,
    ports::PublishedPort,
    spec::{Family, NamespaceSpec, SandboxSpec},
};

/// A sandbox, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// What was asked for; endpoints connected later aren't in it.
    pub spec: SandboxSpec,
    /// Its attachments in the order of their interfaces.
    pub endpoints: Vec<Endpoint>,
    /// Its published ports, every port chosen.
    pub ports: Vec<PublishedPort>,
    /// How far it is.
    pub lifecycle: Lifecycle,
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
}

/// The endpoints that a sandbox's default routes go out by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gateways<'a> {
    /// For IPv4.
    pub ipv4: Option<&'a Endpoint>,
    /// For IPv6.
    pub ipv6: Option<&'a Endpoint>,
}

impl Sandbox {
    /// The endpoints that the default routes go out by.
    pub fn gateways(&self) -> Gateways<'_> {
        todo!()
    }

    /// As the API shows it, with the path of its namespace.
    pub fn to_api(&self, _namespace_path: Option<String>) -> api::Sandbox {
        todo!()
    }
}

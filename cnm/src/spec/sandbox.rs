//! A sandbox as asked for.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{EndpointSpec, PortSpec, network::check_labels};
use crate::{
    Error,
    api::{NamespaceRequest, SandboxPut},
    id::{OwnerName, SandboxId},
};

/// A sandbox with its endpoints and ports as asked for. Equal specs make a repeated request the same request; of the same id
/// and owner another spec is a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// The caller's id.
    pub id: SandboxId,
    /// Who claims it.
    pub owner: OwnerName,
    /// Its name for people; the id where the caller gave none.
    pub name: String,
    /// The owner's labels.
    pub labels: BTreeMap<String, String>,
    /// Where its links live.
    pub namespace: NamespaceSpec,
    /// Attachments in the order of their interfaces.
    pub endpoints: Vec<EndpointSpec>,
    /// Published ports.
    pub ports: Vec<PortSpec>,
}

/// The network namespace of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceSpec {
    /// One of ours.
    New,
    /// Somebody else's, by absolute path.
    Path(String),
    /// The host's own.
    Host,
}

impl SandboxSpec {
    /// The sandbox that `PUT /v1/sandboxes/{id}` asks for.
    ///
    /// # Errors
    /// When a value of it is wrong in itself or its values contradict each other.
    pub fn parse(id: &str, wire: SandboxPut) -> Result<Self, Error> {
        let id: SandboxId = id.parse()?;
        let endpoints: Vec<EndpointSpec> =
            wire.endpoints.into_iter().map(EndpointSpec::try_from).collect::<Result<_, _>>()?;
        for (index, endpoint) in endpoints.iter().enumerate() {
            let earlier = &endpoints[..index];
            if earlier.iter().any(|other| other.network == endpoint.network) {
                return Err(Error::invalid(format!("network {} is named twice", endpoint.network)));
            }
            if let Some(name) = &endpoint.interface
                && earlier.iter().any(|other| other.interface.as_ref() == Some(name))
            {
                return Err(Error::invalid(format!("interface name {name} is given to two endpoints")));
            }
        }
        let ports: Vec<PortSpec> = wire.ports.into_iter().map(PortSpec::try_from).collect::<Result<_, _>>()?;
        check_labels(&wire.labels)?;
        Ok(Self {
            owner: wire.owner.parse()?,
            name: parse_name(&id, wire.name)?,
            labels: wire.labels,
            namespace: NamespaceSpec::parse(wire.namespace, &endpoints, &ports)?,
            endpoints,
            ports,
            id,
        })
    }
}

impl fmt::Display for NamespaceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("a network namespace of its own"),
            Self::Path(path) => write!(f, "network namespace {path}"),
            Self::Host => f.write_str("the host's network namespace"),
        }
    }
}

fn parse_name(id: &SandboxId, name: String) -> Result<String, Error> {
    if name.is_empty() {
        return Ok(id.to_string());
    }
    if name.len() > 255 || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "invalid sandbox name {name:?}: at most 255 characters, none of them control characters, are expected"
        )));
    }
    Ok(name)
}

impl NamespaceSpec {
    fn parse(wire: NamespaceRequest, endpoints: &[EndpointSpec], ports: &[PortSpec]) -> Result<Self, Error> {
        match wire {
            NamespaceRequest::New => Ok(Self::New),
            NamespaceRequest::Path(path) => {
                if !path.starts_with('/') || path.contains('\0') {
                    return Err(Error::invalid(format!(
                        "invalid network namespace {path:?}: an absolute path is expected"
                    )));
                }
                Ok(Self::Path(path))
            }
            NamespaceRequest::Host => {
                if endpoints.len() != 1 {
                    return Err(Error::invalid(
                        "a sandbox in the host's network namespace has exactly one endpoint, on network host",
                    ));
                }
                if !ports.is_empty() {
                    return Err(Error::invalid(
                        "a sandbox in the host's network namespace can't publish ports: its programs listen on the \
                         host itself",
                    ));
                }
                Ok(Self::Host)
            }
        }
    }
}

//! A sandbox as asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EndpointSpec, PortSpec};
use crate::{
    Error,
    api::{NamespaceRequest, SandboxPut},
    id::{OwnerName, SandboxId},
};

/// A sandbox with its endpoints and ports as asked for. Equal specs make a repeated request the same request.
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
    pub fn parse(_id: &str, _wire: SandboxPut) -> Result<Self, Error> {
        todo!()
    }
}

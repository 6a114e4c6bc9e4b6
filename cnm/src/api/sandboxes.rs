//! Sandboxes on the wire, with their endpoints and ports.

use std::{collections::BTreeMap, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `PUT /v1/sandboxes/{id}`: a sandbox with all its endpoints and published ports, made at once or not at all.
///
/// The id is the caller's. The same request again answers with the sandbox that is there; another one has it become what it
/// says: endpoints, ports, labels and name may differ, the owner and the namespace can't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxPut {
    /// Who claims it when asked.
    pub owner: String,
    /// A name for people: a refusal to remove a network says it.
    #[serde(default)]
    pub name: String,
    /// Labels of the owner's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where its links live.
    #[serde(default)]
    pub namespace: NamespaceRequest,
    /// Attachments, in the order of their interfaces (`eth0`, `eth1`, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointRequest>,
    /// Published ports, carried by the endpoint that has the default gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRequest>,
}

/// The network namespace of a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NamespaceRequest {
    /// netd makes one and pins it; the reply names its path.
    #[default]
    New,
    /// One that somebody else made and keeps, by path.
    Path(String),
    /// The host's own: only for a sandbox whose one endpoint is on a `host` network.
    Host,
}

/// An endpoint to make: `POST /v1/sandboxes/{id}/endpoints`, and inside [`SandboxPut`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointRequest {
    /// The network, by id, name or unique prefix of its id.
    pub network: String,
    /// The interface's name inside; `ethN` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// A fixed IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<String>,
    /// A fixed IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<String>,
    /// A fixed MAC address; derived from the IP address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// More names for it on this network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The endpoint with the highest provides the default gateway.
    #[serde(default)]
    pub gateway_priority: i32,
    /// Endpoint options by Docker's label names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Ports to publish. A container range maps one to one onto a host range of its length; one container port with a
/// longer host range takes the first free port of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortRequest {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The host's address; all of them, IPv4 and IPv6, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
    /// The host's ports; free ones of the ephemeral range when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ports: Option<PortRange>,
    /// The container's ports.
    pub container_ports: PortRange,
}

/// Ports `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// At least 1.
    pub first: u16,
    /// At least `first`.
    pub last: u16,
}

/// A sandbox as it is: reply of `PUT` and `GET /v1/sandboxes/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sandbox {
    /// The caller's id for it.
    pub id: String,
    /// Who claims it.
    pub owner: String,
    /// Its name for people.
    pub name: String,
    /// Labels as they were given.
    pub labels: BTreeMap<String, String>,
    /// Path of its network namespace; absent for the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its attachments, in the order of their interfaces.
    pub endpoints: Vec<Endpoint>,
    /// Its published ports, every port chosen.
    pub ports: Vec<PublishedPort>,
    /// How far it is.
    pub state: SandboxState,
}

/// Reply of `GET /v1/sandboxes/{id}/check`: one sandbox against what the kernel holds. All lists are empty when it is as it
/// should be. What is made in the kernel is written as the step of a plan that makes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SandboxCheck {
    /// What should be there and isn't.
    pub missing: Vec<String>,
    /// What is there, and otherwise than it should be.
    pub different: Vec<Difference>,
    /// What is there of a change that failed and is still to be taken back.
    pub superfluous: Vec<String>,
    /// Published ports that netd doesn't hold: another program of the host may have them.
    pub not_held: Vec<String>,
}

/// Something that is otherwise than it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// As it should be.
    pub wanted: String,
    /// As it is.
    pub found: String,
}

/// How far a sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxState {
    /// Its addresses and ports are held; the kernel is being told.
    Reserved,
    /// It is in place.
    Programmed,
    /// Taking it down stopped half-way; netd resumes it.
    PartlyTorn,
    /// A state that only a newer netd knows.
    #[serde(other)]
    Unknown,
}

/// An attachment of a sandbox to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The network's id.
    pub network: String,
    /// The network's name.
    pub network_name: String,
    /// The interface inside the sandbox; absent on `host` and `null` networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Its MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its addresses, at most one a family.
    pub addresses: Vec<EndpointAddress>,
    /// More names for it on this network.
    pub aliases: Vec<String>,
    /// See [`EndpointRequest::gateway_priority`].
    pub gateway_priority: i32,
    /// Whether the sandbox's default IPv4 route goes out here.
    pub is_gateway_ipv4: bool,
    /// Whether the sandbox's default IPv6 route goes out here.
    pub is_gateway_ipv6: bool,
    /// Endpoint options as they were given.
    pub options: BTreeMap<String, String>,
}

/// An address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndpointAddress {
    /// Address and prefix length, as in `172.17.0.2/16`.
    #[schema(value_type = String)]
    pub address: IpNetwork,
    /// The network's gateway of that family, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub gateway: Option<IpAddr>,
    /// Whether the caller asked for just this address.
    pub fixed: bool,
}

/// Ports that reach a sandbox: host port `host_first + i` goes to container port `container_first + i`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct PublishedPort {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `0.0.0.0` and `::` stand for every address of their family.
    #[schema(value_type = String)]
    pub host_ip: IpAddr,
    /// The first port on the host.
    pub host_first: u16,
    /// The first port in the container.
    pub container_first: u16,
    /// How many ports, at least 1.
    pub count: u16,
}

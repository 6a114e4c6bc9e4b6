//! The wire types of netd's API, version 1: what crosses `/run/berth/netd.sock` as JSON.
//!
//! Request types mirror the wire and check nothing; the validated types behind them are made with `TryFrom`, so that
//! a refusal names the value and says what to do. Unknown fields are refused: nothing is accepted and ignored.
//!
//! Reply types hold values, not text that would have to be read again, and pass over what a newer netd adds: fields that they
//! don't have, and kinds of things that they don't know.

use std::{collections::BTreeMap, net::IpAddr};

use ipnetwork::IpNetwork;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Kind;

/// The version in every path of the API, and in [`Handshake::api`].
pub const API_VERSION: u32 = 1;

/// The header that carries the id of a user's request from the engine through netd into the logs: 1 to 64 letters,
/// digits, `-` and `_`. netd sends it back.
pub const TRACE_HEADER: &str = "x-trace-id";

/// The header that says until when a call may be begun, as a timestamp (RFC 3339). netd begins none whose time has passed:
/// whoever asked has given it up, and may have asked for something else since.
pub const BEGIN_BY_HEADER: &str = "x-begin-by";

/// What this release's netd can do beyond the first of version 1, by [`Handshake::features`].
pub const FEATURES: [&str; 5] = [
    feature::BEGIN_BY,
    feature::OWNED_CHANGES,
    feature::DESIRED_STATE,
    feature::SANDBOX_CHECK,
    feature::LOST_NAMESPACES,
];

/// Names of features.
pub mod feature {
    /// Calls with a [`BEGIN_BY_HEADER`](super::BEGIN_BY_HEADER) aren't begun later.
    pub const BEGIN_BY: &str = "begin-by";
    /// Whoever changes or removes a sandbox names its owner, and nobody else's is touched.
    pub const OWNED_CHANGES: &str = "owned-changes";
    /// A `PUT` of a sandbox that is there changes it.
    pub const DESIRED_STATE: &str = "desired-state";
    /// A sandbox can be compared with the kernel.
    pub const SANDBOX_CHECK: &str = "sandbox-check";
    /// A claim tells of namespaces that nobody keeps, see [`ClaimReply::lost`](super::ClaimReply::lost), and owners can say
    /// where they are.
    pub const LOST_NAMESPACES: &str = "lost-namespaces";
}

/// Reply of `GET /v1/version`: who is on the other side of the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Handshake {
    /// The version of this API; a client refuses one that it doesn't know.
    pub api: u32,
    /// berth's release.
    pub version: String,
    /// Drawn anew each time netd starts: a client that sees it change reconciles its sandboxes.
    pub instance: String,
    /// The newest event's revision.
    pub revision: u64,
    /// What this netd can do beyond the first of this version of the API: see [`feature`].
    #[serde(default)]
    pub features: Vec<String>,
}

impl Handshake {
    /// Those of some features that this netd doesn't have.
    pub fn lacks<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        wanted.iter().copied().filter(|wanted| !self.features.iter().any(|has| has == wanted)).collect()
    }
}

/// Every reply whose status isn't 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorReply {
    /// What to make of it; the HTTP status says the same.
    pub kind: Kind,
    /// One sentence for the user, then the causes, outermost first, separated by `: `.
    pub message: String,
}

/// `POST /v1/networks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkCreate {
    /// Docker's grammar: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`.
    pub name: String,
    /// `bridge` (when absent), `host` or `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// No way in or out of the network but from this host.
    #[serde(default)]
    pub internal: bool,
    /// IPv4 addressing; on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<bool>,
    /// IPv6 addressing; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// Address pools asked for, at most one a family; what is absent is chosen from the default pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolConfig>,
    /// Driver options by Docker's label names (`com.docker.network.bridge.name`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Labels of the user's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One address pool of a network, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// CIDR, as in `172.20.0.0/16`. `0.0.0.0/24` asks for any /24 of the default pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// The part of the subnet that containers' addresses are chosen from (CIDR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    /// The bridge's own address; the subnet's first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Addresses that are never handed out, by a name for each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, String>,
}

/// One address pool of a network as it is, everything chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pool {
    /// All of its addresses.
    #[schema(value_type = String)]
    pub subnet: IpNetwork,
    /// See [`PoolConfig::ip_range`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ip_range: Option<IpNetwork>,
    /// The bridge's own address; absent where the bridge has none and nobody named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub gateway: Option<IpAddr>,
    /// See [`PoolConfig::aux_addresses`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub aux_addresses: BTreeMap<String, IpAddr>,
}

/// A network as it is: reply of `POST /v1/networks`, `GET /v1/networks` (without endpoints) and
/// `GET /v1/networks/{id or name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique on this host.
    pub name: String,
    /// `bridge`, `host` or `null`.
    pub driver: String,
    /// `local`: known on this host only.
    pub scope: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// See [`NetworkCreate::internal`].
    pub internal: bool,
    /// Whether endpoints get IPv4 addresses.
    pub ipv4: bool,
    /// Whether endpoints get IPv6 addresses.
    pub ipv6: bool,
    /// The pools in use, everything chosen.
    pub pools: Vec<Pool>,
    /// Driver options as they were given.
    pub options: BTreeMap<String, String>,
    /// Labels as they were given.
    pub labels: BTreeMap<String, String>,
    /// `bridge`, `host` and `none` are there from the start and can't be removed.
    pub predefined: bool,
    /// The bridge on the host, for a network that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The MTU of its links in bytes, for a network that has links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
    /// Who is on it; empty in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<NetworkEndpoint>,
}

/// An endpoint as its network shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkEndpoint {
    /// The sandbox that holds the endpoint.
    pub sandbox: String,
    /// That sandbox's name for people.
    pub sandbox_name: String,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// Query of `GET /v1/networks`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkQuery {
    /// Include each network's endpoints.
    #[serde(default)]
    pub endpoints: bool,
}

/// `PUT /v1/sandboxes/{id}`: a sandbox with all its endpoints and published ports, made at once or not at all.
///
/// The id is the caller's. The same request again answers with the sandbox that is there; another one has it become what it
/// says: endpoints, ports, labels and name may differ, the owner and the namespace can't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxPut {
    /// Who claims it when asked (see [`Claim`]).
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

/// `POST /v1/owners/{owner}/claim`: all that this owner still wants. What else is its is taken down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Ids of sandboxes.
    pub sandboxes: Vec<String>,
}

/// What a [`Claim`] led to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimReply {
    /// Taken down, because the owner no longer claims them. One that is being worked on is taken down right after that.
    pub removed: Vec<String>,
    /// Claimed, and not known here: the owner has to make them again.
    pub missing: Vec<String>,
    /// Claimed and known, but nobody keeps their network namespaces any more: who did was killed together with netd. While a
    /// process is in one, all that it has goes on as it is; the owner says where it is with a [`FoundNamespace`], or removes
    /// the sandbox.
    #[serde(default)]
    pub lost: Vec<String>,
}

/// `PUT /v1/sandboxes/{id}/namespace`: where the network namespace is that nobody keeps any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundNamespace {
    /// An absolute path that leads there in netd's view, for as long as the request takes: `/proc/PID/ns/net`.
    pub path: String,
}

/// One thing that happened; `GET /v1/events?since=REVISION` streams them, a JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Grows with each event, also over restarts of netd and of the host.
    pub revision: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What.
    pub what: EventKind,
    /// The network that it is about, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// That network's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_name: Option<String>,
    /// That network's driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The sandbox that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The endpoint that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// More for people: what was repaired, who took a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Kinds of [`Event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A network is there.
    NetworkCreated,
    /// A network is gone.
    NetworkRemoved,
    /// A sandbox is in place.
    SandboxCreated,
    /// A sandbox's ports, labels or name are others now.
    SandboxChanged,
    /// A sandbox is gone.
    SandboxRemoved,
    /// An endpoint joined a sandbox.
    EndpointConnected,
    /// An endpoint left its sandbox.
    EndpointDisconnected,
    /// Somebody changed the firewall table and netd put it back.
    FirewallRepaired,
    /// Something that an administrator should look at.
    Warning,
    /// Events before this one are no longer kept: list everything anew.
    Gap,
    /// A kind that only a newer netd knows.
    #[serde(other)]
    Unknown,
}

/// Reply of `POST /v1/networks/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pruned {
    /// Names of the networks removed.
    pub networks: Vec<String>,
}

/// `POST /v1/networks/prune`: removes networks that nobody is on; predefined ones stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Only networks with these labels (`key` or `key=value`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Only networks without these labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels_not: Vec<String>,
    /// Only networks made before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Reply of `GET /v1/info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Info {
    /// How many networks there are.
    pub networks: usize,
    /// How many sandboxes there are.
    pub sandboxes: usize,
    /// How many endpoints there are.
    pub endpoints: usize,
    /// Names of the drivers.
    pub drivers: Vec<String>,
    /// Whether netd switched IPv4 forwarding on (and so drops what is neither ours nor was routed before).
    pub forwarding_by_us: bool,
    /// What subnets are cut from when a request names none, in this order.
    #[serde(default)]
    pub default_pools: Vec<DefaultPool>,
    /// What an administrator should know: foreign chains that drop forwarded packets, ports lost to others, what others don't
    /// take back.
    pub warnings: Vec<String>,
}

/// One line of the reply of `GET /v1/owed`: something that another program was asked for and has to be told of, since nothing
/// here has it any more, or nobody knows whether it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Owed {
    /// Whom it is owed to: the driver.
    pub to: String,
    /// The network that it is or was for, by id.
    pub network: String,
    /// The sandbox whose endpoint it was for; absent if it was for the network itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// That endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub asked: Timestamp,
    /// How far it is.
    pub state: OwedState,
    /// How often giving it back has failed.
    pub attempts: u32,
    /// Why, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far something owed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OwedState {
    /// It was asked for, and the answer isn't there yet.
    Unanswered,
    /// It is to be given back.
    Due,
    /// A state that only a newer netd knows.
    #[serde(other)]
    Unknown,
}

/// A range that subnets are cut from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DefaultPool {
    /// The range, as in `172.20.0.0/14`.
    pub base: String,
    /// The prefix length of each subnet.
    pub size: u8,
}

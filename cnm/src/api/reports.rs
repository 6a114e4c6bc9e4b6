//! What netd tells of what has happened, of itself, and of what it owes, on the wire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DefaultPool;

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

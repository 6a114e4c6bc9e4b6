//! The seam to netd, version 1: what crosses `/run/berth/netd.sock` as JSON. Here is what both sides are and can do, and which
//! sandboxes are whose; what is asked for and answered is beside.
//!
//! Request types mirror the wire and check nothing; the validated types behind them are made with `TryFrom`, so that
//! a refusal names the value and says what to do. Unknown fields are refused: nothing is accepted and ignored.
//!
//! Reply types hold values, not text that would have to be read again, and pass over what a newer netd adds: fields that they
//! don't have, and kinds of things that they don't know.

mod networks;
mod reports;
mod sandboxes;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::{
    networks::{
        DefaultPool, Network, NetworkCreate, NetworkEndpoint, NetworkQuery, Pool, PoolConfig, PruneRequest, Pruned,
    },
    reports::{Event, EventKind, Info, Owed, OwedState},
    sandboxes::{
        Difference, Endpoint, EndpointAddress, EndpointRequest, NamespaceRequest, PortRange, PortRequest,
        PublishedPort, Sandbox, SandboxCheck, SandboxPut, SandboxState,
    },
};
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

//! Grants: what others give for networks and endpoints, as a cluster does or a plugin. They are requested before a decision, which
//! gets them as a value, stored with the object, so that plans can be derived again without asking, and released once nobody here
//! has them.

use std::{collections::BTreeMap, fmt, future::Future, net::IpAddr, pin::Pin, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Kind, api,
    endpoint::Endpoint,
    id::{DriverName, EndpointId, MacAddress, NetworkId, SandboxId},
    network::Network,
    spec::{EndpointSpec, Family, NetworkSpec, PoolSpec, SubnetRequest},
};

/// For what something is given: a network, or an endpoint on it. Its ids are drawn before anybody is asked, and tell whoever
/// is asked which question is which, and what is to be undone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The network.
    pub network: NetworkId,
    /// The endpoint, in its sandbox; none if it is for the network itself.
    pub endpoint: Option<(SandboxId, EndpointId)>,
}

/// A request for a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantRequest {
    /// Before a network is made.
    Network(NetworkGrantRequest),
    /// Before an endpoint is made.
    Endpoint(Box<EndpointGrantRequest>),
}

/// What somebody else is asked before a network is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkGrantRequest {
    /// The id that the network is to have.
    pub network: NetworkId,
    /// What is wanted.
    pub spec: NetworkSpec,
}

/// What somebody else is asked before an endpoint is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointGrantRequest {
    /// The network, with what was granted for it.
    pub network: Network,
    /// The sandbox that the endpoint is for.
    pub sandbox: SandboxId,
    /// The id that the endpoint is to have.
    pub endpoint: EndpointId,
    /// What is wanted.
    pub spec: EndpointSpec,
}

/// What was given for a network. What it doesn't say is ours to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkGrant {
    /// Address pools, at most one a family.
    pub pools: Vec<PoolSpec>,
}

/// What was given for an endpoint. What it doesn't say is ours to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointGrant {
    /// Its addresses, at most one a family.
    pub addresses: Vec<IpAddr>,
    /// Its MAC address.
    pub mac: Option<MacAddress>,
}

/// What was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// For a network.
    Network(NetworkGrant),
    /// For an endpoint.
    Endpoint(EndpointGrant),
}

/// What has been granted for one decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// For the network that is to be made, with the id that was asked with.
    pub network: Option<(NetworkId, NetworkGrant)>,
    /// For endpoints that are to be made, with the ids that were asked with: a sandbox has one on a network.
    pub endpoints: BTreeMap<NetworkId, (EndpointId, EndpointGrant)>,
}

/// Something that somebody else was asked for and has to be told of once nobody here has it. It is stored before the question
/// is asked, so that whatever is given is owed by somebody, whenever netd is killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// To whom: the driver that was asked.
    pub to: DriverName,
    /// For what.
    pub holder: Holder,
    /// When it was asked for.
    pub asked: Timestamp,
    /// What was given; none if no answer came that we know of, which doesn't say that nothing was given.
    pub grant: Option<Grant>,
}

/// An answer that takes its time.
pub type GrantFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Whoever gives something for networks and endpoints of a driver.
///
/// A question that isn't answered within [`Grantor::deadline`] has failed; when its answer comes all the same, it is given back.
pub trait Grantor: Send + Sync + fmt::Debug {
    /// How long each call may take.
    fn deadline(&self) -> Duration;

    /// Asks for what a network needs. Asked again with the same id, it is the same question.
    fn request_network<'a>(&'a self, request: &'a NetworkGrantRequest) -> GrantFuture<'a, NetworkGrant>;

    /// Asks for what an endpoint needs. Asked again with the same id, it is the same question.
    fn request_endpoint<'a>(&'a self, request: &'a EndpointGrantRequest) -> GrantFuture<'a, EndpointGrant>;

    /// Gives back what there is for a holder, after those of its endpoints for a network. What isn't there, or was never given,
    /// is given back: it may be asked for more than once.
    fn release<'a>(&'a self, owed: &'a Owed) -> GrantFuture<'a, ()>;
}

impl GrantRequest {
    /// Whom to ask.
    pub const fn to(&self) -> &DriverName {
        match self {
            Self::Network(request) => &request.spec.driver,
            Self::Endpoint(request) => &request.network.spec.driver,
        }
    }

    /// For what.
    pub fn holder(&self) -> Holder {
        match self {
            Self::Network(request) => Holder { network: request.network.clone(), endpoint: None },
            Self::Endpoint(request) => Holder {
                network: request.network.id.clone(),
                endpoint: Some((request.sandbox.clone(), request.endpoint.clone())),
            },
        }
    }
}

impl fmt::Display for GrantRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(request) => write!(f, "network {}", request.spec.name),
            Self::Endpoint(request) => {
                write!(f, "an endpoint of sandbox {} on network {}", request.sandbox, request.network.spec.name)
            }
        }
    }
}

impl Holder {
    /// What an endpoint holds, of a sandbox.
    pub fn of_endpoint(sandbox: &SandboxId, endpoint: &Endpoint) -> Self {
        Self { network: endpoint.network.clone(), endpoint: Some((sandbox.clone(), endpoint.id.clone())) }
    }

    /// Unique among all holders.
    pub fn id(&self) -> &str {
        self.endpoint.as_ref().map_or(self.network.as_str(), |(_, endpoint)| endpoint.as_str())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            None => write!(f, "network {}", self.network.short()),
            Some((sandbox, endpoint)) => write!(f, "endpoint {} of sandbox {sandbox}", endpoint.short()),
        }
    }
}

impl Grants {
    /// Adds what was given upon a question.
    pub fn add(&mut self, request: &GrantRequest, grant: Grant) {
        match (request, grant) {
            (GrantRequest::Network(request), Grant::Network(grant)) => {
                self.network = Some((request.network.clone(), grant))
            }
            (GrantRequest::Endpoint(request), Grant::Endpoint(grant)) => {
                self.endpoints.insert(request.network.id.clone(), (request.endpoint.clone(), grant));
            }
            // Whoever asks has the answer's kind from the question's.
            (GrantRequest::Network(_), Grant::Endpoint(_)) | (GrantRequest::Endpoint(_), Grant::Network(_)) => {}
        }
    }
}

impl NetworkGrant {
    /// What is wanted of each family together with what was given for it.
    ///
    /// # Errors
    /// When something was given that wasn't wanted.
    pub(crate) fn apply(&self, spec: &NetworkSpec, wanted: Vec<PoolSpec>) -> Result<Vec<PoolSpec>, Error> {
        let bad = |given: &PoolSpec, why: &str| {
            let subnet = match given.subnet {
                SubnetRequest::Exact(subnet) => format!("subnet {subnet}"),
                SubnetRequest::OfLength { family, .. } | SubnetRequest::Any(family) => format!("an {family} subnet"),
            };
            unusable(&spec.driver, &format!("{subnet} for network {}", spec.name), why)
        };
        let mut left = self.pools.clone();
        let applied = wanted.into_iter().map(|asked| {
            let family = asked.subnet.family();
            let Some(index) = left.iter().position(|given| given.subnet.family() == family) else { return Ok(asked) };
            let given = left.swap_remove(index);
            if matches!(asked.subnet, SubnetRequest::Exact(_)) && given.subnet != asked.subnet {
                return Err(bad(&given, "another one was asked for"));
            }
            Ok(PoolSpec {
                subnet: given.subnet,
                ip_range: asked.ip_range.or(given.ip_range),
                gateway: asked.gateway.or(given.gateway),
                aux_addresses: given.aux_addresses.into_iter().chain(asked.aux_addresses).collect(),
            })
        });
        let applied = applied.collect::<Result<Vec<_>, Error>>()?;
        match left.first() {
            Some(unwanted) => Err(bad(unwanted, "the network has no pool that it could be of")),
            None => Ok(applied),
        }
    }
}

impl EndpointGrant {
    /// The address of a family.
    pub(crate) fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| Family::of(*address) == family)
    }

    /// Whether it is an answer to what was asked.
    ///
    /// # Errors
    /// When something was given that wasn't wanted.
    pub(crate) fn check(&self, network: &Network, spec: &EndpointSpec) -> Result<(), Error> {
        let bad = |what: String, why: &str| Err(bad_endpoint(network, &what, why));
        for (index, address) in self.addresses.iter().enumerate() {
            let family = Family::of(*address);
            let asked = match family {
                Family::Ipv4 => spec.ipv4.map(IpAddr::from),
                Family::Ipv6 => spec.ipv6.map(IpAddr::from),
            };
            if !network.pools.iter().any(|pool| Family::of_network(pool.subnet) == family) {
                return bad(address.to_string(), &format!("the network has no {family} subnet"));
            }
            if self.addresses[..index].iter().any(|other| Family::of(*other) == family) {
                return bad(address.to_string(), &format!("an endpoint has one {family} address"));
            }
            if let Some(asked) = asked.filter(|asked| asked != address) {
                return bad(address.to_string(), &format!("{asked} was asked for"));
            }
        }
        match (self.mac, spec.mac) {
            (Some(given), Some(asked)) if given != asked => bad(given.to_string(), &format!("{asked} was asked for")),
            _ => Ok(()),
        }
    }
}

/// The refusal of an answer that can't be used for an endpoint.
pub(crate) fn bad_endpoint(network: &Network, what: &str, why: &str) -> Error {
    let given = format!("{what} for an endpoint on network {}", network.spec.name);
    unusable(&network.spec.driver, &given, why)
}

fn unusable(driver: &DriverName, given: &str, why: &str) -> Error {
    Error::new(Kind::Internal, format!("driver {driver} granted {given}, which can't be used: {why}"))
}

impl Owed {
    /// As the API shows it, with what came of giving it back.
    pub fn to_api(&self, state: api::OwedState, attempts: u32, error: Option<String>) -> api::Owed {
        let (sandbox, endpoint) = self.holder.endpoint.clone().unzip();
        api::Owed {
            to: self.to.to_string(),
            network: self.holder.network.to_string(),
            sandbox: sandbox.map(|id| id.to_string()),
            endpoint: endpoint.map(|id| id.to_string()),
            asked: self.asked,
            state,
            attempts,
            error,
        }
    }
}

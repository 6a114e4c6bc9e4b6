//! Networks between Docker's words and netd's.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use cnm::api::{Endpoint, Network, NetworkCreate, NetworkEndpoint, Pool, PoolConfig, PruneRequest};
use cnm::ipam::Occupancy;
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::filters::{FilterError, Filters, Patterns};
use crate::moment;
use crate::version::ApiVersion;
use crate::wire::models::{Ipam, IpamConfig, NetworkCreateRequest};
use crate::wire::network::{
    AttachedView, ConfigFromView, IpamStatusView, IpamView, NetworkView, PoolView, StatusView, SubnetStatusView,
};

/// Since this version a network says how full it is.
const WITH_STATUS: ApiVersion = ApiVersion::new(1, 52);
/// Since this version `EnableIPv4` counts.
const WITHOUT_IPV4: ApiVersion = ApiVersion::new(1, 48);

/// The network that a request asks for. Names, addresses and options are netd's to judge; what Docker has and netd has no
/// word for is refused here.
pub(crate) fn create(request: NetworkCreateRequest, version: ApiVersion) -> Result<NetworkCreate> {
    refuse_swarm(&request)?;
    Ok(NetworkCreate {
        name: request.name,
        driver: request.driver.filter(|driver| !driver.is_empty() && driver != "default"),
        internal: request.internal.unwrap_or_default(),
        ipv4: request.enable_ipv4.filter(|_| version >= WITHOUT_IPV4),
        ipv6: request.enable_ipv6,
        pools: pools(request.ipam.unwrap_or_default())?,
        options: ordered(request.options),
        labels: ordered(request.labels),
    })
}

/// `Attachable` isn't among these: every network here is one that single containers can be attached to.
fn refuse_swarm(request: &NetworkCreateRequest) -> Result<()> {
    let refused = |what: String| Err(Error::not_implemented(format!("{what}: berth has no swarm mode")));
    match request.scope.as_deref() {
        None | Some("" | "local") => {}
        Some(scope) => return refused(format!("network scope {scope:?} is not available")),
    }
    if request.ingress == Some(true) {
        return refused("an ingress network can't be made".into());
    }
    let config_from = request.config_from.as_ref().and_then(|from| from.network.as_deref()).unwrap_or_default();
    if request.config_only == Some(true) || !config_from.is_empty() {
        return refused("configuration-only networks are not available".into());
    }
    Ok(())
}

fn pools(ipam: Ipam) -> Result<Vec<PoolConfig>> {
    if let Some(driver) = ipam.driver.filter(|driver| !driver.is_empty() && driver != "default") {
        return Err(Error::not_implemented(format!(
            "IPAM driver {driver:?} is not available: leave it out or give \"default\""
        )));
    }
    if let Some(option) = ipam.options.unwrap_or_default().keys().min() {
        return Err(Error::invalid(format!("the default IPAM driver has no option {option:?}: leave it out")));
    }
    Ok(ipam.config.unwrap_or_default().into_iter().map(pool).collect())
}

fn pool(config: IpamConfig) -> PoolConfig {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    PoolConfig {
        subnet: given(config.subnet),
        ip_range: given(config.ip_range),
        gateway: given(config.gateway),
        aux_addresses: ordered(config.auxiliary_addresses),
    }
}

fn ordered(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}

/// A network as Docker shows it.
pub(crate) fn view(network: Network) -> NetworkView {
    NetworkView {
        created: network.created.to_string(),
        ipam: IpamView {
            driver: "default",
            options: (!network.predefined).then(BTreeMap::new),
            config: network.pools.into_iter().map(pool_view).collect(),
        },
        containers: network.endpoints.into_iter().map(attached).collect(),
        name: network.name,
        id: network.id,
        scope: network.scope,
        driver: network.driver,
        enable_ipv4: network.ipv4,
        enable_ipv6: network.ipv6,
        internal: network.internal,
        attachable: false,
        ingress: false,
        config_from: ConfigFromView::default(),
        config_only: false,
        options: network.options,
        labels: network.labels,
        status: None,
    }
}

/// A network by itself.
pub(crate) fn inspect(network: Network, version: ApiVersion) -> NetworkView {
    let status = (version >= WITH_STATUS && !network.pools.is_empty()).then(|| status(&network));
    NetworkView { status, ..view(network) }
}

fn status(network: &Network) -> StatusView {
    let addresses = network.endpoints.iter().flat_map(|on_network| &on_network.endpoint.addresses);
    let taken: Vec<IpAddr> = addresses.map(|held| held.address.ip()).collect();
    let number = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    let of_pool = |pool: &Pool| {
        let Occupancy { in_use, available } = Occupancy::of(pool, taken.iter().copied());
        (pool.subnet.to_string(), SubnetStatusView { in_use: number(in_use), available: number(available) })
    };
    StatusView { ipam: IpamStatusView { subnets: network.pools.iter().map(of_pool).collect() } }
}

fn pool_view(pool: Pool) -> PoolView {
    let addresses = pool.aux_addresses.into_iter();
    PoolView {
        subnet: pool.subnet.to_string(),
        ip_range: pool.ip_range.map(|range| range.to_string()),
        gateway: pool.gateway.map(|gateway| gateway.to_string()),
        auxiliary_addresses: addresses.map(|(name, address)| (name, address.to_string())).collect(),
    }
}

fn attached(on_network: NetworkEndpoint) -> (String, AttachedView) {
    let NetworkEndpoint { sandbox, sandbox_name, endpoint } = on_network;
    let view = AttachedView {
        name: sandbox_name,
        mac_address: endpoint.mac.clone().unwrap_or_default(),
        ipv4_address: address(&endpoint, IpAddr::is_ipv4),
        ipv6_address: address(&endpoint, IpAddr::is_ipv6),
        endpoint_id: endpoint.id,
    };
    (sandbox, view)
}

/// The endpoint's address of a family with its prefix length, or nothing.
fn address(endpoint: &Endpoint, family: impl Fn(&IpAddr) -> bool) -> String {
    let mut addresses = endpoint.addresses.iter().map(|held| held.address);
    addresses.find(|address| family(&address.ip())).map(|address| address.to_string()).unwrap_or_default()
}

/// The filters of `docker network ls`, ready to match.
#[derive(Debug)]
pub(crate) struct Selection {
    filters: Filters,
    names: Patterns,
    ids: Patterns,
    dangling: Option<bool>,
    user_made: Option<bool>,
}

impl Selection {
    /// Understands the filters, or refuses them.
    pub(crate) fn new(filters: Filters) -> Result<Self, FilterError> {
        let filters = filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"])?;
        let user_made = match filters.single("type")? {
            None => None,
            Some("custom") => Some(true),
            Some("builtin") => Some(false),
            Some(other) => {
                return Err(FilterError::Value {
                    name: "type".into(),
                    value: other.into(),
                    expected: "custom or builtin is expected",
                });
            }
        };
        Ok(Self {
            names: filters.patterns("name")?,
            ids: filters.patterns("id")?,
            dangling: filters.flag("dangling")?,
            user_made,
            filters,
        })
    }

    /// Whether the networks have to be asked for with their endpoints.
    pub(crate) fn needs_endpoints(&self) -> bool {
        self.dangling.is_some()
    }

    /// Whether a network is wanted.
    pub(crate) fn takes(&self, network: &Network) -> bool {
        self.names.allow(&network.name)
            && self.ids.allow(&network.id)
            && self.filters.allows("driver", &network.driver)
            && self.filters.allows("scope", &network.scope)
            && self.filters.allows_labels(|key| network.labels.get(key).map(String::as_str))
            && self.user_made.is_none_or(|user_made| user_made != network.predefined)
            && self.dangling.is_none_or(|dangling| dangling == is_dangling(network))
    }
}

/// A network of the user's own that nobody is on.
fn is_dangling(network: &Network) -> bool {
    !network.predefined && network.endpoints.is_empty()
}

/// What `docker network prune` asks for.
pub(crate) fn prune(filters: Filters, now: Timestamp) -> Result<PruneRequest> {
    let filters = filters.only(&["label", "label!", "until"])?;
    Ok(PruneRequest {
        labels: filters.values("label").map(str::to_owned).collect(),
        labels_not: filters.values("label!").map(str::to_owned).collect(),
        until: filters.single("until")?.map(|text| moment::parse(text, now)).transpose()?,
    })
}

#[cfg(test)]
mod tests;

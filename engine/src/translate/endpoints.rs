//! A container's networking as `inspect` and lists show it: what was asked for, and what netd answered while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cnm::api::{Endpoint, PublishedPort, Sandbox};

use crate::container::network::{NetworkMode, WantedEndpoint};
use crate::container::{Container, short};
use crate::version::ApiVersion;
use crate::wire::endpoint::{BindingView, EndpointView, IpamView, PortView, SettingsView};

/// Since this version the short id isn't among the aliases.
const ALIASES_AS_ASKED: ApiVersion = ApiVersion::new(1, 45);

/// `NetworkSettings` of inspect.
pub(crate) fn settings(container: &Container, version: ApiVersion) -> SettingsView {
    let mut networks = networks(container);
    if version < ALIASES_AS_ASKED {
        let id = short(&container.id).to_owned();
        let named = networks.values_mut().filter(|endpoint| endpoint.dns_names.is_some());
        for aliases in named.map(|endpoint| endpoint.aliases.get_or_insert_default()) {
            if !aliases.contains(&id) {
                aliases.push(id.clone());
            }
        }
    }
    // What older clients read stands for the default bridge only.
    let bridge = networks.get("bridge").cloned().unwrap_or_default();
    let sandbox = container.sandbox.as_ref();
    SettingsView {
        bridge: String::new(),
        sandbox_id: sandbox.map(|sandbox| sandbox.id.clone()).unwrap_or_default(),
        sandbox_key: sandbox.and_then(|sandbox| sandbox.namespace.clone()).unwrap_or_default(),
        ports: port_map(container),
        hairpin_mode: false,
        link_local_ipv6_address: String::new(),
        link_local_ipv6_prefix_len: 0,
        secondary_ip_addresses: None,
        secondary_ipv6_addresses: None,
        endpoint_id: bridge.endpoint_id,
        gateway: bridge.gateway,
        global_ipv6_address: bridge.global_ipv6_address,
        global_ipv6_prefix_len: bridge.global_ipv6_prefix_len,
        ip_address: bridge.ip_address,
        ip_prefix_len: bridge.ip_prefix_len,
        ipv6_gateway: bridge.ipv6_gateway,
        mac_address: bridge.mac_address,
        networks,
    }
}

/// The same in a list, where nobody is told by which names it is found.
pub(crate) fn networks_in_list(container: &Container) -> BTreeMap<String, EndpointView> {
    let mut shown = networks(container);
    shown.values_mut().for_each(|endpoint| endpoint.dns_names = None);
    shown
}

/// The endpoints by the names of their networks.
pub(crate) fn networks(container: &Container) -> BTreeMap<String, EndpointView> {
    let live = container.sandbox.as_ref().map(|sandbox| sandbox.endpoints.as_slice()).unwrap_or_default();
    let mut shown = BTreeMap::new();
    for wanted in &container.endpoints {
        let found = live.iter().find(|endpoint| is_on(endpoint, &wanted.network));
        let name = found.map_or(&wanted.network, |endpoint| &endpoint.network_name);
        shown.insert(name.clone(), view(container, wanted, found));
    }
    shown
}

/// Whether an endpoint is on a network that was named by its name, its id or the beginning of its id.
pub(crate) fn is_on(endpoint: &Endpoint, network: &str) -> bool {
    endpoint.network_name == network || (!network.is_empty() && endpoint.network.starts_with(network))
}

fn view(container: &Container, wanted: &WantedEndpoint, live: Option<&Endpoint>) -> EndpointView {
    let fixed = wanted.ipv4.is_some() || wanted.ipv6.is_some();
    let mut view = EndpointView {
        ipam_config: fixed.then(|| IpamView { ipv4_address: wanted.ipv4.clone(), ipv6_address: wanted.ipv6.clone() }),
        links: (!wanted.links.is_empty()).then(|| wanted.links.clone()),
        aliases: (!wanted.aliases.is_empty()).then(|| wanted.aliases.clone()),
        mac_address: wanted.mac.clone().unwrap_or_default(),
        driver_opts: (!wanted.options.is_empty()).then(|| wanted.options.clone()),
        gw_priority: wanted.gateway_priority,
        dns_names: dns_names(container, wanted),
        ..EndpointView::default()
    };
    let Some(live) = live else { return view };
    view.network_id = live.network.clone();
    view.endpoint_id = live.id.clone();
    view.mac_address = live.mac.clone().unwrap_or_default();
    for address in &live.addresses {
        let (ip, length) = (address.address.ip(), address.address.prefix());
        let gateway = address.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        match ip {
            IpAddr::V6(_) => {
                (view.global_ipv6_address, view.global_ipv6_prefix_len, view.ipv6_gateway) =
                    (ip.to_string(), length, gateway);
            }
            IpAddr::V4(_) => (view.ip_address, view.ip_prefix_len, view.gateway) = (ip.to_string(), length, gateway),
        }
    }
    view
}

/// The names by which others on the network find it; the predefined networks have none.
fn dns_names(container: &Container, wanted: &WantedEndpoint) -> Option<Vec<String>> {
    if !wanted.has_names() {
        return None;
    }
    let own = [short(&container.id), container.spec.hostname.as_str()];
    let aliases = wanted.aliases.iter().map(String::as_str);
    let mut seen = BTreeSet::new();
    let all = [container.name.as_str()].into_iter().chain(aliases).chain(own);
    Some(all.filter(|name| seen.insert(*name)).map(str::to_owned).collect())
}

/// `Ports` of inspect: every exposed port of a container that runs, with where it is published.
pub(crate) fn port_map(container: &Container) -> BTreeMap<String, Option<Vec<BindingView>>> {
    let mut map: BTreeMap<String, Option<Vec<BindingView>>> = BTreeMap::new();
    let Some(sandbox) = &container.sandbox else { return map };
    if matches!(container.spec.network.mode, NetworkMode::Host | NetworkMode::None) {
        return map;
    }
    map.extend(container.spec.network.exposed.iter().map(|port| (port.to_string(), None)));
    for (port, host_ip, host_port) in published(sandbox) {
        let binding = BindingView { host_ip: host_ip.to_string(), host_port: host_port.to_string() };
        map.entry(port).or_default().get_or_insert_default().push(binding);
    }
    map
}

/// `Ports` of lists.
pub(crate) fn ports(container: &Container) -> Vec<PortView> {
    let Some(sandbox) = &container.sandbox else { return Vec::new() };
    let mut shown: Vec<PortView> = sandbox
        .ports
        .iter()
        .flat_map(|port| {
            steps(port).map(|(host, private)| PortView {
                ip: Some(port.host_ip.to_string()),
                private_port: private,
                public_port: Some(host),
                protocol: port.protocol.clone(),
            })
        })
        .collect();
    let bound: BTreeSet<(String, u16)> = shown.iter().map(|port| (port.protocol.clone(), port.private_port)).collect();
    let closed = container
        .spec
        .network
        .exposed
        .iter()
        .filter(|port| !bound.contains(&(port.protocol.as_str().to_owned(), port.number)));
    if matches!(container.spec.network.mode, NetworkMode::Network(_)) {
        shown.extend(closed.map(|port| PortView {
            ip: None,
            private_port: port.number,
            public_port: None,
            protocol: port.protocol.as_str().to_owned(),
        }));
    }
    shown
}

fn published(sandbox: &Sandbox) -> impl Iterator<Item = (String, IpAddr, u16)> {
    sandbox.ports.iter().flat_map(|port| {
        steps(port).map(|(host, private)| (format!("{private}/{}", port.protocol), port.host_ip, host))
    })
}

/// Host and container ports of a range, one by one.
fn steps(port: &PublishedPort) -> impl Iterator<Item = (u16, u16)> + use<> {
    let (host, private) = (port.host_first, port.container_first);
    (0..port.count).map(move |step| (host.saturating_add(step), private.saturating_add(step)))
}

//! A container's networking as it is wanted: network mode, published ports, names, and the endpoints that netd is asked
//! for whenever it runs. What it really gets is netd's `Sandbox`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use cnm::api::{EndpointRequest, PortRange, PortRequest};
use runtime::spec::Id;
use serde::{Deserialize, Serialize};

/// A container's networking, but for its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Whose namespace it is in.
    pub mode: NetworkMode,
    /// Ports to publish.
    pub ports: Vec<PortBinding>,
    /// Ports that the program listens on, by its own or its image's word.
    pub exposed: BTreeSet<Port>,
    /// Publish every exposed port.
    pub publish_all: bool,
    /// Name servers instead of the host's.
    pub dns_servers: Vec<IpAddr>,
    /// Search domains instead of the host's.
    pub dns_search: Vec<String>,
    /// Resolver options instead of the host's.
    pub dns_options: Vec<String>,
    /// Further lines of `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Containers on the default network that have lines there.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// Whose network namespace a container is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkMode {
    /// Its own, on a network by this name or id first.
    Network(String),
    /// The host's.
    Host,
    /// Its own, with nothing but loopback.
    None,
    /// That of another container.
    Container(Id),
}

impl NetworkMode {
    /// The network that its first endpoint is on; none when the namespace is another container's.
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Network(name) => Some(name),
            Self::Host => Some("host"),
            Self::None => Some("none"),
            Self::Container(_) => None,
        }
    }

    /// Whether its container has a sandbox at netd while it runs; who is in another's namespace has none.
    pub const fn has_sandbox(&self) -> bool {
        !matches!(self, Self::Container(_))
    }
}

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// Its name in ports such as `80/tcp`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The protocol of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|protocol| name.eq_ignore_ascii_case(protocol.as_str()))
    }
}

/// A port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number, at least 1.
    pub number: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol.as_str())
    }
}

/// A port to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    /// The container's.
    pub container: Port,
    /// The host's address; all of them without it.
    pub host_ip: Option<IpAddr>,
    /// The host's port, or the range to take a free one of; any free one without it.
    pub host: Option<PortRange>,
}

/// A line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// The address; without it the host's own, as the container reaches it (`host-gateway`).
    pub address: Option<IpAddr>,
}

/// Another container, and a name for it (`--link`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The other container.
    pub container: Id,
    /// What it was called when the link was made.
    pub container_name: String,
    /// The name.
    pub alias: String,
}

/// An attachment that a container is to have whenever it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedEndpoint {
    /// The network, by name or id, as the request named it.
    pub network: String,
    /// A fixed IPv4 address.
    pub ipv4: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6: Option<String>,
    /// A fixed MAC address.
    pub mac: Option<String>,
    /// More names on this network.
    pub aliases: Vec<String>,
    /// Names for other containers on this network, as `name:alias`.
    #[serde(default)]
    pub links: Vec<String>,
    /// The highest provides the default gateway.
    pub gateway_priority: i32,
    /// Endpoint options by Docker's names.
    pub options: BTreeMap<String, String>,
}

impl WantedEndpoint {
    /// An endpoint on `network` with everything chosen by netd.
    pub fn on(network: impl Into<String>) -> Self {
        Self { network: network.into(), ..Self::default() }
    }

    /// Whether containers are found by name there: on networks that a user made. The predefined ones have no aliases.
    pub fn has_names(&self) -> bool {
        !matches!(self.network.as_str(), "bridge" | "host" | "none")
    }

    /// What netd is asked for; where there are names, the container's host name is one.
    pub fn to_request(&self, hostname: &str) -> EndpointRequest {
        let mut aliases = self.aliases.clone();
        if self.has_names() && !aliases.iter().any(|alias| alias == hostname) {
            aliases.push(hostname.to_owned());
        }
        EndpointRequest {
            network: self.network.clone(),
            interface: None,
            ipv4: self.ipv4.clone(),
            ipv6: self.ipv6.clone(),
            mac: self.mac.clone(),
            aliases,
            gateway_priority: self.gateway_priority,
            options: self.options.clone(),
        }
    }
}

impl NetworkSpec {
    /// What netd is asked to publish: bindings that continue each other become one range, however the client spelled
    /// them, so that `-p 6000-6200:6000-6200` is one map element and not 201.
    pub fn port_requests(&self) -> Vec<PortRequest> {
        let mut bindings = self.all_bindings();
        bindings.sort_unstable_by_key(|b| (b.container.protocol, b.host_ip, b.container.number, b.host));
        let mut requests: Vec<PortRequest> = Vec::new();
        for binding in bindings {
            if !requests.last_mut().is_some_and(|last| extend(last, &binding)) {
                requests.push(request(&binding));
            }
        }
        requests
    }
}

impl NetworkSpec {
    /// Ports to publish, those that are exposed and all to be published among them.
    pub(super) fn all_bindings(&self) -> Vec<PortBinding> {
        let mut bindings = self.ports.clone();
        if self.publish_all {
            let bound: BTreeSet<Port> = self.ports.iter().map(|binding| binding.container).collect();
            let open = self.exposed.difference(&bound);
            bindings.extend(open.map(|&container| PortBinding { container, host_ip: None, host: None }));
        }
        bindings
    }
}

fn request(binding: &PortBinding) -> PortRequest {
    let number = binding.container.number;
    PortRequest {
        protocol: binding.container.protocol.as_str().to_owned(),
        host_ip: binding.host_ip.map(|ip| ip.to_string()),
        host_ports: binding.host,
        container_ports: PortRange { first: number, last: number },
    }
}

/// Grows `request` by `binding` if that is the next port on both sides.
fn extend(request: &mut PortRequest, binding: &PortBinding) -> bool {
    let (Some(host), Some(next)) = (&mut request.host_ports, binding.host) else { return false };
    let ports = &mut request.container_ports;
    let one_to_one = host.last - host.first == ports.last - ports.first && next.first == next.last;
    let continues = Some(next.first) == host.last.checked_add(1)
        && Some(binding.container.number) == ports.last.checked_add(1)
        && request.protocol == binding.container.protocol.as_str()
        && request.host_ip == binding.host_ip.map(|ip| ip.to_string());
    if one_to_one && continues {
        host.last = next.last;
        ports.last = binding.container.number;
    }
    one_to_one && continues
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::container) fn spec(
        mode: NetworkMode,
        ports: Vec<PortBinding>,
        exposed: &[u16],
        publish_all: bool,
    ) -> NetworkSpec {
        NetworkSpec {
            mode,
            ports,
            exposed: exposed.iter().map(|&number| Port { protocol: Protocol::Tcp, number }).collect(),
            publish_all,
            dns_servers: vec![],
            dns_search: vec![],
            dns_options: vec![],
            extra_hosts: vec![],
            links: vec![],
        }
    }

    /// `8080:80`, `8000-8009:80`, `127.0.0.1::80`.
    pub(in crate::container) fn binding(text: &str) -> PortBinding {
        let (rest, container) = text.rsplit_once(':').unwrap();
        let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
        let host = (!host.is_empty()).then(|| range(host));
        let container = Port { protocol: Protocol::Tcp, number: container.parse().unwrap() };
        PortBinding { container, host_ip: (!ip.is_empty()).then(|| ip.parse().unwrap()), host }
    }

    /// `8080`, `8000-8009`.
    pub(in crate::container) fn range(text: &str) -> PortRange {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        PortRange { first: first.parse().unwrap(), last: last.parse().unwrap() }
    }

    fn requests(ports: Vec<PortBinding>, exposed: &[u16], publish_all: bool) -> Vec<String> {
        let range = |range: PortRange| format!("{}-{}", range.first, range.last);
        spec(NetworkMode::Network("bridge".into()), ports, exposed, publish_all)
            .port_requests()
            .iter()
            .map(|request| {
                let ip = request.host_ip.as_deref().unwrap_or("*");
                format!("{ip}:{}:{}", request.host_ports.map_or("any".into(), range), range(request.container_ports))
            })
            .collect()
    }

    #[test]
    fn ports_that_continue_each_other_are_one_request() {
        let range = (0..201).rev().map(|n| binding(&format!("{}:{}", 6000 + n, 7000 + n))).collect();
        assert_eq!(requests(range, &[], false), ["*:6000-6200:7000-7200"]);
    }

    #[test]
    fn what_does_not_continue_stays_apart() {
        let ports =
            ["80:80", "82:81", "127.0.0.1:83:82", ":90", ":91", "9000-9010:100", "9011:101"].map(binding).to_vec();
        assert_eq!(
            requests(ports, &[], false),
            [
                "*:80-80:80-80",
                "*:82-82:81-81",
                "*:any:90-90",
                "*:any:91-91",
                "*:9000-9010:100-100",
                "*:9011-9011:101-101",
                "127.0.0.1:83-83:82-82",
            ]
        );
    }

    #[test]
    fn publish_all_adds_what_is_exposed_and_not_bound() {
        assert_eq!(requests(vec![binding("80:80")], &[80, 443], true), ["*:80-80:80-80", "*:any:443-443"]);
    }

    #[test]
    fn the_end_of_the_port_space() {
        let ports = vec![binding("65535:1"), binding("1:2")];
        assert_eq!(requests(ports, &[], false), ["*:65535-65535:1-1", "*:1-1:2-2"]);
    }
}

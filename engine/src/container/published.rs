//! What others make of a container's published ports at netd, and what the container is to publish from then on. Pure values.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use cnm::api::{PortRange, Sandbox};
use serde::{Deserialize, Serialize};

use super::bindings::Fit;
use super::network::{NetworkSpec, Port, PortBinding, Protocol};

/// A container's ports as netd has them. It is stored, so that what changes while no berthd runs is seen by the next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Without a default gateway there are none, and another one may have others.
    gateways: Vec<Gateway>,
    ports: Vec<Run>,
}

/// An endpoint that a default route goes out by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gateway {
    endpoint: String,
    ipv4: bool,
    ipv6: bool,
}

/// Ports that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    protocol: Protocol,
    at: At,
    host: u16,
    container: u16,
    count: u16,
}

/// Where a port is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    /// On the host's address, all of a family or one.
    Host(IpAddr),
    /// On the endpoint's own address, where the network is routed: whichever port of the host was asked for.
    Endpoint { ipv6: bool },
}

/// The host's ports that lead to a port of a container, and the addresses there. What is open on the endpoint's own address is on
/// none of them, and stands here as on all addresses of its family.
type Places = BTreeMap<Option<u16>, BTreeSet<IpAddr>>;
type Place = (Option<u16>, IpAddr);

const ALL_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ALL_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Published {
    /// The ports of a sandbox.
    pub fn of(sandbox: &Sandbox) -> Self {
        let endpoints = sandbox.endpoints.iter();
        let gateways = endpoints.filter(|endpoint| endpoint.is_gateway_ipv4 || endpoint.is_gateway_ipv6);
        let addresses = sandbox.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
        let own: BTreeSet<IpAddr> = addresses.map(|held| held.address.ip()).collect();
        let run = |port: &cnm::api::PublishedPort| {
            let at = match port.host_ip {
                ip if own.contains(&ip) => At::Endpoint { ipv6: ip.is_ipv6() },
                ip => At::Host(ip),
            };
            Some(Run {
                protocol: Protocol::from_name(&port.protocol)?,
                at,
                host: port.host_first,
                container: port.container_first,
                count: port.count,
            })
        };
        Self {
            gateways: gateways
                .map(|endpoint| Gateway {
                    endpoint: endpoint.id.clone(),
                    ipv4: endpoint.is_gateway_ipv4,
                    ipv6: endpoint.is_gateway_ipv6,
                })
                .collect(),
            ports: sandbox.ports.iter().filter_map(run).collect(),
        }
    }

    fn by_container(&self) -> BTreeMap<Port, Places> {
        let mut ports: BTreeMap<Port, Places> = BTreeMap::new();
        for Run { protocol, at, host, container, count } in &self.ports {
            for (host, number) in (*host..=u16::MAX).zip(*container..=u16::MAX).take((*count).into()) {
                let (host, ip) = match at {
                    At::Host(ip) => (Some(host), *ip),
                    At::Endpoint { ipv6: false } => (None, ALL_IPV4),
                    At::Endpoint { ipv6: true } => (None, ALL_IPV6),
                };
                ports.entry(Port { protocol: *protocol, number }).or_default().entry(host).or_default().insert(ip);
            }
        }
        ports
    }
}

impl NetworkSpec {
    /// What a container is to publish that published `known` and was made to publish other ports by somebody else; none if it is
    /// what was asked for. A binding all of whose ports are there stays as it was asked for, and what came is asked for as it is.
    pub fn following(&self, known: &Published, now: &Published) -> Option<Self> {
        // What goes with the default gateway nobody has asked for.
        if known.ports == now.ports || now.gateways.is_empty() {
            return None;
        }
        let mut asked = self.all_bindings();
        // Those that say the most have the first choice.
        asked.sort_by_key(|binding| Reverse((Fit::of(binding), binding.host_ip.is_some())));
        let mut before = known.by_container();
        let had = asked.into_iter().map(|binding| (binding, take_own(&mut before, &binding)));
        let is_moved = known.gateways != now.gateways;
        let (had, unknown): (Vec<_>, Vec<_>) = had.partition(|(_, own)| !is_moved && !own.is_empty());

        let mut rest = now.by_container();
        let mut open = BTreeSet::new();
        let mut wanted = Vec::new();
        let mut keep = |binding: PortBinding, places: Vec<Place>, rest: &mut BTreeMap<Port, Places>| {
            for (host, ip) in places {
                match host {
                    Some(_) => remove(rest, binding.container, (host, ip)),
                    // Others may be open there, too.
                    None => drop(open.insert((binding.container, ip))),
                }
            }
            wanted.push(binding);
        };
        for (binding, own) in had {
            let places = rest.get(&binding.container);
            if own.iter().all(|(host, ip)| places.is_some_and(|places| has(places, *host, *ip))) {
                keep(binding, own, &mut rest);
            }
        }
        for (binding, own) in unknown {
            if let Some(found) = rest.get(&binding.container).and_then(|places| explained(places, &binding, &own)) {
                keep(binding, found, &mut rest);
            }
        }
        open.into_iter().for_each(|(container, ip)| remove(&mut rest, container, (None, ip)));
        wanted.extend(rest.into_iter().flat_map(|(container, places)| as_asked(container, places)));
        wanted.sort_unstable();
        let mut asked = self.all_bindings();
        asked.sort_unstable();
        (wanted != asked).then(|| self.publishing(wanted))
    }
}

/// The ports of the host that a binding may be on.
fn numbers(binding: &PortBinding) -> RangeInclusive<Option<u16>> {
    let PortRange { first, last } = binding.host.unwrap_or(PortRange { first: 0, last: u16::MAX });
    Some(first)..=Some(last)
}

/// Where a binding is: on a port of the host with such addresses, and open on the endpoint's own.
fn places_of(places: &Places, binding: &PortBinding, is_on: impl Fn(IpAddr) -> bool) -> Vec<Place> {
    let on = |host: Option<u16>, ips: &BTreeSet<IpAddr>| -> Vec<Place> {
        ips.iter().filter(|ip| is_on(**ip)).map(|ip| (host, *ip)).collect()
    };
    let mut published =
        places.range(numbers(binding)).map(|(host, ips)| on(*host, ips)).find(|on| !on.is_empty()).unwrap_or_default();
    published.extend(places.get(&None).into_iter().flat_map(|ips| on(None, ips)));
    published
}

/// Where a binding was, which no other is; but for what is open.
fn take_own(before: &mut BTreeMap<Port, Places>, binding: &PortBinding) -> Vec<Place> {
    let is_on = |ip| binding.host_ip.is_none_or(|wanted| wanted == ip);
    let own = before.get(&binding.container).map(|places| places_of(places, binding, is_on)).unwrap_or_default();
    own.iter().filter(|(host, _)| host.is_some()).for_each(|place| remove(before, binding.container, *place));
    own
}

/// Where a binding is that was elsewhere, as before another default gateway: on as many families of addresses.
fn explained(places: &Places, binding: &PortBinding, own: &[Place]) -> Option<Vec<Place>> {
    let found =
        places_of(places, binding, |ip| binding.host_ip.map_or_else(|| ip.is_unspecified(), |wanted| wanted == ip));
    let has_family = |is_ipv6: bool| found.iter().any(|(_, ip)| ip.is_ipv6() == is_ipv6);
    let mut all = own.iter().filter(|(_, ip)| ip.is_unspecified());
    (!found.is_empty() && all.all(|(_, ip)| has_family(ip.is_ipv6()))).then_some(found)
}

fn has(places: &Places, host: Option<u16>, ip: IpAddr) -> bool {
    places.get(&host).is_some_and(|ips| ips.contains(&ip))
}

fn remove(ports: &mut BTreeMap<Port, Places>, container: Port, (host, ip): Place) {
    let Some(places) = ports.get_mut(&container) else { return };
    let Some(ips) = places.get_mut(&host) else { return };
    ips.remove(&ip);
    if ips.is_empty() {
        places.remove(&host);
    }
}

/// Bindings that lead to this.
fn as_asked(container: Port, mut places: Places) -> Vec<PortBinding> {
    let mut open = places.remove(&None).unwrap_or_default();
    let mut bindings = Vec::new();
    for (host, mut ips) in places {
        let host = host.map(|number| PortRange { first: number, last: number });
        // What is open beside a family's addresses was asked for with them.
        let is_any = [ALL_IPV4, ALL_IPV6].iter().all(|all| ips.contains(all) || open.contains(all));
        if is_any && ips.iter().any(IpAddr::is_unspecified) {
            bindings.push(PortBinding { container, host_ip: None, host });
            ips.retain(|ip| !ip.is_unspecified());
            open.clear();
        }
        bindings.extend(ips.into_iter().map(|ip| PortBinding { container, host_ip: Some(ip), host }));
    }
    match open.len() {
        2 => bindings.push(PortBinding { container, host_ip: None, host: None }),
        _ => bindings.extend(open.into_iter().map(|ip| PortBinding { container, host_ip: Some(ip), host: None })),
    }
    bindings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::network::NetworkMode;
    use crate::container::network::tests::{binding, spec};

    /// `8080:80`, `:::8080:80`, `127.0.0.1:9000:84`; `open4:80` and `open6:80` on the endpoint's own address.
    fn run(text: &str) -> Run {
        let (at, text) = match text.split_once(':') {
            Some(("open4", number)) => (At::Endpoint { ipv6: false }, format!("{number}:{number}")),
            Some(("open6", number)) => (At::Endpoint { ipv6: true }, format!("{number}:{number}")),
            _ => (At::Host(binding(text).host_ip.unwrap_or(ALL_IPV4)), text.to_owned()),
        };
        let PortBinding { container: Port { protocol, number }, host, .. } = binding(&text);
        Run { protocol, at, host: host.unwrap().first, container: number, count: 1 }
    }

    fn published(gateway: &str, ports: &[&str]) -> Published {
        let gateway = Gateway { endpoint: gateway.to_owned(), ipv4: true, ipv6: false };
        Published {
            gateways: Some(gateway).filter(|gateway| !gateway.endpoint.is_empty()).into_iter().collect(),
            ports: ports.iter().map(|text| run(text)).collect(),
        }
    }

    fn follow(asked: &[&str], known: &Published, now: &Published) -> Option<Vec<PortBinding>> {
        let asked = asked.iter().map(|text| binding(text)).collect();
        let before = spec(NetworkMode::Network("bridge".into()), asked, &[7], false);
        before.following(known, now).map(|after| after.ports)
    }

    fn bindings(texts: &[&str]) -> Vec<PortBinding> {
        let mut all: Vec<_> = texts.iter().map(|text| binding(text)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn what_others_publish_is_asked_for_from_then_on() {
        let asked = ["8080:80", ":81", ":81", "8000-8009:82", "127.0.0.1:9000:84"];
        let known = ["8080:80", ":::8080:80", "32768:81", "32769:81", "8003:82", "127.0.0.1:9000:84"];
        let with = |more: &[&'static str]| [&known, more].concat();
        for (now, wanted) in [
            (with(&[]), None),
            (vec![], Some(vec![])),
            (with(&["8081:80", ":::8081:80"]), Some([&asked[..], &["8081:80"]].concat())),
            (with(&["8081:80"]), Some([&asked[..], &["0.0.0.0:8081:80"]].concat())),
            // One less, one elsewhere.
            (vec!["8080:80", ":::8080:80", "32769:81", "8003:82"], Some(vec!["8080:80", ":81", "8000-8009:82"])),
            (vec!["8010:82", "32770:81"], Some(vec!["0.0.0.0:8010:82", "0.0.0.0:32770:81"])),
            // Narrowed: no more than that is opened at the next start.
            (vec!["127.0.0.1:8080:80"], Some(vec!["127.0.0.1:8080:80"])),
            (vec!["8080:80"], Some(vec!["0.0.0.0:8080:80"])),
            (vec!["8080:80", "127.0.0.1:9001:84"], Some(vec!["0.0.0.0:8080:80", "127.0.0.1:9001:84"])),
            // Widened.
            (vec!["9000:84", ":::9000:84"], Some(vec!["9000:84"])),
        ] {
            let after = follow(&asked, &published("a", &known), &published("a", &now));
            assert_eq!(after, wanted.as_deref().map(bindings), "{now:?}");
        }
    }

    #[test]
    fn ports_on_the_endpoints_own_address_are_asked_for_without_one() {
        let both = ["8080:80", "open6:80"];
        let alone = ["open4:80", "open6:80"];
        for (known, now, wanted) in [
            (&both, vec!["8080:80", "open6:80", "8081:81", "open6:81"], Some(vec!["8080:80", "8081:81"])),
            (&both, vec!["8080:80", "open6:80", "open6:81"], Some(vec!["8080:80", "::::81"])),
            (&both, vec!["8080:80"], Some(vec!["0.0.0.0:8080:80"])),
            (&alone, vec!["open4:80", "open6:80", "open4:81", "open6:81"], Some(vec!["8080:80", ":81"])),
            (&alone, vec!["open4:81"], Some(vec!["0.0.0.0::81"])),
            (&alone, vec![], Some(vec![])),
        ] {
            let after = follow(&["8080:80"], &published("a", known), &published("a", &now));
            assert_eq!(after, wanted.as_deref().map(bindings), "{known:?} {now:?}");
        }
        // Two that are open at one place.
        let known = published("a", &["8080:80", "9090:80", "open6:80"]);
        let now = published("a", &["8080:80", "open6:80"]);
        assert_eq!(follow(&["8080:80", "9090:80"], &known, &now), Some(bindings(&["8080:80"])));
    }

    #[test]
    fn ports_that_change_with_the_default_gateway_are_told_from_those_that_somebody_changed() {
        let asked = ["8080:80", "127.0.0.1:9000:84"];
        let nat = ["8080:80", ":::8080:80", "127.0.0.1:9000:84"];
        for (known, now, wanted) in [
            (("a", &nat[..]), ("", vec![]), None),
            (("", &[]), ("a", nat.to_vec()), None),
            (("a", &nat), ("b", nat.to_vec()), None),
            (("a", &nat), ("b", vec!["open4:80", "open6:80", "127.0.0.1:9000:84"]), None),
            (("a", &nat), ("b", vec!["8080:80", "open6:80", "127.0.0.1:9000:84"]), None),
            (
                ("a", &nat),
                ("b", [&nat[..], &["8081:80", ":::8081:80"]].concat()),
                Some([&asked[..], &["8081:80"]].concat()),
            ),
            (("a", &nat), ("b", vec!["8080:80", ":::8080:80"]), Some(vec!["8080:80"])),
            (("a", &nat), ("b", vec!["127.0.0.1:8080:80"]), Some(vec!["127.0.0.1:8080:80"])),
            (("a", &nat), ("b", vec!["8080:80"]), Some(vec!["0.0.0.0:8080:80"])),
            (("", &[]), ("a", vec!["8081:80", ":::8081:80"]), Some(vec!["8081:80"])),
        ] {
            let after = follow(&asked, &published(known.0, known.1), &published(now.0, &now.1));
            assert_eq!(after, wanted.as_deref().map(bindings), "{known:?} {now:?}");
        }
    }

    #[test]
    fn what_publish_all_publishes_is_named_only_when_something_else_changes() {
        let before = spec(NetworkMode::Network("bridge".into()), vec![], &[80, 81], true);
        let known = published("a", &["32768:80", "32769:81"]);
        assert_eq!(before.following(&known, &known), None);
        assert_eq!(before.following(&published("", &[]), &known), None);
        let after = before.following(&known, &published("a", &["32769:81", "8080:80", ":::8080:80"])).unwrap();
        assert_eq!((after.ports, after.publish_all), (bindings(&[":81", "8080:80"]), false));
    }

    /// Were each port held against each other, it would take minutes, and the runner ends it.
    #[test]
    fn all_ports_of_a_host_are_compared_at_once() {
        let of = |host, container| Published {
            ports: vec![Run { protocol: Protocol::Tcp, at: At::Host(ALL_IPV4), host, container, count: 65_000 }],
            ..published("a", &[])
        };
        let asked = |host: bool| {
            let one = |number: u16| PortBinding {
                container: Port { protocol: Protocol::Tcp, number },
                host_ip: None,
                host: host.then_some(PortRange { first: number, last: number }),
            };
            spec(NetworkMode::Network("bridge".into()), (1..=65_000).map(one).collect(), &[], false)
        };
        for exact in [true, false] {
            assert_eq!(asked(exact).following(&of(1, 1), &of(2, 1)).unwrap().ports.len(), 65_000);
        }
        let moved = Published { gateways: published("b", &[]).gateways, ..of(1, 1) };
        let more = Run { container: 65_001, host: 65_001, count: 1, ..of(1, 1).ports[0].clone() };
        let ports = [moved.ports, vec![more]].concat();
        let after = asked(true).following(&of(1, 1), &Published { ports, ..moved }).unwrap();
        assert_eq!(after.ports.len(), 65_001);
    }
}

//! Changes of the ports that a container publishes: which bindings come and go. Pure values.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use cnm::api::{PortRange, PublishedPort};

use super::network::{NetworkMode, NetworkSpec, Port, PortBinding, Protocol};
use crate::error::{Error, Result};

/// Ports that come and ports that go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortChange {
    /// To publish.
    pub add: Vec<PortBinding>,
    /// Published, by where they are on the host.
    pub remove: Vec<HostPortRange>,
}

/// Where ports are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPortRange {
    /// Their protocol.
    pub protocol: Protocol,
    /// The host's address as it was named when they were published; any without it.
    pub host_ip: Option<IpAddr>,
    /// The ports.
    pub ports: PortRange,
}

impl NetworkSpec {
    /// What a container is to publish after a change; `live` are its ports as they are, while it runs. What isn't named stays as
    /// it was.
    ///
    /// # Errors
    /// When its network mode has no ports to publish, a port is published already, or one that is to go isn't.
    pub fn with_ports(&self, name: &str, change: &PortChange, live: Option<&[PublishedPort]>) -> Result<Self> {
        refuse_mode(&self.mode, name)?;
        let mut bindings = Bindings::of(self.all_bindings());
        let live_ports = LivePorts::of(live.unwrap_or_default());
        let known = if live.is_some() { Known::Live } else { Known::Named };
        for range in &change.remove {
            for number in range.ports.first..=range.ports.last {
                bindings.remove(name, *range, number, &live_ports, known)?;
            }
        }
        for binding in &change.add {
            // Who isn't told which port it gets can't be in anybody's way.
            if let Some(host) = binding.host.filter(|range| range.first == range.last) {
                bindings.check_free(name, binding, host.first)?;
            }
            bindings.push(*binding);
        }
        Ok(self.publishing(bindings.all.into_iter().flatten().collect()))
    }

    /// What a container is to publish if it publishes these ports now: what was asked for and leads to some of them stays as it
    /// was asked for, further ones are asked for by their numbers.
    pub fn as_published(&self, live: &[PublishedPort]) -> Self {
        let mut open = LivePorts::of(live).by_container();
        let mut wanted = self.all_bindings();
        // Those that say the most have the first choice.
        wanted.sort_by_key(|binding| Reverse((Fit::of(binding), binding.host_ip.is_some())));
        wanted.retain(|binding| {
            let Some(ports) = open.get_mut(&binding.container) else { return false };
            let explained = ports.iter_mut().find_map(|(number, addresses)| {
                let is_it = includes(binding, *number)
                    && addresses.iter().any(|ip| binding.host_ip.is_none_or(|wanted| wanted == *ip));
                is_it.then_some((*number, addresses))
            });
            let Some((number, addresses)) = explained else { return false };
            addresses.retain(|ip| binding.host_ip.is_some_and(|wanted| wanted != *ip));
            if addresses.is_empty() {
                ports.remove(&number);
            }
            true
        });
        for (container, ports) in open {
            for (number, addresses) in ports {
                let host = Some(PortRange { first: number, last: number });
                let is_any = [IpAddr::from([0; 4]), IpAddr::from([0; 16])].iter().all(|any| addresses.contains(any));
                if is_any {
                    wanted.push(PortBinding { container, host_ip: None, host });
                }
                let named = addresses.into_iter().filter(|ip| !(is_any && ip.is_unspecified()));
                wanted.extend(named.map(|ip| PortBinding { container, host_ip: Some(ip), host }));
            }
        }
        self.publishing(wanted)
    }

    fn publishing(&self, mut ports: Vec<PortBinding>) -> Self {
        ports.sort_unstable();
        Self { ports, publish_all: false, ..self.clone() }
    }
}

fn refuse_mode(mode: &NetworkMode, name: &str) -> Result<()> {
    let why = match mode {
        NetworkMode::Network(_) => return Ok(()),
        NetworkMode::Host => {
            "is in the host's network namespace (--network host): its programs listen on the host itself"
        }
        NetworkMode::None => "has no network (--network none): create it on one",
        NetworkMode::Container(id) => {
            return Err(Error::invalid(format!(
                "conflicting options: port publishing and the container type network mode: publish ports of container {} \
                 instead, whose network container {name} is in",
                super::short(id)
            )));
        }
    };
    Err(Error::invalid(format!("ports of container {name} can't be published: it {why}")))
}

/// How well a binding explains a port of the host that is published: by its very number, as one of a range, or as any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Any,
    OneOf,
    Exact,
}

impl Fit {
    /// How well it does at the best.
    fn of(binding: &PortBinding) -> Self {
        match binding.host {
            None => Self::Any,
            Some(range) if range.first == range.last => Self::Exact,
            Some(_) => Self::OneOf,
        }
    }
}

/// What is known of a container's ports: those that it has, or those that it is to have.
#[derive(Clone, Copy)]
enum Known {
    Live,
    Named,
}

/// Ports of the host that lead to a container: the address there, and the port that each leads to.
struct LivePorts(HashMap<(Protocol, u16), Vec<(IpAddr, u16)>>);

impl LivePorts {
    fn of(live: &[PublishedPort]) -> Self {
        let mut ports: HashMap<_, Vec<_>> = HashMap::new();
        for range in live {
            let Some(protocol) = Protocol::from_name(&range.protocol) else { continue };
            for (host, container) in
                (range.host_first..=u16::MAX).zip(range.container_first..=u16::MAX).take(range.count.into())
            {
                ports.entry((protocol, host)).or_default().push((range.host_ip, container));
            }
        }
        Self(ports)
    }

    fn leading_from(&self, protocol: Protocol, host: u16) -> &[(IpAddr, u16)] {
        self.0.get(&(protocol, host)).map_or(&[], Vec::as_slice)
    }

    /// The same by where they lead: the ports of the host, and the addresses there.
    fn by_container(self) -> BTreeMap<Port, BTreeMap<u16, Vec<IpAddr>>> {
        let mut ports: BTreeMap<Port, BTreeMap<u16, Vec<IpAddr>>> = BTreeMap::new();
        for ((protocol, host), leads) in self.0 {
            for (ip, number) in leads {
                ports.entry(Port { protocol, number }).or_default().entry(host).or_default().push(ip);
            }
        }
        ports
    }
}

/// Bindings, found by the port that they name: there may be as many of them as ports, and as many to be removed.
#[derive(Default)]
struct Bindings {
    /// None where one was removed.
    all: Vec<Option<PortBinding>>,
    /// Those that name one port of the host, by that.
    exact: HashMap<(Protocol, u16), Vec<usize>>,
    /// The others, by the container's port.
    loose: HashMap<Port, Vec<usize>>,
}

impl Bindings {
    fn of(bindings: Vec<PortBinding>) -> Self {
        let mut all = Self::default();
        bindings.into_iter().for_each(|binding| all.push(binding));
        all
    }

    fn push(&mut self, binding: PortBinding) {
        let places = match (Fit::of(&binding), binding.host) {
            (Fit::Exact, Some(host)) => self.exact.entry((binding.container.protocol, host.first)).or_default(),
            _ => self.loose.entry(binding.container).or_default(),
        };
        places.push(self.all.len());
        self.all.push(Some(binding));
    }

    /// Takes away what publishes a port of the host.
    fn remove(&mut self, name: &str, asked: HostPortRange, number: u16, live: &LivePorts, known: Known) -> Result<()> {
        let protocol = asked.protocol.as_str();
        let on = asked.host_ip.map_or_else(String::new, |ip| format!(" on {ip}"));
        let places = self.explaining(asked, number, live);
        let mut gone: Vec<PortBinding> = places.iter().filter_map(|place| self.all[*place]).collect();
        gone.sort_unstable();
        let Some(first) = gone.first() else {
            let by = match known {
                Known::Live => format!("published by container {name}"),
                Known::Named => format!("among those that container {name} names for its next start"),
            };
            return Err(Error::not_found(format!("port {number}/{protocol}{on} of the host is not {by}")));
        };
        if gone.windows(2).any(|two| two[0] == two[1]) {
            return Err(Error::conflict(format!(
                "port {number}/{protocol}{on} can't be removed alone: container port {} is published more than once on ports \
                 that berth chose",
                first.container
            )));
        }
        places.into_iter().for_each(|place| self.all[place] = None);
        Ok(())
    }

    /// Where those are that explain a port of the host best.
    fn explaining(&self, asked: HostPortRange, number: u16, live: &LivePorts) -> BTreeSet<usize> {
        let protocol = asked.protocol;
        let is_asked = |place: &usize| {
            self.all[*place].is_some_and(|binding| asked.host_ip.is_none_or(|ip| binding.host_ip == Some(ip)))
        };
        let exact = self.exact.get(&(protocol, number)).into_iter().flatten().copied().filter(is_asked);
        let exact: BTreeSet<usize> = exact.collect();
        if !exact.is_empty() {
            return exact;
        }
        let mut fits = Vec::new();
        for (ip, container) in live.leading_from(protocol, number) {
            let loose = self.loose.get(&Port { protocol, number: *container }).into_iter().flatten().copied();
            fits.extend(loose.filter(is_asked).filter_map(|place| {
                let binding = self.all[place]?;
                let leads = binding.host_ip.is_none_or(|wanted| wanted == *ip) && includes(&binding, number);
                leads.then_some((Fit::of(&binding), place))
            }));
        }
        let best = fits.iter().map(|(fit, _)| *fit).max();
        fits.into_iter().filter(|(fit, _)| Some(*fit) == best).map(|(_, place)| place).collect()
    }

    /// Refuses a port of the host that another binding of the container names.
    fn check_free(&self, name: &str, wanted: &PortBinding, number: u16) -> Result<()> {
        let protocol = wanted.container.protocol;
        let mut others = self.exact.get(&(protocol, number)).into_iter().flatten().filter_map(|place| self.all[*place]);
        if others.any(|other| addresses_meet(other.host_ip, wanted.host_ip)) {
            let on = wanted.host_ip.map_or_else(String::new, |ip| format!(" on {ip}"));
            return Err(Error::conflict(format!(
                "port {number}/{}{on} is already published by container {name}: port is already allocated",
                protocol.as_str()
            )));
        }
        Ok(())
    }
}

/// Whether a binding may be on a port of the host.
fn includes(binding: &PortBinding, number: u16) -> bool {
    binding.host.is_none_or(|range| (range.first..=range.last).contains(&number))
}

/// Whether one address is or includes the other.
fn addresses_meet(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::network::tests::{binding, range, spec};

    /// `8080`, `127.0.0.1:8080-8081`.
    fn at(text: &str) -> HostPortRange {
        let (ip, ports) = text.rsplit_once(':').unwrap_or(("", text));
        let host_ip = (!ip.is_empty()).then(|| ip.parse().unwrap());
        HostPortRange { protocol: Protocol::Tcp, host_ip, ports: range(ports) }
    }

    fn published(text: &str) -> PublishedPort {
        let PortBinding { container, host_ip, host } = binding(text);
        PublishedPort {
            protocol: "tcp".into(),
            host_ip: host_ip.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()),
            host_first: host.unwrap().first,
            container_first: container.number,
            count: 1,
        }
    }

    #[test]
    fn what_comes_and_goes() {
        let live = ["8080:80", "32768:81", "8003:82", "32769:83", "127.0.0.1:9000:84"].map(published);
        let there = ["8080:80", ":81", "8000-8009:82", "127.0.0.1:9000:84"];
        for (remove, add, left) in [
            (vec!["8080"], vec![], Ok(vec![":81", "8000-8009:82", "127.0.0.1:9000:84"])),
            (vec!["32768", "8003"], vec![], Ok(vec!["8080:80", "127.0.0.1:9000:84"])),
            (vec!["127.0.0.1:9000"], vec!["9000:85"], Ok(vec!["8080:80", ":81", "8000-8009:82", "9000:85"])),
            (vec!["8080"], vec!["8080:99"], Ok(vec![":81", "8000-8009:82", "127.0.0.1:9000:84", "8080:99"])),
            (vec![], vec![":80"], Ok(vec![":80", "8080:80", ":81", "8000-8009:82", "127.0.0.1:9000:84"])),
            (vec!["8081"], vec![], Err("port 8081/tcp of the host is not published by container web")),
            (vec!["8080-8081"], vec![], Err("port 8081/tcp of the host is not published")),
            (vec!["8000"], vec![], Err("port 8000/tcp of the host is not published")),
            (vec!["127.0.0.1:8080"], vec![], Err("port 8080/tcp on 127.0.0.1 of the host is not published")),
            (
                vec![],
                vec!["127.0.0.1:8080:85"],
                Err("port 8080/tcp on 127.0.0.1 is already published by container web"),
            ),
            (vec![], vec!["7000:1", "7000:2"], Err("port 7000/tcp is already published by container web: port is")),
        ] {
            let before = spec(NetworkMode::Network("bridge".into()), there.map(binding).to_vec(), &[], false);
            let change = PortChange {
                add: add.iter().map(|text| binding(text)).collect(),
                remove: remove.iter().map(|text| at(text)).collect(),
            };
            match (before.with_ports("web", &change, Some(&live)), left) {
                (Ok(after), Ok(left)) => {
                    let mut left: Vec<_> = left.into_iter().map(binding).collect();
                    left.sort_unstable();
                    assert_eq!(after.ports, left, "{remove:?} {add:?}");
                }
                (Err(error), Err(part)) => assert!(error.message().contains(part), "{}", error.message()),
                (other, _) => panic!("{remove:?} {add:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn of_a_stopped_container_only_what_it_names_can_go() {
        let before = spec(NetworkMode::Network("bridge".into()), ["8080:80", ":81"].map(binding).to_vec(), &[], false);
        let remove = |text| PortChange { add: vec![], remove: vec![at(text)] };
        assert_eq!(before.with_ports("web", &remove("8080"), None).unwrap().ports, [binding(":81")]);
        let error = before.with_ports("web", &remove("32768"), None).unwrap_err().message();
        assert_eq!(error, "port 32768/tcp of the host is not among those that container web names for its next start");
    }

    #[test]
    fn what_publish_all_publishes_stays_when_something_else_changes() {
        let before = spec(NetworkMode::Network("bridge".into()), vec![], &[80, 443], true);
        let live = ["32768:80", "32769:443"].map(published);
        let change = PortChange { add: vec![binding("8080:80")], remove: vec![at("32769")] };
        let after = before.with_ports("web", &change, Some(&live)).unwrap();
        assert_eq!((after.ports, after.publish_all), (vec![binding(":80"), binding("8080:80")], false));
        let two = spec(NetworkMode::Network("bridge".into()), [":80", ":80"].map(binding).to_vec(), &[], false);
        let live = ["32768:80", "32769:80"].map(published);
        let change = PortChange { add: vec![], remove: vec![at("32769")] };
        let error = two.with_ports("web", &change, Some(&live)).unwrap_err().message();
        assert!(error.contains("container port 80/tcp is published more than once"), "{error}");
    }

    /// Were each port held against each other, it would take minutes, and the runner ends it.
    #[test]
    fn all_ports_of_a_host_come_and_go_at_once() {
        const ALL: std::ops::RangeInclusive<u16> = 1..=u16::MAX;
        let network = |ports| spec(NetworkMode::Network("bridge".into()), ports, &[], false);
        let port = |host| PortBinding { host, ..binding(":1") };
        let to = |number| Port { protocol: Protocol::Tcp, number };
        let exact = ALL.map(|number| PortBinding {
            container: to(number),
            ..port(Some(PortRange { first: number, last: number }))
        });
        let any = ALL.map(|number| PortBinding { container: to(number), ..port(None) });
        let live = ALL.map(|number| PublishedPort { host_first: number, container_first: number, ..published("1:1") });
        let live: Vec<_> = live.collect();
        let remove = PortChange { add: vec![], remove: vec![at("1-65535")] };
        for ports in [exact.clone().collect::<Vec<_>>(), any.collect()] {
            assert_eq!(network(ports).with_ports("web", &remove, Some(&live)).unwrap().ports, []);
        }
        let exact: Vec<_> = exact.collect();
        let add = PortChange { add: exact.clone(), remove: vec![] };
        assert_eq!(network(vec![]).with_ports("web", &add, Some(&[])).unwrap().ports, exact);
        assert_eq!(network(exact).as_published(&live).ports.len(), live.len());
    }

    #[test]
    fn what_others_publish_is_asked_for_from_then_on() {
        let there = ["8080:80", ":81", ":81", "8000-8009:82", "127.0.0.1:9000:84", "9000:84"];
        for (live, wanted) in [
            // Nothing else than what was asked for.
            (
                vec![
                    "8080:80",
                    ":::8080:80",
                    "32768:81",
                    "32769:81",
                    "8003:82",
                    "127.0.0.1:9000:84",
                    "9000:84",
                    ":::9000:84",
                ],
                there.to_vec(),
            ),
            (vec![], vec![]),
            (vec!["8080:80", "32768:81"], vec!["8080:80", ":81"]),
            (vec!["32768:81", ":::32768:81", "8010:82"], vec![":81", "0.0.0.0:8010:82"]),
            (vec!["8081:80", ":::8081:80", "127.0.0.1:8082:80"], vec!["8081:80", "127.0.0.1:8082:80"]),
        ] {
            let before = spec(NetworkMode::Network("bridge".into()), there.map(binding).to_vec(), &[7], true);
            let live: Vec<_> = live.into_iter().map(published).collect();
            let mut wanted: Vec<_> = wanted.into_iter().map(binding).collect();
            let after = before.as_published(&live);
            wanted.sort_unstable();
            assert_eq!((after.ports, after.publish_all), (wanted, false), "{live:?}");
        }
    }

    #[test]
    fn without_a_network_of_its_own_there_is_nothing_to_publish() {
        let id: runtime::spec::Id = "0123456789abcdef".parse().unwrap();
        for (mode, part) in [
            (NetworkMode::Host, "it is in the host's network namespace (--network host)"),
            (NetworkMode::None, "it has no network (--network none)"),
            (NetworkMode::Container(id), "publish ports of container 0123456789ab instead"),
        ] {
            let error = spec(mode, vec![], &[], false).with_ports("web", &PortChange::default(), None).unwrap_err();
            assert!(error.message().contains(part), "{}", error.message());
        }
    }
}

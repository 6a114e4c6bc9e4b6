//! Changes of the ports that a container publishes: which bindings come and go. Pure values.

use std::net::IpAddr;

use cnm::api::{PortRange, PublishedPort};

use super::bindings::{Bindings, Known, LivePorts};
use super::network::{NetworkMode, NetworkSpec, PortBinding, Protocol};
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
        Ok(self.publishing(bindings.left()))
    }

    pub(super) fn publishing(&self, mut ports: Vec<PortBinding>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::network::Port;
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

//! Changes of the ports that a container publishes: which bindings come and go. Pure values.

use std::net::IpAddr;

use cnm::api::{PortRange, PublishedPort};

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
        let mut ports = self.all_bindings();
        for range in &change.remove {
            for number in range.ports.first..=range.ports.last {
                remove(&mut ports, name, *range, number, live)?;
            }
        }
        for binding in &change.add {
            // Who isn't told which port it gets can't be in anybody's way.
            if let Some(host) = binding.host.filter(|range| range.first == range.last) {
                check_free(&ports, name, binding, host.first)?;
            }
            ports.push(*binding);
        }
        ports.sort_unstable();
        Ok(Self { ports, publish_all: false, ..self.clone() })
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

/// Takes away what publishes a port of the host.
fn remove(
    ports: &mut Vec<PortBinding>,
    name: &str,
    asked: HostPortRange,
    number: u16,
    live: Option<&[PublishedPort]>,
) -> Result<()> {
    let fits: Vec<Option<Fit>> = ports.iter().map(|binding| fit(binding, asked, number, live)).collect();
    let protocol = asked.protocol.as_str();
    let on = asked.host_ip.map_or_else(String::new, |ip| format!(" on {ip}"));
    let Some(best) = fits.iter().flatten().max().copied() else {
        let by = match live {
            Some(_) => format!("published by container {name}"),
            None => format!("among those that container {name} names for its next start"),
        };
        return Err(Error::not_found(format!("port {number}/{protocol}{on} of the host is not {by}")));
    };
    let gone: Vec<PortBinding> =
        ports.iter().zip(&fits).filter(|(_, fit)| **fit == Some(best)).map(|(binding, _)| *binding).collect();
    if gone.iter().enumerate().any(|(index, binding)| gone[..index].contains(binding)) {
        return Err(Error::conflict(format!(
            "port {number}/{protocol}{on} can't be removed alone: container port {} is published more than once on ports that \
             berth chose",
            gone[0].container
        )));
    }
    ports.retain(|binding| !gone.contains(binding));
    Ok(())
}

fn fit(binding: &PortBinding, asked: HostPortRange, number: u16, live: Option<&[PublishedPort]>) -> Option<Fit> {
    let is_it =
        binding.container.protocol == asked.protocol && asked.host_ip.is_none_or(|ip| binding.host_ip == Some(ip));
    if !is_it {
        return None;
    }
    let fit = match binding.host {
        None => Fit::Any,
        Some(range) if range.first == range.last => return (range.first == number).then_some(Fit::Exact),
        Some(range) if (range.first..=range.last).contains(&number) => Fit::OneOf,
        Some(_) => return None,
    };
    let leads_there = |port: &PublishedPort| {
        let offset = number.checked_sub(port.host_first).filter(|offset| *offset < port.count);
        port.protocol == binding.container.protocol.as_str()
            && offset.is_some_and(|offset| port.container_first + offset == binding.container.number)
            && binding.host_ip.is_none_or(|wanted| wanted == port.host_ip)
    };
    live?.iter().any(leads_there).then_some(fit)
}

/// Refuses a port of the host that another binding of the container names.
fn check_free(ports: &[PortBinding], name: &str, wanted: &PortBinding, number: u16) -> Result<()> {
    let meets = |other: &&PortBinding| {
        other.container.protocol == wanted.container.protocol
            && other.host == Some(PortRange { first: number, last: number })
            && addresses_meet(other.host_ip, wanted.host_ip)
    };
    if ports.iter().any(|other| meets(&other)) {
        let (protocol, on) = (wanted.container.protocol.as_str(), wanted.host_ip);
        let on = on.map_or_else(String::new, |ip| format!(" on {ip}"));
        return Err(Error::conflict(format!(
            "port {number}/{protocol}{on} is already published by container {name}: port is already allocated"
        )));
    }
    Ok(())
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

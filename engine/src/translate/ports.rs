//! Changes of published ports between a request's words and ours, and how inspect shows what is to be published.

use std::net::IpAddr;

use cnm::api::PortRange;

use crate::container::network::{PortBinding, Protocol};
use crate::container::ports::{HostPortRange, PortChange};
use crate::error::{Error, Result};
use crate::translate::create;
use crate::wire::models::{HostConfig, PortBinding as BindingModel, PortMap};
use crate::wire::ports::PortsRequest;

/// The change that a request asks for.
pub(crate) fn change(request: PortsRequest) -> Result<PortChange> {
    let host = HostConfig { port_bindings: request.add, ..HostConfig::default() };
    let remove = request.remove.unwrap_or_default();
    let change = PortChange {
        add: create::port_bindings(&host)?,
        remove: remove.iter().map(|text| host_ports(text)).collect::<Result<_>>()?,
    };
    if change == PortChange::default() {
        return Err(Error::invalid("no port is named: give ports to add, to remove, or both"));
    }
    Ok(change)
}

/// `[IP:]PORT[-END][/PROTOCOL]`, on the host.
fn host_ports(text: &str) -> Result<HostPortRange> {
    parse_host_ports(text).ok_or_else(|| {
        Error::invalid(format!(
            "invalid port specification: \"{text}\": a port of the host from 1 to 65535 is expected, as in 8080, \
             8080-8090/udp or 127.0.0.1:8080"
        ))
    })
}

fn parse_host_ports(text: &str) -> Option<HostPortRange> {
    let (place, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (ip, ports) = place.rsplit_once(':').map_or((None, place), |(ip, ports)| (Some(ip), ports));
    let bare = ip.map(|ip| ip.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(ip));
    let host_ip: Option<IpAddr> = bare.map(str::parse).transpose().ok()?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let ports = PortRange { first: number(first)?, last: number(last)? };
    let protocol = Protocol::from_name(protocol)?;
    (ports.first > 0 && ports.first <= ports.last).then_some(HostPortRange { protocol, host_ip, ports })
}

/// `HostConfig.PortBindings` of inspect.
pub(crate) fn port_map(bindings: &[PortBinding]) -> PortMap {
    let mut map = PortMap::new();
    for binding in bindings {
        let host_port = match binding.host {
            None => String::new(),
            Some(PortRange { first, last }) if first == last => first.to_string(),
            Some(PortRange { first, last }) => format!("{first}-{last}"),
        };
        let host_ip = binding.host_ip.map_or_else(String::new, |ip| ip.to_string());
        let model = BindingModel { host_ip: Some(host_ip), host_port: Some(host_port) };
        map.entry(binding.container.to_string()).or_default().get_or_insert_default().push(model);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(text: &str) -> Result<PortChange> {
        change(PortsRequest { add: None, remove: Some(vec![text.to_owned()]) })
    }

    #[test]
    fn ports_of_the_host_are_named_with_address_range_and_protocol() {
        for (text, protocol, ip, first, last) in [
            ("8080", Protocol::Tcp, None, 8080, 8080),
            ("8080/UDP", Protocol::Udp, None, 8080, 8080),
            ("5000-5009/sctp", Protocol::Sctp, None, 5000, 5009),
            ("127.0.0.1:80/tcp", Protocol::Tcp, Some("127.0.0.1"), 80, 80),
            ("[::1]:80", Protocol::Tcp, Some("::1"), 80, 80),
            ("::1:80", Protocol::Tcp, Some("::1"), 80, 80),
        ] {
            let expected =
                HostPortRange { protocol, host_ip: ip.map(|ip| ip.parse().unwrap()), ports: PortRange { first, last } };
            assert_eq!(removal(text).unwrap().remove, [expected], "{text}");
        }
        for text in ["", "0", "http", "8080:80", "65536", "+80", "9-8", "80/icmp", "1.2.3:80", "80-", "0-8"] {
            let error = removal(text).unwrap_err().message();
            assert!(
                error.starts_with(&format!("invalid port specification: \"{text}\": a port of the host")),
                "{error}"
            );
        }
        let nothing = change(PortsRequest { add: None, remove: None }).unwrap_err();
        assert_eq!(nothing.message(), "no port is named: give ports to add, to remove, or both");
    }

    #[test]
    fn bindings_are_shown_as_they_were_asked_for() {
        let binding = |host_ip: &str, host_port: &str| BindingModel {
            host_ip: Some(host_ip.to_owned()),
            host_port: Some(host_port.to_owned()),
        };
        let asked = PortMap::from([
            ("80/tcp".to_owned(), Some(vec![binding("", ""), binding("127.0.0.1", "8080")])),
            ("53/udp".to_owned(), Some(vec![binding("::1", "5300-5309")])),
        ]);
        let request = PortsRequest { add: Some(asked.clone()), remove: None };
        assert_eq!(port_map(&change(request).unwrap().add), asked);
    }
}

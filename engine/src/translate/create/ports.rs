//! Published and exposed ports, name servers and further names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cnm::api::PortRange;

use crate::container::network::{ExtraHost, Link, NetworkMode, NetworkSpec, Port, PortBinding, Protocol};
use crate::error::{Error, Result};
use crate::wire::models::{ContainerConfig, HostConfig};

/// Refuses what a request asks of a network that is another container's. What its image exposes is no request. Of several
/// things, Docker names the one that comes first here.
pub(super) fn refuse_shared(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    if !host.network_mode.as_deref().is_some_and(|mode| mode.starts_with("container:")) {
        return Ok(());
    }
    let any = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let publishes = host.port_bindings.as_ref().is_some_and(|bindings| !bindings.is_empty());
    let refused = [
        (any(&host.dns), "dns and the network mode"),
        (any(&host.extra_hosts), "custom host-to-IP mapping and the network mode"),
        (
            publishes || host.publish_all_ports.unwrap_or_default(),
            "port publishing and the container type network mode",
        ),
        (any(&config.exposed_ports), "port exposing and the container type network mode"),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, what)) => Err(Error::invalid(format!("conflicting options: {what}"))),
        None => Ok(()),
    }
}

pub(super) fn network_spec(
    config: &ContainerConfig,
    host: &HostConfig,
    mode: &NetworkMode,
    links: Vec<Link>,
    warnings: &mut Vec<String>,
) -> Result<NetworkSpec> {
    let ports = bindings(host)?;
    let mut exposed = exposed(config)?;
    exposed.extend(ports.iter().map(|binding| binding.container));
    let publish_all = host.publish_all_ports.unwrap_or_default();
    let dns_servers = addresses(host.dns.iter().flatten())?;
    let extra_hosts = host.extra_hosts.iter().flatten().map(|line| extra_host(line)).collect::<Result<Vec<_>>>()?;
    if *mode == NetworkMode::Host && !ports.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    Ok(NetworkSpec {
        mode: mode.clone(),
        ports,
        exposed,
        publish_all,
        dns_servers,
        dns_search: words(&host.dns_search, "DNS search domain")?,
        dns_options: words(&host.dns_options, "DNS option")?,
        extra_hosts,
        links,
    })
}

/// `80/tcp`; the protocol may be left out.
fn port(text: &str) -> Result<Port> {
    let invalid = || Error::invalid(format!("invalid port specification: \"{text}\""));
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = Protocol::from_name(protocol).ok_or_else(|| Error::invalid(format!("invalid proto: {protocol}")))?;
    let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(invalid)?;
    Ok(Port { protocol, number })
}

/// Exposed ports may be ranges.
fn exposed(config: &ContainerConfig) -> Result<BTreeSet<Port>> {
    let mut all = BTreeSet::new();
    for text in config.exposed_ports.iter().flatten() {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let (first, last) = (port(&format!("{first}/{protocol}"))?, port(&format!("{last}/{protocol}"))?);
        if first.number > last.number {
            return Err(Error::invalid(format!("invalid port specification: \"{text}\"")));
        }
        all.extend((first.number..=last.number).map(|number| Port { number, ..first }));
    }
    Ok(all)
}

/// The ports that a request publishes.
pub(crate) fn bindings(host: &HostConfig) -> Result<Vec<PortBinding>> {
    let mut all = Vec::new();
    let wanted: BTreeMap<_, _> = host.port_bindings.iter().flatten().collect();
    for (text, bindings) in wanted {
        let container = port(text)?;
        let bindings = bindings.as_deref().unwrap_or_default();
        // A port that is to be published, and nothing said of where.
        if bindings.is_empty() {
            all.push(PortBinding { container, host_ip: None, host: None });
        }
        for binding in bindings {
            let host_ip = match binding.host_ip.as_deref().unwrap_or_default() {
                "" => None,
                ip => Some(ip.parse().map_err(|_| Error::invalid(format!("invalid IP address: {ip}")))?),
            };
            let host = host_range(binding.host_port.as_deref().unwrap_or_default())?;
            all.push(PortBinding { container, host_ip, host });
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// `8080`, `8000-8010`; nothing and `0` stand for any free port.
fn host_range(text: &str) -> Result<Option<PortRange>> {
    let invalid = || Error::invalid(format!("invalid port specification: \"{text}\""));
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?);
    if first == 0 || first > last {
        return Err(invalid());
    }
    Ok(Some(PortRange { first, last }))
}

fn addresses<'a>(texts: impl Iterator<Item = &'a String>) -> Result<Vec<IpAddr>> {
    texts.map(|text| text.parse().map_err(|_| Error::invalid(format!("bad format for IP address: {text}")))).collect()
}

/// Single words: white space would begin another word or line of `resolv.conf`.
fn words(list: &Option<Vec<String>>, what: &str) -> Result<Vec<String>> {
    let words = list.clone().unwrap_or_default();
    match words.iter().find(|word| word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control())) {
        Some(word) => Err(Error::invalid(format!("invalid {what} {word:?}: it must be one word"))),
        None => Ok(words),
    }
}

/// `name:address`; IPv6 addresses contain colons themselves. `host-gateway` stands for the host.
fn extra_host(line: &str) -> Result<ExtraHost> {
    let invalid = || Error::invalid(format!("bad format for add-host: \"{line}\""));
    let (name, address) = line.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(invalid)?;
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(invalid());
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let address = match bare {
        "host-gateway" => None,
        text => Some(text.parse().map_err(|_| Error::invalid(format!("invalid IP address in add-host: \"{text}\"")))?),
    };
    Ok(ExtraHost { name: name.to_owned(), address })
}

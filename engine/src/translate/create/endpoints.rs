//! Which networks a container is on, with which fixed addresses and names.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::links;
use crate::container::network::{NetworkMode, WantedEndpoint};
use crate::error::{Error, Result};
use crate::wire::create::CreateBody;
use crate::wire::models::{EndpointSettings, HostConfig};

/// The endpoints of a new container, that of its network mode first. The default network is only for who names none.
pub(super) fn wanted(body: &CreateBody, mode: &NetworkMode) -> Result<Vec<WantedEndpoint>> {
    let mut configured: BTreeMap<String, WantedEndpoint> = BTreeMap::new();
    for (name, settings) in body.networking.endpoints_config.iter().flatten() {
        let name = if name == "default" { "bridge" } else { name };
        configured.insert(name.to_owned(), endpoint(name, settings)?);
    }
    let Some(first) = mode.network() else {
        return match configured.is_empty() && body.mac_address.is_none() {
            true => Ok(Vec::new()),
            false => Err(Error::invalid("conflicting options: mac-address and the network mode")),
        };
    };
    let named = configured.remove(first).or_else(|| (first != "bridge").then(|| WantedEndpoint::on(first)));
    let named = named.or_else(|| configured.pop_first().map(|(_, endpoint)| endpoint));
    let mut primary = named.unwrap_or_else(|| WantedEndpoint::on(first));
    merge_mac(&mut primary, body.mac_address.as_deref())?;
    merge_links(&mut primary, &body.host)?;
    check_mode(mode, &primary, !configured.is_empty())?;
    let mut all = vec![primary];
    all.extend(configured.into_values());
    Ok(all)
}

/// Names are resolved on networks that a user made; the predefined ones have no aliases.
pub(super) fn is_user_defined(network: &str) -> bool {
    !matches!(network, "bridge" | "host" | "none")
}

fn check_mode(mode: &NetworkMode, primary: &WantedEndpoint, others: bool) -> Result<()> {
    let fixed = primary.ipv4.is_some() || primary.ipv6.is_some();
    match mode {
        NetworkMode::Host | NetworkMode::None if others => Err(Error::invalid(format!(
            "conflicting options: network mode {} and further networks",
            mode.network().unwrap_or_default()
        ))),
        NetworkMode::Host if primary.mac.is_some() => {
            Err(Error::invalid("conflicting options: mac-address and the network mode"))
        }
        _ if fixed && !primary.has_names() => Err(Error::invalid(
            "invalid config for network: user specified IP address is supported on user defined networks only",
        )),
        _ if !primary.aliases.is_empty() && !primary.has_names() => {
            Err(Error::invalid("network-scoped aliases are only supported for user-defined networks"))
        }
        _ => Ok(()),
    }
}

/// Links of a container as a whole, if its first network is one on which names are resolved: there they are aliases.
fn merge_links(primary: &mut WantedEndpoint, host: &HostConfig) -> Result<()> {
    if is_user_defined(&primary.network) && primary.links.is_empty() {
        primary.links = host.links.clone().unwrap_or_default();
        primary.links.iter().try_for_each(|link| links::parse(link).map(drop))?;
    }
    Ok(())
}

fn merge_mac(primary: &mut WantedEndpoint, container_wide: Option<&str>) -> Result<()> {
    let Some(container_wide) = container_wide else { return Ok(()) };
    let container_wide = mac(container_wide)?;
    match &primary.mac {
        Some(own) if *own != container_wide => Err(Error::invalid(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network",
        )),
        _ => {
            primary.mac = Some(container_wide);
            Ok(())
        }
    }
}

/// One endpoint as a client asks for it, also by `network connect`.
pub(crate) fn endpoint(network: &str, settings: &EndpointSettings) -> Result<WantedEndpoint> {
    let links = settings.links.clone().unwrap_or_default();
    links.iter().try_for_each(|link| links::parse(link).map(drop))?;
    if !links.is_empty() && !is_user_defined(network) {
        return Err(Error::invalid(format!(
            "links of an endpoint on network {network} can't be had: give them when the container is created (HostConfig.Links)"
        )));
    }
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    if ipam.link_local_ips.as_ref().is_some_and(|ips| !ips.is_empty()) {
        return Err(Error::not_implemented("link-local addresses (--link-local-ip): not supported by berth yet"));
    }
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let ipv4 = filled(&ipam.ipv4_address);
    if let Some(text) = &ipv4
        && text.parse::<Ipv4Addr>().is_err()
    {
        return Err(Error::invalid(format!("invalid endpoint settings: invalid IPv4 address: {text}")));
    }
    let ipv6 = filled(&ipam.ipv6_address);
    if let Some(text) = &ipv6
        && text.parse::<Ipv6Addr>().is_err()
    {
        return Err(Error::invalid(format!("invalid endpoint settings: invalid IPv6 address: {text}")));
    }
    let priority = settings.gw_priority.unwrap_or_default();
    Ok(WantedEndpoint {
        network: network.to_owned(),
        ipv4,
        ipv6,
        mac: filled(&settings.mac_address).as_deref().map(mac).transpose()?,
        aliases: settings.aliases.clone().unwrap_or_default(),
        gateway_priority: i32::try_from(priority)
            .map_err(|_| Error::invalid(format!("gateway priority {priority} is out of range")))?,
        links,
        options: settings.driver_opts.clone().unwrap_or_default().into_iter().collect(),
    })
}

/// Six pairs of hexadecimal digits between colons or hyphens, of one station.
fn mac(text: &str) -> Result<String> {
    let invalid = || Error::invalid(format!("invalid MAC address: {text}"));
    let bytes: Vec<u8> = text
        .split([':', '-'])
        .map(|pair| if pair.len() == 2 { u8::from_str_radix(pair, 16).ok() } else { None })
        .collect::<Option<_>>()
        .ok_or_else(invalid)?;
    match bytes[..] {
        // The lowest bit of the first byte marks a group.
        [first, ..] if bytes.len() == 6 && first & 1 == 0 => {
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
        }
        _ => Err(invalid()),
    }
}

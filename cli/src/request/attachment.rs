//! `--network` and what goes with it: which networks a container joins, and how.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use bollard_stubs::models::{EndpointIpamConfig, EndpointSettings, NetworkingConfig};

use crate::flags::create::NetworkFlags;

use super::error::{RequestError, flag};
use super::fields::fields;

/// The networks of a container to be.
#[derive(Debug)]
pub(crate) struct Attachments {
    /// `NetworkMode` of the request: the first network.
    pub(crate) mode: String,
    /// All of them; nothing when the mode says it all.
    pub(crate) networking: Option<NetworkingConfig>,
}

/// One value of `--network`.
#[derive(Debug, Default)]
struct Attachment {
    name: String,
    aliases: Vec<String>,
    links: Vec<String>,
    options: HashMap<String, String>,
    ipv4: Option<String>,
    ipv6: Option<String>,
    mac: Option<String>,
    link_local: Vec<String>,
    gateway_priority: Option<i64>,
}

impl Attachments {
    /// Reads `--network` and the flags that concern the first network.
    ///
    /// # Errors
    /// Names the value that is wrong, or the flags that contradict each other.
    pub(crate) fn parse(flags: &NetworkFlags) -> Result<Self, RequestError> {
        let mut attachments = flags.network.iter().map(|value| parse(value)).collect::<Result<Vec<_>, _>>()?;
        if attachments.is_empty() {
            attachments.push(Attachment { name: "default".to_owned(), ..Attachment::default() });
        }
        apply_flags(&mut attachments[0], flags)?;
        let user_defined = attachments.iter().filter(|attachment| is_user_defined(&attachment.name)).count();
        if user_defined > 0 && user_defined < attachments.len() {
            return Err(RequestError::Conflict(
                "cannot attach both user-defined and non-user-defined network-modes".to_owned(),
            ));
        }
        let mode = attachments[0].name.clone();
        let mut endpoints = HashMap::new();
        for attachment in attachments {
            let name = attachment.name.clone();
            if endpoints.insert(name.clone(), settings(attachment)).is_some() {
                return Err(RequestError::Invalid(format!("network \"{name}\" is specified multiple times")));
            }
        }
        let mode_says_all = endpoints.len() == 1 && endpoints[&mode] == EndpointSettings::default();
        let networking = (!mode_says_all).then_some(NetworkingConfig { endpoints_config: Some(endpoints) });
        Ok(Self { mode, networking })
    }
}

/// Modes that aren't the name of a network that somebody made.
fn is_user_defined(name: &str) -> bool {
    !matches!(name, "default" | "bridge" | "host" | "none") && !name.starts_with("container:")
}

fn parse(value: &str) -> Result<Attachment, RequestError> {
    if value.is_empty() {
        return Err(RequestError::Invalid("no name set for network".to_owned()));
    }
    if !value.contains('=') {
        return Ok(Attachment { name: value.to_owned(), ..Attachment::default() });
    }
    parse_fields(value).map_err(|reason| flag("--network", value, reason))
}

fn parse_fields(value: &str) -> Result<Attachment, String> {
    let mut attachment = Attachment::default();
    for field in fields(value)? {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("invalid field {field}"))?;
        let value = value.trim();
        match key.trim().to_lowercase().as_str() {
            "name" => attachment.name = value.to_owned(),
            "alias" => attachment.aliases.push(value.to_owned()),
            "driver-opt" => {
                let pair = value.split_once('=').filter(|(name, _)| !name.is_empty());
                let (name, value) = pair.ok_or("invalid key value pair format in driver options")?;
                attachment.options.insert(name.trim().to_lowercase(), value.trim().to_owned());
            }
            "ip" => attachment.ipv4 = Some(ipv4(value)?),
            "ip6" => attachment.ipv6 = Some(ipv6(value)?),
            "mac-address" => attachment.mac = Some(mac(value)?),
            "link-local-ip" => attachment.link_local.push(value.to_owned()),
            "gw-priority" => {
                let priority = value.parse().map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
                attachment.gateway_priority = Some(priority);
            }
            key => return Err(format!("invalid field key {key}")),
        }
    }
    if attachment.name.is_empty() { Err("no name set for network".to_owned()) } else { Ok(attachment) }
}

/// Flags outside of `--network` are about the first network, for whom there was only one.
fn apply_flags(first: &mut Attachment, flags: &NetworkFlags) -> Result<(), RequestError> {
    let conflict = |name: &str, field: &str| {
        Err(RequestError::Conflict(format!("cannot specify both --{name} and per-network {field}")))
    };
    if !flags.network_alias.is_empty() {
        if !first.aliases.is_empty() {
            return conflict("network-alias", "alias");
        }
        first.aliases.clone_from(&flags.network_alias);
    }
    if !flags.link_local_ip.is_empty() {
        if !first.link_local.is_empty() {
            return conflict("link-local-ip", "link-local IP addresses");
        }
        first.link_local.clone_from(&flags.link_local_ip);
    }
    // Elsewhere they are the container's, not the network's.
    if is_user_defined(&first.name) {
        first.links.clone_from(&flags.link);
    }
    if let Some(value) = &flags.ip {
        if first.ipv4.is_some() {
            return conflict("ip", "IPv4 address");
        }
        first.ipv4 = Some(ipv4(value).map_err(|reason| flag("--ip", value, reason))?);
    }
    if let Some(value) = &flags.ip6 {
        if first.ipv6.is_some() {
            return conflict("ip6", "IPv6 address");
        }
        first.ipv6 = Some(ipv6(value).map_err(|reason| flag("--ip6", value, reason))?);
    }
    if let Some(value) = &flags.mac_address {
        if first.mac.is_some() {
            return conflict("mac-address", "MAC address");
        }
        first.mac = Some(mac(value).map_err(RequestError::Invalid)?);
    }
    Ok(())
}

/// An IPv4 address, as it was written.
pub(crate) fn ipv4(text: &str) -> Result<String, String> {
    text.parse::<Ipv4Addr>().map_err(|_| format!("invalid IPv4 address: {text}"))?;
    Ok(text.to_owned())
}

/// An IPv6 address, as it was written.
pub(crate) fn ipv6(text: &str) -> Result<String, String> {
    text.parse::<Ipv6Addr>().map_err(|_| format!("invalid IPv6 address: {text}"))?;
    Ok(text.to_owned())
}

fn mac(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let hexadecimal = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if parts.len() != 6 || !parts.iter().all(hexadecimal) {
        return Err(format!("{text} is not a valid mac address"));
    }
    Ok(parts.join(":").to_lowercase())
}

fn settings(attachment: Attachment) -> EndpointSettings {
    let fixed = attachment.ipv4.is_some() || attachment.ipv6.is_some() || !attachment.link_local.is_empty();
    let ipam = fixed.then(|| EndpointIpamConfig {
        ipv4_address: attachment.ipv4,
        ipv6_address: attachment.ipv6,
        link_local_ips: some(attachment.link_local),
    });
    EndpointSettings {
        ipam_config: ipam,
        aliases: some(attachment.aliases),
        links: some(attachment.links),
        mac_address: attachment.mac,
        driver_opts: (!attachment.options.is_empty()).then_some(attachment.options),
        gw_priority: attachment.gateway_priority,
        ..EndpointSettings::default()
    }
}

/// Lists that are empty are left out of requests.
pub(crate) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(change: impl FnOnce(&mut NetworkFlags)) -> Result<Attachments, String> {
        let mut flags = NetworkFlags::default();
        change(&mut flags);
        Attachments::parse(&flags).map_err(|error| error.to_string())
    }

    fn networks(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn short_and_long_forms() {
        let plain = parsed(|flags| flags.network = networks(&["lab"])).unwrap();
        assert_eq!((plain.mode.as_str(), plain.networking), ("lab", None));
        let long = parsed(|flags| {
            flags.network =
                networks(&["name=lab,alias=db,alias=sql,ip=10.9.0.7,driver-opt=a=b,gw-priority=-1", "other"]);
            flags.mac_address = Some("92-D0-c6-0a-29-33".to_owned());
        });
        let long = long.unwrap();
        assert_eq!(long.mode, "lab");
        let endpoints = long.networking.unwrap().endpoints_config.unwrap();
        assert_eq!(endpoints.len(), 2);
        insta::assert_snapshot!(serde_json::to_value(&endpoints["lab"]).unwrap(), @r#"{"Aliases":["db","sql"],"DriverOpts":{"a":"b"},"GwPriority":-1,"IPAMConfig":{"IPv4Address":"10.9.0.7"},"MacAddress":"92:d0:c6:0a:29:33"}"#);
        assert_eq!(parsed(|_| ()).unwrap().mode, "default");
    }

    #[test]
    fn wrong_forms() {
        for (names, expected) in [
            (&[""][..], "no name set for network"),
            (&["a", "a"], "network \"a\" is specified multiple times"),
            (&["a", "host"], "conflicting options: cannot attach both user-defined and non-user-defined network-modes"),
            (&["name=a,foo=b"], "invalid argument \"name=a,foo=b\" for \"--network\" flag: invalid field key foo"),
            (
                &["name=,ip=1.2.3.4"],
                "invalid argument \"name=,ip=1.2.3.4\" for \"--network\" flag: no name set for network",
            ),
            (&["name=a,ip=x"], "invalid argument \"name=a,ip=x\" for \"--network\" flag: invalid IPv4 address: x"),
            (
                &["name=a,ip6=1.2.3.4"],
                "invalid argument \"name=a,ip6=1.2.3.4\" for \"--network\" flag: invalid IPv6 address: 1.2.3.4",
            ),
            (
                &["name=a,gw-priority=x"],
                "invalid argument \"name=a,gw-priority=x\" for \"--network\" flag: invalid gw-priority (x): invalid syntax",
            ),
            (
                &["name=a,driver-opt=x"],
                "invalid argument \"name=a,driver-opt=x\" for \"--network\" flag: invalid key value pair format in driver options",
            ),
        ] {
            assert_eq!(parsed(|flags| flags.network = networks(names)).unwrap_err(), expected, "{names:?}");
        }
        let mac = parsed(|flags| flags.mac_address = Some("x".to_owned()));
        assert_eq!(mac.unwrap_err(), "x is not a valid mac address");
        let both = parsed(|flags| {
            flags.network = networks(&["name=a,alias=b"]);
            flags.network_alias = networks(&["c"]);
        });
        assert_eq!(both.unwrap_err(), "conflicting options: cannot specify both --network-alias and per-network alias");
    }
}

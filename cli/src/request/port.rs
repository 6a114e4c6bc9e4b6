//! `-p` and `--expose`: which ports of a container are published where.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bollard_stubs::models::{PortBinding, PortMap};

use super::error::RequestError;

/// Ports of a container, by `port/protocol` as the API writes them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ports {
    bindings: BTreeMap<PortKey, Vec<(String, String)>>,
}

/// A container port; its order is by number.
type PortKey = (u16, String);

/// The ports `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
}

impl Ports {
    /// Reads the values of `--publish` and `--expose`.
    ///
    /// # Errors
    /// Names the value that isn't a port specification.
    pub(crate) fn parse(publish: &[String], expose: &[String]) -> Result<Self, RequestError> {
        let mut ports = Self::default();
        for spec in publish {
            ports.publish(spec).map_err(RequestError::Ports)?;
        }
        for spec in expose {
            ports.expose(spec).map_err(RequestError::Ports)?;
        }
        Ok(ports)
    }

    /// `ExposedPorts` of a request.
    pub(crate) fn exposed(&self) -> Vec<String> {
        self.bindings.keys().map(name).collect()
    }

    /// `PortBindings` of a request.
    pub(crate) fn bindings(&self) -> PortMap {
        let published = self.bindings.iter().filter(|(_, bindings)| !bindings.is_empty());
        published.map(|(key, bindings)| (name(key), Some(bindings.iter().map(binding).collect()))).collect()
    }

    fn publish(&mut self, spec: &str) -> Result<(), String> {
        let (address, host, container) = split(spec);
        let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
        if container.is_empty() {
            return Err(format!("no port specified: {spec}<empty>"));
        }
        let address = host_address(address)?;
        let inside = Range::parse(container).filter(|range| range.first > 0);
        let inside = inside.ok_or_else(|| format!("invalid containerPort: {container}"))?;
        let outside = match host {
            "" => None,
            host => Some(Range::parse(host).ok_or_else(|| format!("invalid hostPort: {host}"))?),
        };
        if outside.is_some_and(|outside| outside.length() != inside.length() && inside.length() != 1) {
            return Err(format!("invalid ranges specified for container and host Ports: {container} and {host}"));
        }
        let protocol = parse_protocol(protocol)?;
        for (offset, port) in (inside.first..=inside.last).enumerate() {
            let host = outside.map(|outside| outside.for_container_port(offset, inside)).unwrap_or_default();
            self.bindings.entry((port, protocol.clone())).or_default().push((address.clone(), host));
        }
        Ok(())
    }

    fn expose(&mut self, spec: &str) -> Result<(), String> {
        if spec.contains(':') {
            return Err(format!("invalid port format for --expose: {spec}"));
        }
        let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
        let range = Range::parse(ports).filter(|range| range.first > 0);
        let range = range.ok_or_else(|| {
            format!(
                "invalid range format for --expose: {spec}: give a port from 1 to 65535 or a range, as in 8000-8010"
            )
        })?;
        let protocol = parse_protocol(protocol)?;
        for port in range.first..=range.last {
            self.bindings.entry((port, protocol.clone())).or_default();
        }
        Ok(())
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self { first: port(first)?, last: port(last)? };
        (range.first <= range.last).then_some(range)
    }

    fn length(self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// One port each when both ranges are as long; any of the host's range when there is one container port.
    fn for_container_port(self, offset: usize, inside: Self) -> String {
        if inside.length() == 1 && self.length() > 1 {
            format!("{}-{}", self.first, self.last)
        } else {
            (usize::from(self.first) + offset).to_string()
        }
    }
}

/// Digits only: `u16::from_str` would take `+80`.
fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Address, host port and container port; an IPv6 address has colons of its own, so the last two count.
fn split(spec: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = spec.rsplit_once(':') else { return ("", "", spec) };
    let Some((address, host)) = rest.rsplit_once(':') else { return ("", rest, container) };
    (address, host, container)
}

fn host_address(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address: {bare}"));
    }
    Ok(bare.to_owned())
}

fn parse_protocol(text: &str) -> Result<String, String> {
    let protocol = text.to_lowercase();
    match protocol.as_str() {
        "tcp" | "udp" | "sctp" => Ok(protocol),
        _ => Err(format!("invalid proto: {text}")),
    }
}

fn name((port, protocol): &PortKey) -> String {
    format!("{port}/{protocol}")
}

fn binding((address, port): &(String, String)) -> PortBinding {
    PortBinding { host_ip: Some(address.clone()), host_port: Some(port.clone()) }
}

#[cfg(test)]
mod tests;

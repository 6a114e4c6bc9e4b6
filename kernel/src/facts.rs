//! What decisions need to know of the host, read from its routes and sysctls.

use std::{collections::BTreeSet, io, ops::RangeInclusive};

use crate::{Error, HostFacts, Kernel, error::attempted, sysctl};

/// Linux's default, for kernels that don't tell.
const DEFAULT_EPHEMERAL_PORTS: RangeInclusive<u16> = 32768..=60999;

impl Kernel {
    pub(crate) fn gather_facts(&self) -> Result<HostFacts, Error> {
        let attempt = || attempted("read the host's network configuration");
        let mut host = self.host.take().map_err(attempt())?;
        let host_routes = host.socket.host_routes().map_err(attempt())?;
        self.host.put_back(host);
        let text = |key| sysctl::read(key).map(Option::unwrap_or_default);
        let on = |key| sysctl::is_on(key);
        let rest = || -> io::Result<HostFacts> {
            Ok(HostFacts {
                routes: host_routes.routes,
                addresses: host_routes.addresses,
                default_route_mtu_bytes: host_routes.default_route_mtu_bytes,
                ephemeral_ports: port_range(&text("net/ipv4/ip_local_port_range")?).unwrap_or(DEFAULT_EPHEMERAL_PORTS),
                reserved_ports: port_list(&text("net/ipv4/ip_local_reserved_ports")?),
                forwarding_ipv4: on("net/ipv4/ip_forward")?,
                forwarding_ipv6: on("net/ipv6/conf/all/forwarding")?,
                ipv6: sysctl::read("net/ipv6/conf/all/disable_ipv6")?.is_some_and(|disabled| disabled == "0"),
            })
        };
        rest().map_err(attempt())
    }
}

/// Two numbers, separated by a tab.
fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut bounds = text.split_whitespace().map(str::parse);
    match (bounds.next()?, bounds.next()?) {
        (Ok(first), Ok(last)) => Some(first..=last),
        _ => None,
    }
}

/// `8080,9148-9150`, as in the kernel's ip-sysctl documentation.
fn port_list(text: &str) -> BTreeSet<u16> {
    let range = |part: &str| -> Option<RangeInclusive<u16>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges() {
        assert_eq!(port_range("32768\t60999"), Some(32768..=60999));
        assert_eq!(port_range(""), None);
        assert_eq!(port_list(""), BTreeSet::new());
        assert_eq!(port_list("8080,9148-9150"), BTreeSet::from([8080, 9148, 9149, 9150]));
    }
}

//! The occupancy of a pool, as shown with its network.

use std::net::IpAddr;

use super::pool::{bounds, number, set_aside};
use crate::{api, spec::Family};

/// How full a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupancy {
    /// Addresses of the subnet that nobody can have any more: taken, set aside for the gateway and by name, its first and
    /// its last.
    pub in_use: u128,
    /// Addresses of the range that addresses are chosen from that are left.
    pub available: u128,
}

impl Occupancy {
    /// How full a pool is that the API shows with these addresses taken. Those of other subnets don't count.
    pub fn of(pool: &api::Pool, taken: impl IntoIterator<Item = IpAddr>) -> Self {
        let subnet = pool.subnet;
        let range = pool.ip_range.unwrap_or(subnet);
        let own: Vec<IpAddr> = pool.gateway.iter().chain(pool.aux_addresses.values()).copied().collect();
        let mut unavailable = set_aside(subnet, &own);
        for address in taken.into_iter().filter(|address| subnet.contains(*address)) {
            let number = number(address);
            unavailable.insert(number, number);
        }
        let (first, last) = bounds(range);
        let available = if Family::of_network(range) == Family::of_network(subnet) {
            (last - first).saturating_add(1).saturating_sub(unavailable.count_within(first, last))
        } else {
            0
        };
        let (first, last) = bounds(subnet);
        Self { in_use: unavailable.count_within(first, last), available }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn occupancy(subnet: &str, ip_range: Option<&str>, gateway: &str, taken: &[&str]) -> (u128, u128) {
        let pool = api::Pool {
            subnet: subnet.parse().expect("a subnet"),
            ip_range: ip_range.map(|range| range.parse().expect("a range")),
            gateway: Some(gateway.parse().expect("an address")),
            aux_addresses: [("printer".to_owned(), "10.9.0.9".parse().expect("an address"))].into(),
        };
        let taken = taken.iter().map(|address| address.parse().expect("an address"));
        let found = Occupancy::of(&pool, taken);
        (found.in_use, found.available)
    }

    #[test]
    fn what_is_set_aside_counts_as_taken() {
        assert_eq!(occupancy("10.9.0.0/24", None, "10.9.0.1", &[]), (4, 252));
        assert_eq!(occupancy("10.9.0.0/24", None, "10.9.0.1", &["10.9.0.2", "10.9.0.3", "10.8.0.2"]), (6, 250));
        assert_eq!(occupancy("10.9.0.0/24", Some("10.9.0.128/25"), "10.9.0.1", &["10.9.0.2", "10.9.0.200"]), (6, 126));
        assert_eq!(occupancy("fd00::/64", None, "fd00::1", &["fd00::2"]), (3, (1 << 64) - 3));
    }
}

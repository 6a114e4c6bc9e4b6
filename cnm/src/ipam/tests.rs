//! Addresses and subnets against naive models.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnetwork::IpNetwork;
use proptest::prelude::*;

use super::{AddressSpace, DefaultPool, DefaultPools, Leases, Pool};
use crate::{
    Kind,
    id::NetworkName,
    spec::{Family, PoolSpec, SubnetRequest},
};

fn prefix(text: &str) -> IpNetwork {
    text.parse().expect("a prefix")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn name() -> NetworkName {
    "n".parse().expect("a name")
}

fn unasked(subnet: IpNetwork) -> PoolSpec {
    PoolSpec { subnet: SubnetRequest::Exact(subnet), ip_range: None, gateway: None, aux_addresses: BTreeMap::new() }
}

fn pool(subnet: &str) -> Pool {
    let subnet = prefix(subnet);
    Pool::choose(subnet, &unasked(subnet)).expect("a pool")
}

fn all_free(pool: &Pool) -> Vec<String> {
    let mut leases = Leases::new(pool);
    std::iter::from_fn(|| leases.allocate().ok()).map(|address| address.to_string()).collect()
}

#[test]
fn small_subnets() {
    assert_eq!(all_free(&pool("10.0.0.0/29")), ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    assert_eq!(all_free(&pool("10.0.0.0/30")), ["10.0.0.2"]);
    assert_eq!(all_free(&pool("10.0.0.0/31")), ["10.0.0.1"], "RFC 3021: both addresses of a /31 are hosts'");
    assert!(all_free(&pool("10.0.0.0/32")).is_empty());
    assert_eq!(all_free(&pool("fd00::/126")), ["fd00::2", "fd00::3"], "no broadcast in IPv6");
    assert_eq!(pool("fd00::/64").gateway, address("fd00::1"));
}

#[test]
fn gateway_makes_way_for_auxiliary_addresses() {
    let subnet = prefix("10.0.0.0/24");
    let aux_addresses = BTreeMap::from([("router".to_owned(), address("10.0.0.1"))]);
    let chosen = Pool::choose(subnet, &PoolSpec { aux_addresses, ..unasked(subnet) }).expect("a pool");
    assert_eq!(chosen.gateway, address("10.0.0.2"));
    assert_eq!(chosen.default_gateway(), address("10.0.0.2"));
    let aux_addresses = BTreeMap::from([("DefaultGatewayIPv4".to_owned(), address("10.0.0.254"))]);
    let chosen = Pool::choose(subnet, &PoolSpec { aux_addresses, ..unasked(subnet) }).expect("a pool");
    assert_eq!((chosen.gateway, chosen.default_gateway()), (address("10.0.0.1"), address("10.0.0.254")));
}

#[test]
fn addresses_come_from_the_range_and_may_be_named_outside_of_it() {
    let subnet = prefix("10.0.0.0/24");
    let spec = PoolSpec { ip_range: Some(prefix("10.0.0.128/30")), ..unasked(subnet) };
    let pool = Pool::choose(subnet, &spec).expect("a pool");
    assert_eq!(all_free(&pool), ["10.0.0.128", "10.0.0.129", "10.0.0.130", "10.0.0.131"]);
    let mut leases = Leases::new(&pool);
    leases.reserve(address("10.0.0.9")).expect("free, though outside of the range");
    for (wanted, kind, part) in [
        ("10.0.0.9", Kind::Forbidden, "Address already in use: 10.0.0.9"),
        ("10.0.0.1", Kind::Forbidden, "set aside"),
        ("10.0.0.0", Kind::Forbidden, "set aside"),
        ("10.0.0.255", Kind::Forbidden, "set aside"),
        ("10.0.1.9", Kind::InvalidParameter, "no configured subnet contains IP address 10.0.1.9"),
    ] {
        let error = leases.reserve(address(wanted)).expect_err(wanted);
        assert_eq!(error.kind, kind, "{wanted}");
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
    }
}

#[test]
fn a_freed_address_rests_for_a_round() {
    let mut leases = Leases::new(&pool("10.0.0.0/29"));
    let first = leases.allocate().expect("free");
    leases.release(first);
    let others: Vec<IpAddr> = (0..4).map(|_| leases.allocate().expect("free")).collect();
    assert!(!others.contains(&first));
    assert_eq!(leases.allocate(), Ok(first));
    let error = leases.allocate().expect_err("nothing is free");
    assert_eq!(error.kind, Kind::Conflict);
    assert!(error.message.starts_with("no available IPv4 addresses on this network's address pools"));
    leases.release(pool("10.0.0.0/29").gateway);
    assert!(leases.allocate().is_err(), "the gateway's address is never given back");
}

proptest! {
    #[test]
    fn leases_behave_as_a_set(
        length in 26u8..=31,
        steps in prop::collection::vec((0u8..3, 0u8..64), 0..120),
    ) {
        let pool = pool(&format!("10.0.0.0/{length}"));
        let mut leases = Leases::new(&pool);
        let free: BTreeSet<IpAddr> = all_free(&pool).iter().map(|text| address(text)).collect();
        let mut taken = BTreeSet::new();
        for (what, number) in steps {
            let named = address(&format!("10.0.0.{number}"));
            match what {
                0 => match leases.allocate() {
                    Ok(given) => {
                        prop_assert!(free.contains(&given) && taken.insert(given), "{given} was not free");
                    }
                    Err(_) => prop_assert_eq!(taken.len(), free.len()),
                },
                1 => prop_assert_eq!(leases.reserve(named).is_ok(), free.contains(&named) && taken.insert(named)),
                _ => {
                    leases.release(named);
                    taken.remove(&named);
                }
            }
        }
    }

    #[test]
    fn chosen_subnets_overlap_nothing(
        steps in prop::collection::vec((any::<bool>(), 24u8..=30, 0usize..40), 0..80),
        routes in prop::collection::vec((0u8..=3, 0u8..=255, 20u8..=32), 0..6),
    ) {
        let pools = DefaultPools::new(vec![DefaultPool { base: prefix("10.0.0.0/22"), size: 26 }]).expect("valid");
        let routes: Vec<IpNetwork> = routes
            .into_iter()
            .map(|(third, fourth, length)| {
                let network = IpNetwork::new(address(&format!("10.0.{third}.{fourth}")), length).expect("a prefix");
                IpNetwork::new(network.network(), length).expect("a prefix")
            })
            .collect();
        let mut space = AddressSpace::default();
        let mut used: Vec<IpNetwork> = Vec::new();
        let overlaps = |one: IpNetwork, other: &IpNetwork| one.contains(other.ip()) || other.contains(one.ip());
        for (make, length, which) in steps {
            if !make {
                if which < used.len() {
                    space.release(used.swap_remove(which));
                }
                continue;
            }
            let request = SubnetRequest::OfLength { family: Family::Ipv4, prefix_length: length };
            let candidates = (0u32..1 << (length - 22)).map(|index| {
                let first = u32::from_be_bytes([10, 0, 0, 0]) + (index << (32 - length));
                IpNetwork::new(IpAddr::from(first.to_be_bytes()), length).expect("a prefix")
            });
            let naive = candidates.into_iter().find(|candidate| {
                !used.iter().chain(&routes).any(|other| overlaps(*candidate, other))
            });
            prop_assert_eq!(space.choose(request, &pools, &routes).ok(), naive);
            if let Some(subnet) = naive {
                space.take(subnet, &name());
                used.push(subnet);
            }
        }
    }
}

#[test]
fn thousands_of_networks_fit_and_the_last_says_so() {
    let (pools, mut space) = (DefaultPools::default(), AddressSpace::default());
    let any = SubnetRequest::Any(Family::Ipv4);
    for _ in 0..3840 {
        let subnet = space.choose(any, &pools, &[]).expect("a free subnet");
        space.take(subnet, &name());
    }
    let error = space.choose(any, &pools, &[]).expect_err("all are used");
    assert!(error.message.starts_with("all predefined address pools have been fully subnetted"), "{error}");
    space.release(prefix("172.25.3.0/24"));
    assert_eq!(space.choose(any, &pools, &[]), Ok(prefix("172.25.3.0/24")));
}

#[test]
fn routes_of_the_host_are_avoided_but_for_a_default_route_in_pieces() {
    let (pools, space) = (DefaultPools::default(), AddressSpace::default());
    let any = SubnetRequest::Any(Family::Ipv4);
    let chosen = |routes: &[&str]| {
        let routes: Vec<IpNetwork> = routes.iter().map(|route| prefix(route)).collect();
        space.choose(any, &pools, &routes).map(|subnet| subnet.to_string()).ok()
    };
    assert_eq!(chosen(&[]).as_deref(), Some("172.18.0.0/24"));
    assert_eq!(chosen(&["172.18.0.7/32"]).as_deref(), Some("172.18.1.0/24"));
    assert_eq!(chosen(&["172.16.0.0/12"]).as_deref(), Some("192.168.0.0/24"));
    assert_eq!(chosen(&["0.0.0.0/1", "128.0.0.0/1"]).as_deref(), Some("172.18.0.0/24"));
    assert_eq!(chosen(&["172.16.0.0/12", "192.168.0.0/16"]), None);
}

#[test]
fn an_overlap_names_the_network() {
    let mut space = AddressSpace::default();
    space.take(prefix("10.1.0.0/16"), &name());
    for wanted in ["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8"] {
        let request = SubnetRequest::Exact(prefix(wanted));
        let error = space.choose(request, &DefaultPools::default(), &[]).expect_err(wanted);
        assert_eq!(
            error.message,
            format!(
                "invalid pool request: Pool overlaps with other one on this address space: {wanted} overlaps \
                 10.1.0.0/16 of network n"
            )
        );
    }
    let beside = SubnetRequest::Exact(prefix("10.2.0.0/16"));
    assert!(
        space.choose(beside, &DefaultPools::default(), &[prefix("10.2.0.0/24")]).is_ok(),
        "named: routes don't matter"
    );
}

#[test]
fn wrong_default_pools_are_refused() {
    for (pools, part) in [
        (&[("10.0.0.1/8", 24)][..], "it should be 10.0.0.0/8"),
        (&[("10.0.0.0/16", 8)], "its size 8 is not a prefix length from 16 to 30"),
        (&[("10.0.0.0/16", 31)], "its size 31"),
        (&[("10.0.0.0/16", 24), ("10.0.128.0/17", 24)], "it overlaps the pool 10.0.0.0/16"),
        (&[("0.0.0.0/0", 24)], "at least 8"),
    ] {
        let pools = pools.iter().map(|(base, size)| DefaultPool { base: prefix(base), size: *size }).collect();
        let error = DefaultPools::new(pools).expect_err(part);
        assert!(error.message.contains(part), "{:?} lacks {part:?}", error.message);
    }
}

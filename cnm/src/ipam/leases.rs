//! Who has which address of a pool: round-robin, so that a freed address isn't handed out again at once.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::{
    Pool,
    pool::{address, bounds, number, set_aside},
};
use crate::{Error, Kind, interval::IntervalSet, spec::Family};

/// Addresses of one pool that are taken.
#[derive(Debug, Clone)]
pub struct Leases {
    subnet: IpNetwork,
    /// What addresses are chosen from, first to last.
    range: (u128, u128),
    /// Gateway, auxiliary addresses, network and broadcast: never given back.
    set_aside: IntervalSet,
    taken: IntervalSet,
    last: Option<u128>,
}

impl Leases {
    /// Nothing taken but what the pool itself sets aside: gateway, auxiliary addresses, network and broadcast.
    pub fn new(pool: &Pool) -> Self {
        let set_aside = set_aside(pool.subnet, pool.aux_addresses.values().chain([&pool.gateway]));
        Self {
            subnet: pool.subnet,
            range: bounds(pool.ip_range.unwrap_or(pool.subnet)),
            taken: set_aside.clone(),
            set_aside,
            last: None,
        }
    }

    /// The family of its addresses.
    pub const fn family(&self) -> Family {
        Family::of_network(self.subnet)
    }

    /// Takes the next free address.
    ///
    /// # Errors
    /// When none is free.
    pub fn allocate(&mut self) -> Result<IpAddr, Error> {
        let (first, last) = self.range;
        let next = self.last.filter(|given| (first..last).contains(given)).map_or(first, |given| given + 1);
        let free = self
            .taken
            .first_gap(next, last)
            .or_else(|| self.taken.first_gap(first, last))
            .ok_or_else(|| self.exhausted())?;
        self.taken.insert(free, free);
        self.last = Some(free);
        Ok(address(self.family(), free))
    }

    fn exhausted(&self) -> Error {
        let (first, last) = self.range;
        let family = self.family();
        Error::new(
            Kind::Conflict,
            format!(
                "no available {family} addresses on this network's address pools: all of {} to {} in subnet {} are in \
                 use; remove endpoints, or make a network with a larger subnet",
                address(family, first),
                address(family, last),
                self.subnet
            ),
        )
    }

    /// Takes the address given, in the subnet but not necessarily in the part that is chosen from.
    ///
    /// # Errors
    /// When it is not in the subnet, set aside, or taken.
    pub fn reserve(&mut self, wanted: IpAddr) -> Result<(), Error> {
        if !self.subnet.contains(wanted) {
            return Err(Error::invalid(format!(
                "no configured subnet contains IP address {wanted}: the network's subnet is {}",
                self.subnet
            )));
        }
        let number = number(wanted);
        if self.set_aside.contains(number) {
            return Err(Error::new(
                Kind::Forbidden,
                format!("Address already in use: {wanted} is set aside in subnet {}", self.subnet),
            ));
        }
        if self.taken.contains(number) {
            return Err(Error::new(Kind::Forbidden, format!("Address already in use: {wanted}")));
        }
        self.taken.insert(number, number);
        Ok(())
    }

    /// Gives an address back.
    pub fn release(&mut self, lease: IpAddr) {
        let number = number(lease);
        if !self.set_aside.contains(number) {
            self.taken.remove(number, number);
        }
    }

    /// The address chosen last: stored, so that round-robin goes on after a restart.
    pub fn last(&self) -> Option<IpAddr> {
        self.last.map(|last| address(self.family(), last))
    }

    /// Goes on after the highest of these addresses: nobody knows which was the last.
    pub(crate) fn resume_after_highest(&mut self, taken: IpAddr) {
        if self.last().is_none_or(|last| last < taken) {
            self.resume_after(taken);
        }
    }

    /// Goes on after this address.
    pub fn resume_after(&mut self, last: IpAddr) {
        if Family::of(last) == self.family() {
            self.last = Some(number(last));
        }
    }
}

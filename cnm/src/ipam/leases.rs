//! Who has which address of a pool: round-robin, so that a freed address isn't handed out again at once.

use std::net::IpAddr;

use super::Pool;
use crate::Error;

/// Addresses of one pool that are taken.
#[derive(Debug, Clone)]
pub struct Leases {
    pool: Pool,
}

impl Leases {
    /// Nothing taken but what the pool itself sets aside: gateway, auxiliary addresses, network and broadcast.
    pub fn new(_pool: Pool) -> Self {
        todo!()
    }

    /// The pool.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Takes the next free address.
    ///
    /// # Errors
    /// When none is free.
    pub fn allocate(&mut self) -> Result<IpAddr, Error> {
        todo!()
    }

    /// Takes the address given.
    ///
    /// # Errors
    /// When it is not in the subnet, set aside, or taken.
    pub fn reserve(&mut self, _address: IpAddr) -> Result<(), Error> {
        todo!()
    }

    /// Gives an address back.
    pub fn release(&mut self, _address: IpAddr) {
        todo!()
    }

    /// The address handed out last: stored, so that round-robin goes on after a restart.
    pub fn last(&self) -> Option<IpAddr> {
        todo!()
    }

    /// Goes on after this address.
    pub fn resume_after(&mut self, _last: IpAddr) {
        todo!()
    }
}

//! Who unpacks which layer: two pulls at once never do the same work, the second waits for the first.

use std::sync::PoisonError;

use super::{Store, database};
use crate::digest::ChainId;
use crate::error::Error;

/// What a pull is to do about a layer.
pub(super) enum Claimed<'a> {
    /// Nothing: it is there.
    Present,
    /// Unpack it; nobody else does as long as this lives.
    Ours(Claim<'a>),
    /// Nothing: the pull is over.
    CalledOff,
}

/// The right to unpack a layer.
pub(super) struct Claim<'a> {
    store: &'a Store,
    chain_id: ChainId,
}

impl Store {
    /// Claims a layer. If somebody else has, calls `waiting` and waits for the end of that, which may be a failure: then
    /// the layer is ours.
    pub(super) fn claim(
        &self,
        chain_id: ChainId,
        is_called_off: impl Fn() -> bool,
        mut waiting: impl FnMut(),
    ) -> Result<Claimed<'_>, Error> {
        let mut inner = self.inner();
        loop {
            let known = database::layer(&inner.connection, &chain_id).map_err(Error::database("look for a layer"))?;
            if known.is_some() {
                return Ok(Claimed::Present);
            }
            if is_called_off() {
                return Ok(Claimed::CalledOff);
            }
            if inner.unpacking.insert(chain_id) {
                return Ok(Claimed::Ours(Claim { store: self, chain_id }));
            }
            waiting();
            inner = self.settled.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has those who wait for a claim look whether they still have to.
    pub(super) fn wake_claimants(&self) {
        // With the lock: whoever is about to wait has looked before, or will look after.
        let _inner = self.inner();
        self.settled.notify_all();
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.store.inner().unpacking.remove(&self.chain_id);
        self.store.settled.notify_all();
    }
}

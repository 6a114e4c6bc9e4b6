//! The lock of a layer that is being unpacked: two pulls at once never do the same work, the second waits for the first.

use futures::executor::block_on;
use tokio_util::sync::CancellationToken;

use super::{Store, database};
use crate::digest::ChainId;
use crate::error::Error;

/// What a pull is to do about a layer.
pub(super) enum UnpackLock<'a> {
    /// Nothing: it is there.
    Present,
    /// Unpack it; nobody else does as long as this lives.
    Locked(UnpackGuard<'a>),
}

/// The right to unpack a layer.
pub(super) struct UnpackGuard<'a> {
    store: &'a Store,
    chain_id: ChainId,
}

impl Store {
    /// Locks a layer for unpacking. If somebody else has, calls `waiting` and waits for the end of that, which may be a failure: then
    /// the layer is ours.
    pub(super) fn lock_unpack(
        &self,
        chain_id: ChainId,
        called_off: &CancellationToken,
        mut waiting: impl FnMut(),
    ) -> Result<UnpackLock<'_>, Error> {
        loop {
            // Before looking, so that an end after that is noticed.
            let unpack_ended = self.unpack_ended.notified();
            let mut inner = self.inner();
            let known = database::layer(&inner.connection, &chain_id).map_err(Error::database("look for a layer"))?;
            if known.is_some() {
                return Ok(UnpackLock::Present);
            }
            if inner.unpacking.insert(chain_id) {
                return Ok(UnpackLock::Locked(UnpackGuard { store: self, chain_id }));
            }
            drop(inner);
            waiting();
            block_on(called_off.run_until_cancelled(unpack_ended)).ok_or(Error::CalledOff)?;
        }
    }
}

impl Drop for UnpackGuard<'_> {
    fn drop(&mut self) {
        self.store.inner().unpacking.remove(&self.chain_id);
        self.store.unpack_ended.notify_waiters();
    }
}

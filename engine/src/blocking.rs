//! Work that may block (files, the kernel, the image store), on a thread of its own.

use std::future::Future;

use crate::error::{Error, Result};

/// What such work can be done with: a cheap handle, of which the work gets a copy.
pub(crate) trait Blocking: Clone + Send + Sync + 'static {
    /// Does the work to its end, even if the caller goes away.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send {
        let own = self.clone();
        async move {
            let joined = tokio::task::spawn_blocking(move || work(&own)).await;
            joined.map_err(|_| Error::Interrupted { doing: "working on another thread" })?
        }
    }
}

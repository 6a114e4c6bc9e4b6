//! Clients come in crowds and leave again, and what they took goes back to the system then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::{net::UnixListener, runtime::Handle};

/// Fewer leave nothing behind that is worth the time.
const CROWD: usize = 64;
/// How long until those that go together are gone.
const GONE_AFTER: Duration = Duration::from_secs(1);

static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Told of each connection that has ended.
fn one_has_left() {
    if LEFT.fetch_add(1, Ordering::Relaxed) + 1 != CROWD {
        return;
    }
    // Without a runtime this process ends.
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async {
        tokio::time::sleep(GONE_AFTER).await;
        // Whoever leaves from here on is another crowd's.
        LEFT.store(0, Ordering::Relaxed);
        // A panic there would be the allocator's.
        let _ = tokio::task::spawn_blocking(kernel::give_memory_back).await;
    });
}

/// A client's connection, for as long as it lasts.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    _leaves: Arc<Leaves>,
}

#[derive(Debug)]
struct Leaves;

impl Drop for Leaves {
    fn drop(&mut self) {
        one_has_left();
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Guest {
    fn connect_info(_: IncomingStream<'_, UnixListener>) -> Self {
        Self { _leaves: Arc::new(Leaves) }
    }
}

//! Clients come in crowds and leave again, and what they took goes back to the system then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

/// Fewer leave nothing behind that is worth the time.
const CROWD: usize = 64;
/// How long until those that go together are gone.
const GONE_AFTER: Duration = Duration::from_secs(1);

static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Told of each connection that has ended.
pub(super) fn one_has_left() {
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
        let _ = tokio::task::spawn_blocking(runtime::give_memory_back).await;
    });
}

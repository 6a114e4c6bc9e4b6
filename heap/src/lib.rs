//! What a daemon keeps of the memory that it doesn't use any more: little from the start, and less when a crowd of clients
//! has left.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::runtime::Handle;

/// Fewer clients leave nothing behind that is worth the time.
const CROWD: usize = 64;
/// How long until those that go together are gone.
const GONE_AFTER: Duration = Duration::from_secs(1);

static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Has all threads allocate from one heap. To be called before there are threads. With a heap for each, as is the default,
/// most of what a crowd of clients took stays in those, since glibc gives back the end of the first alone.
pub fn allocate_from_one() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number (mallopt(3)), while there is one thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Told of each client's connection that has ended. A second after many have, what they took goes back to the system, which
/// an allocator that expects to need it again doesn't do by itself.
pub fn one_has_left() {
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
        let _ = tokio::task::spawn_blocking(give_back).await;
    });
}

/// It takes some milliseconds where much is free.
fn give_back() {
    // glibc's; others give it back unasked.
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes nothing that is allocated, and may be called on any thread at any time (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

//! The allocator of a daemon: one arena, and memory that is free goes back to the system when many connections have closed
//! (mallopt(3), malloc_trim(3)).

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::runtime::Handle;

/// So many closed connections set it off: fewer leave nothing behind that is worth the time.
const TRIM_AFTER: usize = 64;
/// How long until those that go together are gone.
const TRIM_DELAY: Duration = Duration::from_secs(1);

static CLOSED: AtomicUsize = AtomicUsize::new(0);

/// Has all threads allocate from one heap. To be called before there are threads. With a heap for each, as is the default,
/// most of what many clients took stays in those, since glibc gives back the end of the first alone.
pub fn use_one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number (mallopt(3)), while there is one thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Told of each client's connection that has ended. A second after many have, what they took goes back to the system, which
/// an allocator that expects to need it again doesn't do by itself.
pub fn connection_closed() {
    if CLOSED.fetch_add(1, Ordering::Relaxed) + 1 != TRIM_AFTER {
        return;
    }
    // Without a runtime this process ends.
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async {
        tokio::time::sleep(TRIM_DELAY).await;
        // Those that close from here on count for the next time.
        CLOSED.store(0, Ordering::Relaxed);
        // A panic there would be the allocator's.
        let _ = tokio::task::spawn_blocking(trim).await;
    });
}

/// It takes some milliseconds where much is free.
fn trim() {
    // glibc's; others give it back unasked.
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes nothing that is allocated, and may be called on any thread at any time (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

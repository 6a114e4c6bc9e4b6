//! What a daemon keeps of the memory that it doesn't use any more.

/// Has all threads allocate from one heap. To be called before there are threads. With a heap for each, as is the default,
/// most of what a crowd of clients took stays in those, since glibc gives back the end of the first alone.
pub fn allocate_from_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number (mallopt(3)), while there is one thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives it back to the system, which an allocator that expects to need it again doesn't do by itself. It takes some
/// milliseconds where much is free.
pub fn give_memory_back() {
    // glibc's; others give it back unasked.
    #[cfg(target_env = "gnu")]
    // SAFETY: it changes nothing that is allocated, and may be called on any thread at any time (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

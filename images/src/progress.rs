//! What a long-running operation tells whoever waits for it.

use crate::digest::DiffId;

/// A step forward. The same layer's events come in order; those of different layers mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressEvent {
    /// The archive is being taken in.
    Receiving {
        /// Bytes so far.
        done_bytes: u64,
    },
    /// A layer is being unpacked.
    Unpacking {
        /// Which.
        layer: DiffId,
        /// Bytes of the (possibly compressed) layer so far.
        done_bytes: u64,
        /// Of so many.
        total_bytes: u64,
    },
    /// A layer is on disk.
    Unpacked {
        /// Which.
        layer: DiffId,
        /// The size of its files.
        size_bytes: u64,
    },
    /// A layer was there before.
    AlreadyExists {
        /// Which.
        layer: DiffId,
    },
}

/// Hears of progress. Called from several threads, about once a mebibyte; a slow listener slows the work.
pub trait Progress: Sync {
    /// Something went forward.
    fn report(&self, event: ProgressEvent);
}

impl<F: Fn(ProgressEvent) + Sync> Progress for F {
    fn report(&self, event: ProgressEvent) {
        self(event);
    }
}

/// Nobody listens.
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: ProgressEvent) {}
}

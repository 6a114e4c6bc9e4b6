//! The progress of a long-running operation, and who is told of it.

use std::io::{self, Read};

use crate::digest::{DiffId, Digest};

const REPORT_EVERY_BYTES: u64 = 1 << 20;

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

/// What happens to a layer that is being pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStep {
    /// It will be looked at.
    Queued,
    /// Another pull is taking it in.
    Waiting,
    /// It is being downloaded and unpacked.
    Downloading {
        /// Bytes of the layer as it is at the registry, so far.
        done_bytes: u64,
        /// Of so many.
        total_bytes: u64,
    },
    /// It is in the store.
    Complete,
    /// It was in the store.
    AlreadyExists,
}

/// Hears of a pull's progress, as [`Progress`].
pub trait PullProgress: Sync {
    /// The layer with this blob is a step further.
    fn report(&self, blob: Digest, step: PullStep);
}

/// What happens to a layer that is being pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushStep<'a> {
    /// It will be looked at.
    Preparing,
    /// It is being sent.
    Pushing {
        /// Bytes of its tar so far.
        done_bytes: u64,
        /// Of so many.
        total_bytes: u64,
    },
    /// It is in the repository.
    Pushed,
    /// It was in the repository.
    AlreadyExists,
    /// It is in the repository because it was in another one of the registry.
    Mounted {
        /// The other one's path.
        from: &'a str,
    },
}

/// Hears of a push's progress, as [`Progress`].
pub trait PushProgress: Sync {
    /// The layer is a step further.
    fn report(&self, layer: DiffId, step: PushStep<'_>);
}

/// Nobody listens.
pub struct NoProgress;

impl PullProgress for NoProgress {
    fn report(&self, _blob: Digest, _step: PullStep) {}
}

impl PushProgress for NoProgress {
    fn report(&self, _layer: DiffId, _step: PushStep<'_>) {}
}

impl Progress for NoProgress {
    fn report(&self, _event: ProgressEvent) {}
}

/// A reader that tells how many bytes have come through it, about once a mebibyte.
pub(crate) struct ProgressReader<R, F> {
    inner: R,
    done_bytes: u64,
    report: F,
}

impl<R: Read, F: FnMut(u64)> ProgressReader<R, F> {
    pub(crate) fn new(inner: R, report: F) -> Self {
        Self { inner, done_bytes: 0, report }
    }
}

impl<R: Read, F: FnMut(u64)> Read for ProgressReader<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let before = self.done_bytes / REPORT_EVERY_BYTES;
        self.done_bytes += read as u64;
        if self.done_bytes / REPORT_EVERY_BYTES != before {
            (self.report)(self.done_bytes);
        }
        Ok(read)
    }
}

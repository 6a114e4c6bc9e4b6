//! A blob, read as one stream however often the connection is cut: its bytes are counted and hashed on the way, and what is
//! missing is asked for again from where it stopped.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff};
use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::RegistryError;
use super::endpoint::{Endpoint, Pieces, delays};
use crate::digest::Digest;

/// Reads a blob. Its end is only reached with the right bytes.
pub(crate) struct BlobReader<C> {
    endpoint: Arc<Endpoint>,
    blob: Digest,
    size_bytes: u64,
    pieces: Option<Pieces>,
    piece: Bytes,
    /// Received and hashed so far.
    done_bytes: u64,
    hasher: Sha256,
    /// Those left until it is given up; new ones after every byte.
    delays: ExponentialBackoff,
    is_cancelled: C,
    failure: Option<RegistryError>,
}

impl<C: Fn() -> bool> BlobReader<C> {
    /// Reads the blob with this digest and size. As soon as `is_cancelled`, reading fails.
    pub(super) fn new(endpoint: Arc<Endpoint>, blob: Digest, size_bytes: u64, is_cancelled: C) -> Self {
        Self {
            endpoint,
            blob,
            size_bytes,
            pieces: None,
            piece: Bytes::new(),
            done_bytes: 0,
            hasher: Sha256::new(),
            delays: delays().build(),
            is_cancelled,
            failure: None,
        }
    }

    /// Why reading failed, if it was the registry's doing; whoever decodes what is read only knows that it did.
    pub(crate) fn take_failure(&mut self) -> Option<RegistryError> {
        self.failure.take()
    }

    /// Brings the next bytes. `false` at the end.
    fn advance(&mut self) -> Result<bool, RegistryError> {
        while self.piece.is_empty() {
            if self.done_bytes == self.size_bytes {
                self.verify()?;
                return Ok(false);
            }
            match self.receive() {
                // Skipped, since it had come before: a registry that knows no ranges. That is no progress.
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => {
                    self.done_bytes += piece.len() as u64;
                    if self.done_bytes > self.size_bytes {
                        return Err(RegistryError::TooLong { blob: self.blob, expected_bytes: self.size_bytes });
                    }
                    self.hasher.update(&piece);
                    self.piece = piece;
                    self.delays = delays().build();
                }
                Err(error) => self.wait(error)?,
            }
        }
        Ok(true)
    }

    fn receive(&mut self) -> Result<Bytes, RegistryError> {
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            none => none.insert(self.endpoint.open_blob(self.blob, self.done_bytes)?),
        };
        let cut = |source: io::Error| RegistryError::Connection {
            place: self.endpoint.place().to_string(),
            passing: true,
            source: Box::new(source),
        };
        match self.endpoint.wait(pieces.next()) {
            Some(Ok(piece)) => Ok(piece),
            Some(Err(error)) => Err(cut(error)),
            None => Err(cut(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended too early"))),
        }
    }

    /// Gets ready for the next try, unless there is none.
    fn wait(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        self.pieces = None;
        // A registry that was there a moment ago is being started again.
        let has_been_there = self.done_bytes > 0 && matches!(error, RegistryError::Connection { .. });
        if !error.is_passing() && !has_been_there {
            return Err(error);
        }
        let Some(delay) = self.delays.next() else { return Err(error) };
        tracing::warn!(%error, blob = %self.blob, at_byte = self.done_bytes, ?delay, "a download goes on after a break");
        self.sleep(delay);
        Ok(())
    }

    /// Nobody wakes a sleeper, so that it looks up now and then.
    fn sleep(&self, delay: Duration) {
        const LOOK_UP_EVERY: Duration = Duration::from_millis(100);
        let mut left = delay;
        while !left.is_zero() && !(self.is_cancelled)() {
            let step = left.min(LOOK_UP_EVERY);
            thread::sleep(step);
            left -= step;
        }
    }

    fn verify(&mut self) -> Result<(), RegistryError> {
        let found = Digest::from_hash(self.hasher.clone());
        match found == self.blob {
            true => Ok(()),
            false => Err(RegistryError::WrongDigest { expected: self.blob, found }),
        }
    }
}

impl<C: Fn() -> bool> Read for BlobReader<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.is_cancelled)() {
            return Err(io::Error::other("the download was called off"));
        }
        match self.advance() {
            Ok(true) => {
                let length = buffer.len().min(self.piece.len());
                self.piece.copy_to_slice(&mut buffer[..length]);
                Ok(length)
            }
            Ok(false) => Ok(0),
            Err(error) => {
                let told = io::Error::other(error.to_string());
                self.failure = Some(error);
                Err(told)
            }
        }
    }
}

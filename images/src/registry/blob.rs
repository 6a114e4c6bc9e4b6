//! A blob, read as one stream however often the connection is cut: its bytes are counted and hashed on the way, and what is
//! missing is asked for again from where it stopped.

use std::io::{self, Read};
use std::sync::Arc;

use backon::{BackoffBuilder as _, ExponentialBackoff};
use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};

use super::RegistryError;
use super::endpoint::{Endpoint, Pieces, delays};
use crate::digest::Digest;

/// Reads a blob. Its end is only reached with the right bytes.
pub(crate) struct BlobReader {
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
    failure: Option<RegistryError>,
}

impl BlobReader {
    /// Reads the blob with this digest and size.
    pub(super) fn new(endpoint: Arc<Endpoint>, blob: Digest, size_bytes: u64) -> Self {
        Self {
            endpoint,
            blob,
            size_bytes,
            pieces: None,
            piece: Bytes::new(),
            done_bytes: 0,
            hasher: Sha256::new(),
            delays: delays().build(),
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
        let session = self.endpoint.session();
        match session.wait(session.next(pieces))? {
            Some(Ok(piece)) => Ok(piece),
            Some(Err(error)) => Err(session.cut(error)),
            None => {
                let ended = format!("the connection ended after {} of {} bytes", self.done_bytes, self.size_bytes);
                Err(session.broken(io::ErrorKind::UnexpectedEof, &ended))
            }
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
        self.endpoint.pause(delay)
    }

    fn verify(&mut self) -> Result<(), RegistryError> {
        let found = Digest::from_hash(self.hasher.clone());
        match found == self.blob {
            true => Ok(()),
            false => Err(RegistryError::WrongDigest { expected: self.blob, found }),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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

//! A reply's body that is written while it is sent, by work that blocks.

use std::io::{self, BufWriter, Write};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;

use crate::error::{Error, chain};

/// Bytes that are sent at once, and how many such pieces may wait for the client.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES: usize = 4;

/// A body that `write` fills on a thread of its own. What goes wrong after the reply has begun breaks the connection: half an
/// archive must not look like one.
pub(crate) fn body(write: impl FnOnce(&mut dyn Write) -> Result<(), Error> + Send + 'static) -> Body {
    let (pieces, received) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut output = BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces.clone()));
        let written = write(&mut output).and_then(|()| output.flush().map_err(Error::io("sending an archive")));
        if let Err(error) = written {
            // The client may be why.
            tracing::warn!("an archive could not be sent to its end: {}", chain(&error));
            pieces.blocking_send(Err(io::Error::other(error.to_string()))).ok();
        }
    });
    Body::from_stream(stream::unfold(received, |mut received| async { Some((received.recv().await?, received)) }))
}

/// Writes into a reply's body.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

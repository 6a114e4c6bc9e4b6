//! `GET /images/get` and `GET /images/{name}/get`: archives of images, written while they are sent.

use std::io::{self, BufWriter, Write};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::{mpsc, oneshot};

use super::tell;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Bytes that are sent at once, and how many such pieces may wait for the client.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES: usize = 4;

/// The names in a query: `names` comes as often as there are any.
pub(super) fn names(query: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "names" => names.extend(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned)),
            "platform" if !value.is_empty() => {
                return Err(Error::not_implemented(
                    "choosing a platform to save is not supported by berth yet: images here have one each",
                ));
            }
            _ => {}
        }
    }
    match names.is_empty() {
        true => Err(Error::invalid("no image to save is named: give at least one in names")),
        false => Ok(names),
    }
}

/// An archive of these images. What goes wrong after the reply has begun breaks the connection: half an archive must not
/// look like one.
pub(super) async fn save(engine: Engine, names: Vec<String>) -> Result<Response> {
    let (pieces, body) = mpsc::channel(PIECES);
    let (ready, found) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let saving = match engine.images.save(&names) {
            Ok(saving) => saving,
            Err(error) => return drop(ready.send(Err(error))),
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        let mut output = BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces.clone()));
        if let Err(error) = saving.write(&mut output).and_then(|()| output.flush().map_err(images::Error::Save)) {
            tracing::warn!(error = error.chain(), "an archive could not be written to its end");
            // The client may be why.
            pieces.blocking_send(Err(io::Error::other(error.to_string()))).ok();
            return;
        }
        for name in names {
            tell(&engine, "save", name.clone(), name);
        }
    });
    found.await.map_err(|_| Error::Interrupted { doing: "saving images" })??;
    let body = stream::unfold(body, |mut body| async { Some((body.recv().await?, body)) });
    Ok(([(CONTENT_TYPE, "application/x-tar")], Body::from_stream(body)).into_response())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_one_by_one_or_together() {
        assert_eq!(names("names=a%3A1&names=b,c").unwrap(), ["a:1", "b", "c"]);
        for wrong in ["", "names=", "names=a&platform=x"] {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }
}

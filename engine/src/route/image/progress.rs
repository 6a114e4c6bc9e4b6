//! A reply that is the progress of long work, line by line, and then its result.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::wire::progress::ProgressLine;

/// How many lines may wait for a client that reads slowly; further ones are left out, the result never is.
const LINES: usize = 64;

/// Where work says how far it is.
pub(super) struct ProgressSender {
    lines: mpsc::Sender<ProgressLine>,
    /// Cancelled when the client has gone.
    pub(super) called_off: CancellationToken,
}

impl ProgressSender {
    /// Full or closed: who doesn't listen misses progress only.
    pub(super) fn say(&self, line: ProgressLine) {
        self.lines.try_send(line).ok();
    }
}

/// Does `work` on a thread of its own and answers with what it says. What goes wrong before its first line is the reply's
/// status; later it is a line.
pub(super) async fn reply<W>(doing: &'static str, work: W) -> Result<Response>
where
    W: FnOnce(&ProgressSender) -> Result<Vec<ProgressLine>> + Send + 'static,
{
    let (lines, mut progress) = mpsc::channel(LINES);
    let (result, outcome) = oneshot::channel();
    let called_off = CancellationToken::new();
    let listening = called_off.clone().drop_guard();
    tokio::task::spawn_blocking(move || {
        let sender = ProgressSender { lines, called_off };
        let done = work(&sender);
        drop(sender);
        // Nobody may be waiting any more.
        let _ = result.send(done);
    });
    let finish = async move {
        // As long as somebody waits for this.
        let _listening = listening;
        outcome.await.map_err(|_| Error::Interrupted { doing })?
    };
    let Some(first) = progress.recv().await else {
        // Over without a word: the reply can still be an error.
        return Ok(respond(stream::iter(finish.await?)));
    };
    let steps = stream::once(async { first })
        .chain(stream::unfold(progress, |mut progress| async { Some((progress.recv().await?, progress)) }));
    let end = stream::once(finish)
        .flat_map(|result| stream::iter(result.unwrap_or_else(|error| vec![ProgressLine::failed(error.message())])));
    Ok(respond(steps.chain(end)))
}

fn respond(lines: impl Stream<Item = ProgressLine> + Send + 'static) -> Response {
    let bytes = lines.map(|line| Ok::<Bytes, Infallible>(line.to_bytes()));
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(bytes)).into_response()
}

//! A request whose body is an archive and whose reply is its progress, line by line, while the body still arrives.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use images::{Progress, ProgressEvent};
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::wire::progress::ProgressLine;

/// How many lines may wait for a client that reads slowly; further ones are left out, the result never is.
const LINES: usize = 64;

/// Has `work` read the body on a thread of its own, to its end even if the client goes away. What goes wrong before the
/// first line of progress is the reply's status; later it is a line.
pub(super) async fn reply<W>(engine: Engine, body: Body, quiet: bool, work: W) -> Result<Response>
where
    W: FnOnce(&Engine, &mut dyn std::io::Read, &dyn Progress) -> Result<Vec<ProgressLine>> + Send + 'static,
{
    let mut archive = SyncIoBridge::new(StreamReader::new(body.into_data_stream().map_err(std::io::Error::other)));
    let (lines, mut progress) = mpsc::channel(LINES);
    let (result, outcome) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let report = |event| {
            if let Some(line) = line(event).filter(|_| !quiet) {
                // Full or closed: who doesn't listen misses progress only.
                let _ = lines.try_send(line);
            }
        };
        let done = work(&engine, &mut archive, &report);
        // A client that is still sending hears of nothing before it has been heard out.
        let _ = std::io::copy(&mut archive, &mut std::io::sink());
        drop(lines);
        // Nobody may be waiting any more.
        let _ = result.send(done);
    });
    let first = progress.recv().await;
    let Some(first) = first else {
        // Over without a word: the reply can still be an error.
        let lines = finish(outcome).await?;
        return Ok(respond(stream::iter(lines)));
    };
    let steps = stream::once(async { first })
        .chain(stream::unfold(progress, |mut progress| async { Some((progress.recv().await?, progress)) }));
    let end = stream::once(finish(outcome))
        .flat_map(|result| stream::iter(result.unwrap_or_else(|error| vec![ProgressLine::failed(error.message())])));
    Ok(respond(steps.chain(end)))
}

/// An error for a client that is still sending its archive: said when it has been heard out, or it would see a broken
/// connection instead.
pub(super) async fn refuse(body: Body, error: Error) -> Error {
    let mut pieces = body.into_data_stream();
    while let Some(Ok(_)) = pieces.next().await {}
    error
}

async fn finish(outcome: oneshot::Receiver<Result<Vec<ProgressLine>>>) -> Result<Vec<ProgressLine>> {
    outcome.await.map_err(|_| Error::Interrupted { doing: "taking in an archive" })?
}

fn respond(lines: impl futures::Stream<Item = ProgressLine> + Send + 'static) -> Response {
    let bytes = lines.map(|line| Ok::<Bytes, std::convert::Infallible>(line.to_bytes()));
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(bytes)).into_response()
}

/// What a client is told of a step; that bytes arrive it knows itself.
fn line(event: ProgressEvent) -> Option<ProgressLine> {
    match event {
        ProgressEvent::Receiving { .. } => None,
        ProgressEvent::Unpacking { layer, done_bytes, total_bytes } => {
            Some(ProgressLine::step("Loading layer", layer.short(), done_bytes, total_bytes))
        }
        ProgressEvent::Unpacked { layer, .. } => Some(ProgressLine::done("Loading layer", layer.short())),
        ProgressEvent::AlreadyExists { layer } => Some(ProgressLine::done("Layer already exists", layer.short())),
    }
}

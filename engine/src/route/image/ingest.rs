//! A request whose body is an archive and whose reply is its progress, line by line, while the body still arrives.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures::TryStreamExt as _;
use images::{Progress, ProgressEvent};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::progress;
use crate::error::Result;
use crate::image::Images;
use crate::wire::progress::ProgressLine;

/// Has `work` read the body on a thread of its own, to its end even if the client goes away.
pub(super) async fn reply<W>(images: Arc<Images>, body: Body, quiet: bool, work: W) -> Result<Response>
where
    W: FnOnce(&Images, &mut dyn std::io::Read, &dyn Progress) -> Result<Vec<ProgressLine>> + Send + 'static,
{
    let mut archive = SyncIoBridge::new(StreamReader::new(body.into_data_stream().map_err(std::io::Error::other)));
    progress::reply("taking in an archive", move |sender| {
        let report = |event| {
            if let Some(line) = line(event).filter(|_| !quiet) {
                sender.say(line);
            }
        };
        work(&images, &mut archive, &report)
    })
    .await
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

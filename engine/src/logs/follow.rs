//! A log as a stream of bytes: what is there, and what comes until the container ends.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use inotify::{EventStream, Inotify, WatchMask};
use tokio_util::sync::CancellationToken;

use super::{Entry, LogReader, PerStream, Rendering, Selection};
use crate::moment;

/// Wakes when files of a log's directory change.
struct Watch(EventStream<[u8; 4096]>);

impl Watch {
    fn of_directory(directory: &Path) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        inotify.watches().add(directory, WatchMask::MODIFY | WatchMask::CREATE | WatchMask::MOVED_TO)?;
        Ok(Self(inotify.into_event_stream([0; 4096])?))
    }

    /// Waits for a change. What changed doesn't matter: the reader finds out.
    async fn changed(&mut self) -> io::Result<()> {
        self.0.next().await.transpose().map(drop)
    }
}

/// Whether a stream ends with what is there, or goes on until `ended` resolves.
#[derive(Debug)]
pub enum Follow<E> {
    /// What is there now.
    No,
    /// What comes as well, until the container has ended and its last output is in the log.
    UntilEnd(E),
}

/// How far a stream is.
struct Reading<E> {
    reader: LogReader,
    watch: Option<Watch>,
    ended: Option<E>,
    selection: Selection,
    /// Whether the line that was begun last is wanted: its pieces aren't by themselves.
    wanted: PerStream<bool>,
    rendering: Rendering,
}

/// Streams a log, batch by batch. That it can't be read is found out first.
pub async fn stream<E>(
    path: &Path,
    selection: Selection,
    rendering: Rendering,
    follow: Follow<E>,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<E>>
where
    E: Future<Output = ()> + Send + Unpin + 'static,
{
    let (watch, ended) = match follow {
        Follow::No => (None, None),
        // The watch is there before the first read: what is written in between wakes it.
        Follow::UntilEnd(ended) => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            (Some(Watch::of_directory(directory)?), Some(ended))
        }
    };
    let reader = open(path.to_owned(), selection.tail).await?;
    let reading = Reading { reader, watch, ended, selection, wanted: PerStream::default(), rendering };
    Ok(futures::stream::try_unfold(Some(reading), |reading| async {
        match reading {
            Some(reading) => reading.next().await,
            None => Ok(None),
        }
    }))
}

impl<E: Future<Output = ()> + Send + Unpin + 'static> Reading<E> {
    /// The next bytes and how to go on; nothing at the end.
    async fn next(mut self) -> io::Result<Option<(Bytes, Option<Self>)>> {
        loop {
            let (reader, batch) = read_batch(self.reader).await?;
            self.reader = reader;
            let Some(batch) = batch else {
                if !self.wait().await? {
                    return Ok(None);
                }
                continue;
            };
            let mut bytes = BytesMut::new();
            for entry in &batch {
                if self.takes(entry) {
                    self.rendering.put(&mut bytes, entry);
                }
            }
            let past = batch.last().is_some_and(|entry| self.selection.is_past(entry.at));
            if past {
                return Ok((!bytes.is_empty()).then(|| (bytes.freeze(), None)));
            }
            if !bytes.is_empty() {
                return Ok(Some((bytes.freeze(), Some(self))));
            }
        }
    }

    fn takes(&mut self, entry: &Entry) -> bool {
        let wanted = self.wanted.of(entry.stream);
        if !entry.continues {
            *wanted = self.selection.takes(entry);
        }
        *wanted
    }

    /// Waits until there may be more to read; false when nothing more can come.
    async fn wait(&mut self) -> io::Result<bool> {
        let (Some(watch), Some(ended)) = (&mut self.watch, &mut self.ended) else { return Ok(false) };
        tokio::select! {
            changed = watch.changed() => changed.map(|()| true),
            // One more round reads what was written last; then there is nothing to wait for.
            () = ended => {
                self.ended = None;
                Ok(true)
            }
            () = moment::reached(self.selection.until) => Ok(false),
        }
    }
}

async fn open(path: PathBuf, tail: Option<usize>) -> io::Result<LogReader> {
    let given_up = CancellationToken::new();
    let wanted = given_up.clone();
    // Dropped together with this when the client has gone.
    let _given_up = given_up.drop_guard();
    let opened = tokio::task::spawn_blocking(move || LogReader::open(&path, tail, &wanted));
    opened.await.map_err(io::Error::other)?
}

async fn read_batch(mut reader: LogReader) -> io::Result<(LogReader, Option<Vec<Entry>>)> {
    let read = tokio::task::spawn_blocking(move || {
        let batch = reader.next_batch()?;
        Ok((reader, batch))
    });
    read.await.map_err(io::Error::other)?
}

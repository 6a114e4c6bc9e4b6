//! An archive on its way to the engine: from a file or standard input, with its progress shown to people.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::failure::Failure;
use crate::terminal;

/// Bytes that are read and sent at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// An archive that is about to be sent.
pub(super) struct Archive {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    progress: ProgressBar,
}

impl Archive {
    /// Opens a file, or standard input for none; progress is drawn on a terminal unless `quiet`.
    ///
    /// # Errors
    /// The file can't be opened, or standard input is a terminal: nobody types an archive.
    pub(super) async fn open(path: Option<&str>, quiet: bool) -> Result<Self, Failure> {
        let (reader, length): (Box<dyn AsyncRead + Send + Unpin>, _) = match path {
            Some(path) => {
                let wrong = |source| Failure::Io { doing: format!("open {path}"), source };
                let file = tokio::fs::File::open(path).await.map_err(wrong)?;
                let metadata = file.metadata().await.map_err(wrong)?;
                if metadata.is_dir() {
                    return Err(Failure::Invalid(format!("open {path}: it is a directory: give an archive")));
                }
                // A pipe or a device has no length of its own.
                (Box::new(file), metadata.is_file().then_some(metadata.len()))
            }
            None if terminal::is_stdin_terminal() => {
                let advice = "give a file, or pipe an archive in";
                return Err(Failure::Invalid(format!("standard input is a terminal and holds no archive: {advice}")));
            }
            None => (Box::new(tokio::io::stdin()), None),
        };
        Ok(Self { reader, progress: progress(length, quiet) })
    }

    /// The bar that shows how far it is; it outlives the sending.
    pub(super) fn progress(&self) -> ProgressBar {
        self.progress.clone()
    }

    /// The archive's bytes.
    pub(super) fn into_stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        let progress = self.progress;
        ReaderStream::with_capacity(self.reader, CHUNK_BYTES).inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                progress.inc(chunk.len() as u64);
            }
        })
    }
}

/// A bar for so many bytes, if their number is known.
pub(super) fn progress(length: Option<u64>, quiet: bool) -> ProgressBar {
    if quiet || !terminal::is_stderr_terminal() {
        return ProgressBar::hidden();
    }
    let template = match length {
        // With the longest figures it fits a terminal of 80 columns.
        Some(_) => "{bar:24} {bytes}/{total_bytes} {bytes_per_sec} {msg}",
        None => "{spinner} {bytes} {bytes_per_sec} {msg}",
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are right");
    ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr()).with_style(style)
}

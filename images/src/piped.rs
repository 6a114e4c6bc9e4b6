//! A tar that one thread writes while another reads it.

use std::io::{self, PipeReader, PipeWriter};
use std::panic::resume_unwind;
use std::thread;

/// What `write`, on a thread of its own, and `read` make of the two ends of a pipe. Whoever is done first hangs up, which
/// the other one hears of.
///
/// # Errors
/// There is no pipe to be had.
pub(crate) fn piped<W: Send, R>(
    write: impl FnOnce(PipeWriter) -> W + Send,
    read: impl FnOnce(PipeReader) -> R,
) -> io::Result<(W, R)> {
    let (reader, writer) = io::pipe()?;
    Ok(thread::scope(|scope| {
        let writing = scope.spawn(move || write(writer));
        let read = read(reader);
        (writing.join().unwrap_or_else(|panic| resume_unwind(panic)), read)
    }))
}

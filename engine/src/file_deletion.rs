//! Deletes the files of containers that are gone, which nobody waits for: one after the other, since file systems let only one
//! at a time change a directory or the journal, and after whatever else wants a processor.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::{fs, io};

use images::Discarded;

use crate::error::{Error, Result, chain};

/// How far others go first (nice(2)).
const NICENESS: i32 = 10;

/// The handle on the thread, which ends when this is dropped and its queue is empty. What is left when berthd ends, the next
/// one sweeps.
#[derive(Debug)]
pub(crate) struct FileDeletion {
    queue: Sender<Files>,
}

/// All files of one container.
struct Files {
    directory: PathBuf,
    written: Discarded,
}

impl FileDeletion {
    /// Starts the thread.
    ///
    /// # Errors
    /// It can't be had.
    pub(crate) fn start() -> Result<Self> {
        let (queue, gone) = channel();
        let thread = thread::Builder::new().name("file-deletion".to_owned()).spawn(move || delete_all(&gone));
        thread.map_err(Error::io("starting the thread that deletes files"))?;
        Ok(Self { queue })
    }

    /// Has a container's own directory deleted some time soon, and what it wrote.
    pub(crate) fn delete(&self, directory: PathBuf, written: Discarded) {
        // The thread is gone only by its panic: what isn't sent is deleted as it is dropped, or by the next berthd.
        let _ = self.queue.send(Files { directory, written });
    }
}

fn delete_all(gone: &Receiver<Files>) {
    // Without it, they are deleted all the same.
    let _ = rustix::process::nice(NICENESS);
    for Files { directory, written } in gone {
        let deleted = [remove_tree(&directory), written.delete().map_err(Error::from)];
        for error in deleted.into_iter().filter_map(Result::err) {
            tracing::error!("deleting the files of a container: {}", chain(&error));
        }
    }
}

/// Removes a directory and all below; that it isn't there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("removing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

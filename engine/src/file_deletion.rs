//! Deletes what is left of containers that are gone, which nobody waits for: one after the other, since file systems let only
//! one at a time change a directory or the journal, and after whatever else wants a processor.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::{fs, io};

use images::Discarded;
use runtime::spec::Id;
use runtime::{Runtime, Target};

use crate::error::{Error, Result, chain};

/// How far others go first (nice(2)).
const NICENESS: i32 = 10;

/// How many containers' leftovers may wait: they take room, and cgroups in the kernel. Whoever removes more deletes them itself.
const QUEUE_LENGTH: usize = 1024;

/// The handle on the thread, which ends when this is dropped and its queue is empty. What is left when berthd ends, the next
/// one sweeps.
#[derive(Debug)]
pub(crate) struct FileDeletion {
    shared: Arc<Shared>,
    queue: SyncSender<Leftovers>,
}

#[derive(Debug)]
struct Shared {
    runtime: Runtime,
    /// The containers whose leftovers aren't deleted yet.
    pending: Mutex<BTreeSet<Id>>,
}

/// All that is left of one container.
struct Leftovers {
    /// The runtime still has its cgroups and its directory, if it has only just ended.
    id: Id,
    directory: PathBuf,
    written: Discarded,
}

impl Shared {
    fn pending<T>(&self, work: impl FnOnce(&mut BTreeSet<Id>) -> T) -> T {
        // It is whole whatever its holder was doing.
        work(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn delete(&self, leftovers: Leftovers) {
        let Leftovers { id, directory, written } = leftovers;
        let deleted = [
            remove_tree(&directory),
            written.delete().map_err(Error::from),
            // Last: somebody may have put a process into a cgroup, which takes its time to end.
            self.runtime.delete(Target::Container(&id)).map_err(Error::from),
        ];
        for error in deleted.into_iter().filter_map(Result::err) {
            tracing::error!(container = %id, "deleting what is left of a container: {}", chain(&error));
        }
        self.pending(|pending| pending.remove(&id));
    }
}

impl FileDeletion {
    /// Starts the thread.
    ///
    /// # Errors
    /// It can't be had.
    pub(crate) fn start(runtime: Runtime) -> Result<Self> {
        let (queue, gone) = sync_channel(QUEUE_LENGTH);
        let shared = Arc::new(Shared { runtime, pending: Mutex::default() });
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name("file-deletion".to_owned()).spawn(move || delete_all(&own, &gone));
        thread.map_err(Error::io("starting the thread that deletes files"))?;
        Ok(Self { shared, queue })
    }

    /// The containers whose leftovers are still to be deleted, or being deleted.
    pub(crate) fn pending(&self) -> BTreeSet<Id> {
        self.shared.pending(|pending| pending.clone())
    }

    /// Has a container's own directory deleted some time soon, what it wrote, and what the runtime has of it.
    pub(crate) async fn delete(&self, id: &Id, directory: PathBuf, written: Discarded) {
        self.shared.pending(|pending| pending.insert(id.clone()));
        let leftovers = Leftovers { id: id.clone(), directory, written };
        // The thread is gone only by its panic.
        if let Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) = self.queue.try_send(leftovers) {
            let shared = Arc::clone(&self.shared);
            // Its panic is in the log.
            let _ = tokio::task::spawn_blocking(move || shared.delete(unsent)).await;
        }
    }
}

fn delete_all(shared: &Shared, gone: &Receiver<Leftovers>) {
    // Without it, they are deleted all the same.
    let _ = rustix::process::nice(NICENESS);
    for leftovers in gone {
        shared.delete(leftovers);
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

#[cfg(test)]
mod tests {
    use runtime::Binaries;

    use super::*;

    #[tokio::test]
    async fn who_finds_the_queue_full_deletes_what_is_left_itself() {
        let directory = tempfile::tempdir().unwrap();
        let [shim, monitor] = ["shim", "monitor"].map(|name| directory.path().join(name));
        [&shim, &monitor].into_iter().for_each(|program| fs::write(program, "").unwrap());
        let runtime = Runtime::new(directory.path().join("run"), Binaries { shim, monitor }).unwrap();
        let shared = Arc::new(Shared { runtime, pending: Mutex::default() });
        // Nobody takes anything out of it.
        let (queue, gone) = sync_channel(1);
        let deletion = FileDeletion { shared, queue };
        let ids = ["a", "b"].map(|letter| letter.repeat(64).parse::<Id>().unwrap());
        for id in &ids {
            let files = directory.path().join(id.as_str());
            fs::create_dir(&files).unwrap();
            deletion.delete(id, files, Discarded::default()).await;
        }
        let is_there = |id: &Id| directory.path().join(id.as_str()).exists();
        assert_eq!(ids.each_ref().map(is_there), [true, false]);
        assert_eq!(deletion.pending(), BTreeSet::from([ids[0].clone()]));
        drop(deletion.queue);
        delete_all(&deletion.shared, &gone);
        assert!(!is_there(&ids[0]) && deletion.shared.pending(|pending| pending.is_empty()));
    }
}

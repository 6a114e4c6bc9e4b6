//! Deletes links in the background: the kernel takes some 16 ms for each, which nobody should wait for.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use cnm::id::LinkName;
use nix::errno::Errno;

use crate::route;

/// Whoever retires more links than this faster than the kernel deletes them waits.
const QUEUE_LENGTH: usize = 1024;

/// The handle on the thread; the thread ends when this is dropped and its queue is empty.
#[derive(Debug)]
pub(crate) struct Reaper {
    queue: SyncSender<LinkName>,
    pending: Arc<Pending>,
}

/// Links that are on their way out.
#[derive(Debug, Default)]
struct Pending {
    names: Mutex<BTreeSet<LinkName>>,
    fewer: Condvar,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<LinkName>> {
        // The set is whole whatever its holder was doing.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reaper {
    /// Starts the thread, with a socket in the calling thread's namespace.
    pub(crate) fn start() -> io::Result<Self> {
        let (queue, names) = sync_channel(QUEUE_LENGTH);
        let pending = Arc::new(Pending::default());
        let socket = route::Socket::open()?;
        let shared = Arc::clone(&pending);
        thread::Builder::new().name("link-reaper".to_owned()).spawn(move || reap(socket, &names, &shared))?;
        Ok(Self { queue, pending })
    }

    /// Has a link deleted some time soon.
    pub(crate) fn delete(&self, name: LinkName) {
        self.pending.lock().insert(name.clone());
        if self.queue.send(name.clone()).is_err() {
            // The thread is gone, which only its panic can do; the next start finds the link as a leftover.
            self.pending.lock().remove(&name);
        }
    }

    /// Blocks while a link of that name is on its way out.
    pub(crate) fn wait_for(&self, name: &LinkName) {
        let mut names = self.pending.lock();
        while names.contains(name) {
            names = self.pending.fewer.wait(names).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn reap(mut socket: route::Socket, names: &Receiver<LinkName>, pending: &Pending) {
    for name in names {
        match socket.all(vec![route::delete_link(&name)]) {
            Ok(()) => {}
            // Gone with the namespace of its other end.
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
            Err(error) => tracing::warn!(link = %name, %error, "cannot delete a retired link; the next start will try"),
        }
        pending.lock().remove(&name);
        pending.fewer.notify_all();
    }
}

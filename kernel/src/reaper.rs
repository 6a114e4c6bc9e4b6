//! Deletes links in the background: the kernel takes some 16 ms for each, which nobody should wait for.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use cnm::{
    id::LinkName,
    resource::{LinkAt, VethPair},
};
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

/// Links that are on their way out, with their other ends, which go with them. What an earlier netd retired has only its
/// own name left, in both places: its other end may be anywhere.
#[derive(Debug, Default)]
struct Pending {
    peers: Mutex<BTreeMap<LinkName, LinkAt>>,
    fewer: Condvar,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<LinkName, LinkAt>> {
        // The map is whole whatever its holder was doing.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Has a retired pair deleted some time soon.
    pub(crate) fn delete(&self, pair: &VethPair) {
        self.pending.lock().insert(pair.host_end.clone(), pair.peer.clone());
        if self.queue.send(pair.host_end.clone()).is_err() {
            // The thread is gone, which only its panic can do; the next start finds the link as a leftover.
            self.pending.lock().remove(&pair.host_end);
        }
    }

    /// Blocks while a link is on its way out that stands in the way of a pair: one of the name of its host end, or, in a
    /// namespace that isn't new, one that still has the place of its peer.
    pub(crate) fn wait_for(&self, pair: &VethPair, peer_is_first: bool) {
        let mut peers = self.pending.lock();
        let in_the_way = |(name, peer): (&LinkName, &LinkAt)| {
            *name == pair.host_end || (!peer_is_first && (*peer == pair.peer || peer.name == *name))
        };
        while peers.iter().any(in_the_way) {
            peers = self.pending.fewer.wait(peers).unwrap_or_else(PoisonError::into_inner);
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

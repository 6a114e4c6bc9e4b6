//! Deletes links, in groups: the kernel takes some 16 ms for each, or for all that go in one message, since it waits until
//! nobody uses them any more. For veth pairs nobody waits.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
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

/// How many go at once at most: while they do, nobody else can change a link.
const GROUP_SIZE: usize = 64;

/// The handle on the thread; the thread ends when this is dropped and its queue is empty.
#[derive(Debug)]
pub(crate) struct Reaper {
    queue: SyncSender<Going>,
    pending: Arc<Pending>,
}

/// A link that is to go.
#[derive(Debug)]
struct Going {
    name: LinkName,
    /// Who waits for it.
    told: Option<SyncSender<io::Result<()>>>,
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
        if self.queue.send(Going { name: pair.host_end.clone(), told: None }).is_err() {
            // The thread is gone, which only its panic can do; the next start finds the link as a leftover.
            self.pending.lock().remove(&pair.host_end);
        }
    }

    /// Deletes a link, in one step with others that are to go at this moment; one that isn't there is an error.
    pub(crate) fn delete_now(&self, name: &LinkName) -> io::Result<()> {
        let (told, answer) = sync_channel(1);
        let gone = || io::Error::other("the thread that deletes links has panicked");
        self.queue.send(Going { name: name.clone(), told: Some(told) }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
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

fn reap(mut socket: route::Socket, queue: &Receiver<Going>, pending: &Pending) {
    for first in queue {
        let group: Vec<Going> = std::iter::once(first).chain(queue.try_iter()).take(GROUP_SIZE).collect();
        let deleted = delete(&mut socket, &group);
        let mut peers = pending.lock();
        for (Going { name, told }, result) in group.into_iter().zip(deleted) {
            peers.remove(&name);
            match (told, result) {
                // Who has stopped waiting has panicked.
                (Some(told), result) => drop(told.send(result)),
                (None, Ok(())) => {}
                // Gone with the namespace of its other end.
                (None, Err(error)) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
                (None, Err(error)) => {
                    tracing::warn!(link = %name, %error, "cannot delete a retired link; the next start will try");
                }
            }
        }
        pending.fewer.notify_all();
    }
}

/// Deletes links, and answers for each.
fn delete(socket: &mut route::Socket, links: &[Going]) -> Vec<io::Result<()>> {
    if let [only] = links {
        return vec![socket.all(vec![route::delete_link(&only.name)])];
    }
    // A number that nobody else has, people's are small: whatever is in the group goes.
    let group = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or(u32::MAX) | 1 << 31;
    let join = links.iter().map(|link| route::set_group(&link.name, group)).collect();
    let joined =
        socket.inner.exchange(join).map(|answers| answers.into_iter().map(|answer| answer.map(drop)).collect());
    let joined: Vec<io::Result<()>> = match joined {
        Ok(joined) => joined,
        Err(error) => return links.iter().map(|_| Err(copy(&error))).collect(),
    };
    match socket.all(vec![route::delete_group(group)]) {
        Ok(()) => joined,
        // Nobody is in it.
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => joined,
        // One of them can't be deleted, and then none was.
        Err(_) => links.iter().map(|link| socket.all(vec![route::delete_link(&link.name)])).collect(),
    }
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

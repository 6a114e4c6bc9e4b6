//! Deletes links, for which nobody waits. The kernel takes some 16 ms for each, or for all veth pairs that go in one message,
//! since it waits until nobody uses them any more; for bridges one by one, whatever the message (`rcu_barrier` of
//! `br_multicast_dev_del`), and keeps everybody else from changing links the while.

use std::{
    collections::{BTreeMap, VecDeque},
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

/// How many veth pairs go at once at most: while they do, nobody else can change a link.
const GROUP_SIZE: usize = 64;

/// More addresses than anybody gives a bridge.
const ADDRESSES_AT_MOST: usize = 256;

/// The handle on the thread; the thread ends when this is dropped and its queue is empty.
#[derive(Debug)]
pub(crate) struct Reaper {
    queue: SyncSender<Going>,
    pending: Arc<Pending>,
}

/// A link that is to go.
#[derive(Debug)]
enum Going {
    /// A veth pair, by its host end.
    Pair(LinkName),
    Bridge(LinkName),
}

/// Veth pairs that are on their way out, by their host ends, with their other ends, which go with them. What an earlier netd
/// retired has only its own name left, in both places: its other end may be anywhere.
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
        let (queue, links) = sync_channel(QUEUE_LENGTH);
        let pending = Arc::new(Pending::default());
        let socket = route::Socket::open()?;
        let shared = Arc::clone(&pending);
        thread::Builder::new().name("link-reaper".to_owned()).spawn(move || reap(socket, &links, &shared))?;
        Ok(Self { queue, pending })
    }

    /// Has a retired pair deleted some time soon.
    pub(crate) fn delete(&self, pair: &VethPair) {
        self.pending.lock().insert(pair.host_end.clone(), pair.peer.clone());
        if self.queue.send(Going::Pair(pair.host_end.clone())).is_err() {
            // The thread is gone, which only its panic can do; the next start finds the link as a leftover.
            self.pending.lock().remove(&pair.host_end);
        }
    }

    /// Takes a bridge's name and addresses away, and has it deleted some time soon; one that isn't there is an error.
    pub(crate) fn retire(&self, socket: &mut route::Socket, bridge: &LinkName) -> io::Result<()> {
        let index = socket.indexes(std::slice::from_ref(bridge))?.remove(bridge).ok_or(Errno::ENODEV)?;
        let retired = LinkName::of_retired_bridge(random());
        socket.all(vec![route::set_down(bridge), route::rename(index, &retired)])?;
        // Down it keeps those of IPv4, which would be the host's still.
        let mut left = ADDRESSES_AT_MOST;
        while left > 0 && socket.all(vec![route::remove_any_address(index)]).is_ok() {
            left -= 1;
        }
        // The thread is gone only by its panic; the next start finds the link as a leftover.
        let _ = self.queue.send(Going::Bridge(retired));
        Ok(())
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

/// Somebody may wait for a pair, for a bridge nobody does: they go when there are no pairs.
fn reap(mut socket: route::Socket, queue: &Receiver<Going>, pending: &Pending) {
    let mut bridges = VecDeque::new();
    loop {
        let first = match bridges.is_empty().then(|| queue.recv()) {
            Some(Err(_)) => return,
            Some(Ok(first)) => Some(first),
            None => None,
        };
        let mut pairs = Vec::new();
        for going in first.into_iter().chain(queue.try_iter().take(GROUP_SIZE)) {
            match going {
                Going::Pair(host_end) => pairs.push(host_end),
                Going::Bridge(name) => bridges.push_back(name),
            }
        }
        if !pairs.is_empty() {
            delete_pairs(&mut socket, pairs, pending);
        } else if let Some(bridge) = bridges.pop_front() {
            tell_failure(&bridge, socket.all(vec![route::delete_link(&bridge)]));
        }
    }
}

fn delete_pairs(socket: &mut route::Socket, pairs: Vec<LinkName>, pending: &Pending) {
    let deleted = delete_group(socket, &pairs);
    let mut peers = pending.lock();
    for (host_end, result) in pairs.into_iter().zip(deleted) {
        peers.remove(&host_end);
        tell_failure(&host_end, result);
    }
    pending.fewer.notify_all();
}

fn tell_failure(link: &LinkName, result: io::Result<()>) {
    match result {
        Ok(()) => {}
        // Gone with the namespace of its other end.
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
        Err(error) => tracing::warn!(%link, %error, "cannot delete a retired link; the next start will try"),
    }
}

/// Deletes links, and answers for each.
fn delete_group(socket: &mut route::Socket, links: &[LinkName]) -> Vec<io::Result<()>> {
    if let [only] = links {
        return vec![socket.all(vec![route::delete_link(only)])];
    }
    // A number that nobody else has, people's are small: whatever is in the group goes.
    let group = u32::try_from(random() >> 32).unwrap_or(u32::MAX) | 1 << 31;
    let join = links.iter().map(|link| route::set_group(link, group)).collect();
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
        Err(_) => links.iter().map(|link| socket.all(vec![route::delete_link(link)])).collect(),
    }
}

/// Different each time, and with each start.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

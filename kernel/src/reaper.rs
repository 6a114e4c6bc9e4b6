//! Deletes links, for which nobody waits. The kernel takes some 16 ms for each, or for all veth pairs that go in one message,
//! since it waits until nobody uses them any more; for bridges one by one, whatever the message (`rcu_barrier` of
//! `br_multicast_dev_del`), and keeps everybody else from changing links the while.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use cnm::{
    id::LinkName,
    resource::{LinkAt, VethPair},
};
use nix::errno::Errno;

use crate::route;

/// Whoever retires more links of a kind than this faster than the kernel deletes them waits.
const QUEUE_LENGTH: usize = 1024;

/// How many veth pairs go at once at most: while they do, nobody else can change a link.
const GROUP_SIZE: usize = 64;

/// After so many groups a bridge goes, also where there are more pairs.
const GROUPS_PER_BRIDGE: usize = 8;

/// More addresses than anybody gives a bridge.
const ADDRESSES_AT_MOST: usize = 256;

/// The handle on the thread; the thread ends when this is dropped and its queue is empty.
#[derive(Debug)]
pub(crate) struct Reaper {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Links that are on their way out.
#[derive(Debug, Default)]
struct Queue {
    /// Veth pairs, by their host ends.
    pairs: VecDeque<LinkName>,
    bridges: VecDeque<LinkName>,
    /// Host ends, also of the pairs that are just being deleted, with their other ends, which go with them. What an earlier
    /// netd retired has only its own name left, in both places: its other end may be anywhere.
    peers: BTreeMap<LinkName, LinkAt>,
    is_deleting: bool,
    /// Nobody adds any more.
    is_closed: bool,
    /// The thread is gone, which only its panic can do; the next start finds what it has left.
    is_abandoned: bool,
}

/// What goes next.
enum Going {
    Pairs(Vec<LinkName>),
    Bridge(LinkName),
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.bridges.is_empty()
    }

    /// Somebody may wait for a pair, for a bridge nobody does: they go when there are no pairs, or when it is their turn.
    fn take(&mut self, groups: &mut usize) -> Option<Going> {
        let is_bridges_turn = self.pairs.is_empty() || *groups >= GROUPS_PER_BRIDGE;
        if is_bridges_turn && let Some(bridge) = self.bridges.pop_front() {
            *groups = 0;
            return Some(Going::Bridge(bridge));
        }
        *groups += 1;
        let group: Vec<LinkName> = self.pairs.drain(..self.pairs.len().min(GROUP_SIZE)).collect();
        (!group.is_empty()).then_some(Going::Pairs(group))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole whatever its holder was doing.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl FnMut(&mut Queue) -> bool) -> MutexGuard<'_, Queue> {
        self.changed.wait_while(self.lock(), condition).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reaper {
    /// Starts the thread, with a socket in the calling thread's namespace.
    pub(crate) fn start() -> io::Result<Self> {
        let socket = route::Socket::open()?;
        let shared = Arc::new(Shared::default());
        let own = Abandons(Arc::clone(&shared));
        thread::Builder::new().name("link-reaper".to_owned()).spawn(move || reap(socket, &own.0))?;
        Ok(Self { shared })
    }

    /// Has a retired pair deleted some time soon.
    pub(crate) fn delete(&self, pair: &VethPair) {
        self.enqueue(
            |queue| queue.pairs.len(),
            |queue| {
                queue.peers.insert(pair.host_end.clone(), pair.peer.clone());
                queue.pairs.push_back(pair.host_end.clone());
            },
        );
    }

    /// Takes a bridge's name and addresses away, and has it deleted some time soon; one that isn't there is an error.
    pub(crate) fn retire(&self, socket: &mut route::Socket, bridge: &LinkName) -> io::Result<()> {
        let index = socket.indexes(std::slice::from_ref(bridge))?.remove(bridge).ok_or(Errno::ENODEV)?;
        self.delete_renamed(|retired| {
            socket.all(vec![route::set_down_without_ipv6(bridge), route::rename(index, retired)])?;
            remove_addresses(socket, index)
        })
    }

    /// Has a bridge that is given a new name deleted, whatever comes of the rest that is done to it: nobody finds it by its
    /// old name any more. Where it isn't renamed, there is nothing of the new name to delete.
    fn delete_renamed(&self, rename: impl FnOnce(&LinkName) -> io::Result<()>) -> io::Result<()> {
        let retired = LinkName::of_retired_bridge(rand::random());
        let renamed = rename(&retired);
        self.enqueue(|queue| queue.bridges.len(), |queue| queue.bridges.push_back(retired));
        renamed
    }

    /// Waits for room, and adds something; where nobody deletes any more, it is left to the next start.
    fn enqueue(&self, length: impl Fn(&Queue) -> usize, add: impl FnOnce(&mut Queue)) {
        let mut queue = self.shared.wait_while(|queue| !queue.is_abandoned && length(queue) >= QUEUE_LENGTH);
        if !queue.is_abandoned {
            add(&mut queue);
            self.shared.changed.notify_all();
        }
    }

    /// Blocks while a link is on its way out that stands in the way of a pair: one of the name of its host end, or, in a
    /// namespace that isn't new, one that still has the place of its peer.
    pub(crate) fn wait_for(&self, pair: &VethPair, peer_is_first: bool) {
        let in_the_way = |(name, peer): (&LinkName, &LinkAt)| {
            *name == pair.host_end || (!peer_is_first && (*peer == pair.peer || peer.name == *name))
        };
        drop(self.shared.wait_while(|queue| !queue.is_abandoned && queue.peers.iter().any(in_the_way)));
    }

    /// Waits until all is deleted, or for this long; whether it is.
    pub(crate) fn finish(&self, longest: Duration) -> bool {
        let is_busy = |queue: &mut Queue| !queue.is_abandoned && (queue.is_deleting || !queue.is_empty());
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), longest, is_busy);
        let queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        !queue.is_abandoned && !queue.is_deleting && queue.is_empty()
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

/// Whoever waits for the thread learns that it is gone.
struct Abandons(Arc<Shared>);

impl Drop for Abandons {
    fn drop(&mut self) {
        self.0.lock().is_abandoned = true;
        self.0.changed.notify_all();
    }
}

fn reap(mut socket: route::Socket, shared: &Shared) {
    let mut groups = 0;
    loop {
        let mut queue = shared.wait_while(|queue| queue.is_empty() && !queue.is_closed);
        let Some(going) = queue.take(&mut groups) else { return };
        queue.is_deleting = true;
        drop(queue);
        let links = match going {
            Going::Pairs(pairs) => {
                let deleted = delete_group(&mut socket, &pairs);
                pairs.iter().zip(deleted).for_each(|(pair, result)| warn_of(pair, result));
                pairs
            }
            Going::Bridge(bridge) => {
                warn_of(&bridge, socket.all(vec![route::delete_link(&bridge)]));
                Vec::new()
            }
        };
        let mut queue = shared.lock();
        queue.is_deleting = false;
        for link in links {
            queue.peers.remove(&link);
        }
        shared.changed.notify_all();
    }
}

fn warn_of(link: &LinkName, result: io::Result<()>) {
    match result {
        Ok(()) => {}
        // Gone with the namespace of its other end.
        Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
        Err(error) => tracing::warn!(%link, %error, "cannot delete a retired link; the next start will try"),
    }
}

/// A link that is down keeps its IPv4 addresses, which would be the host's still.
fn remove_addresses(socket: &mut route::Socket, index: u32) -> io::Result<()> {
    for _ in 0..ADDRESSES_AT_MOST {
        match socket.all(vec![route::remove_any_address(index)]) {
            Err(error) if error.raw_os_error() == Some(Errno::EADDRNOTAVAIL as i32) => break,
            removed => removed?,
        }
    }
    Ok(())
}

/// Deletes links, and answers for each.
fn delete_group(socket: &mut route::Socket, links: &[LinkName]) -> Vec<io::Result<()>> {
    if let [only] = links {
        return vec![socket.all(vec![route::delete_link(only)])];
    }
    // A number that nobody else has, people's are small: whatever is in the group goes.
    let group = rand::random::<u32>() | 1 << 31;
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

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One whose thread hasn't begun yet.
    fn reaper() -> Reaper {
        Reaper { shared: Arc::default() }
    }

    #[test]
    fn a_bridge_is_deleted_also_when_not_all_that_is_done_to_it_before_succeeds() {
        let reaper = reaper();
        let mut names = Vec::new();
        for done in [Ok(()), Err(Errno::ENOBUFS)] {
            let retired = reaper.delete_renamed(|name| {
                names.push(name.clone());
                Ok(done?)
            });
            assert_eq!(retired.err().and_then(|error| error.raw_os_error()), done.err().map(|errno| errno as i32));
        }
        assert_ne!(names[0], names[1]);
        assert_eq!(reaper.shared.lock().bridges, names);
    }

    #[test]
    fn one_whose_thread_is_gone_takes_nothing_and_never_says_that_all_is_deleted() {
        let reaper = reaper();
        assert!(reaper.finish(Duration::ZERO));
        drop(Abandons(Arc::clone(&reaper.shared)));
        let pair = VethPair {
            host_end: "bv0123456789".parse().expect("a name"),
            bridge: "bb-0123456789ab".parse().expect("a name"),
            peer: LinkAt::on_host(&"eth0".parse().expect("a name")),
            peer_mac: "02:42:ac:11:00:02".parse().expect("an address"),
            mtu_bytes: 1500,
            isolated: false,
        };
        reaper.delete(&pair);
        reaper.delete_renamed(|_| Ok(())).expect("renamed");
        let queue = reaper.shared.lock();
        assert!(queue.is_empty() && queue.peers.is_empty(), "{queue:?}");
        drop(queue);
        assert!(!reaper.finish(Duration::ZERO));
    }
}

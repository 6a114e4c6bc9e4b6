//! Lanes: requests about one object pass one after the other, in the order in which they came; those about others don't wait.
//!
//! Whoever needs several lanes enters a sandbox's before a network's, and never waits for a second sandbox's: so nobody waits
//! for somebody who waits for them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use cnm::id::{NetworkId, SandboxId};
use tokio::sync::{Mutex as LaneMutex, OwnedMutexGuard};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    Network(NetworkId),
    Sandbox(SandboxId),
}

/// The lanes that somebody is in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    lanes: Arc<Mutex<HashMap<LaneKey, Weak<LaneMutex<()>>>>>,
}

/// The right to work on an object, until it is dropped.
#[derive(Debug)]
pub(crate) struct LaneGuard {
    key: LaneKey,
    lanes: Lanes,
    held: Option<OwnedMutexGuard<()>>,
}

impl Lanes {
    /// Waits until everybody who came before has left.
    pub(crate) async fn enter(&self, key: LaneKey) -> LaneGuard {
        let mutex = self.mutex_of(&key);
        // A turnstile serves in the order of arrival (tokio's mutex is fair).
        let held = mutex.lock_owned().await;
        LaneGuard { key, lanes: self.clone(), held: Some(held) }
    }

    /// Enters if nobody is there.
    pub(crate) fn try_enter(&self, key: LaneKey) -> Option<LaneGuard> {
        let held = self.mutex_of(&key).try_lock_owned().ok()?;
        Some(LaneGuard { key, lanes: self.clone(), held: Some(held) })
    }

    fn mutex_of(&self, key: &LaneKey) -> Arc<LaneMutex<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mutex) = lanes.get(key).and_then(Weak::upgrade) {
            return mutex;
        }
        let mutex = Arc::new(LaneMutex::new(()));
        lanes.insert(key.clone(), Arc::downgrade(&mutex));
        mutex
    }
}

impl Drop for LaneGuard {
    fn drop(&mut self) {
        self.held = None;
        let mut lanes = self.lanes.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.get(&self.key).is_some_and(|mutex| mutex.strong_count() == 0) {
            lanes.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> LaneKey {
        LaneKey::Sandbox(id.parse().expect("an id"))
    }

    #[tokio::test]
    async fn turns_come_in_order_and_leave_nothing_behind() {
        let lanes = Lanes::default();
        let first = lanes.enter(key("a")).await;
        let _other = lanes.enter(key("b")).await;
        let mut second = std::pin::pin!(lanes.enter(key("a")));
        assert!(futures::poll!(&mut second).is_pending());
        assert!(lanes.try_enter(key("a")).is_none());
        drop(first);
        drop(second.await);
        drop(lanes.try_enter(key("a")).expect("nobody is there"));
        let left: Vec<_> = lanes.lanes.lock().expect("not poisoned").keys().cloned().collect();
        assert_eq!(left, [key("b")]);
    }
}

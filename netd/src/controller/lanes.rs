//! Requests about one object pass one after the other, in the order in which they came; those about others don't wait.
//!
//! Whoever needs several lanes enters a sandbox's before a network's, and never waits for a second sandbox's: so nobody waits
//! for somebody who waits for them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use cnm::id::{NetworkId, SandboxId};
use tokio::sync::{Mutex as Turnstile, OwnedMutexGuard};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Network(NetworkId),
    Sandbox(SandboxId),
}

/// The lanes that somebody is in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lanes {
    lanes: Arc<Mutex<HashMap<Subject, Weak<Turnstile<()>>>>>,
}

/// The right to work on an object, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    subject: Subject,
    lanes: Lanes,
    held: Option<OwnedMutexGuard<()>>,
}

impl Lanes {
    /// Waits until everybody who came before has left.
    pub(crate) async fn enter(&self, subject: Subject) -> Turn {
        let turnstile = self.turnstile(&subject);
        // A turnstile serves in the order of arrival (tokio's mutex is fair).
        let held = turnstile.lock_owned().await;
        Turn { subject, lanes: self.clone(), held: Some(held) }
    }

    /// Enters if nobody is there.
    pub(crate) fn try_enter(&self, subject: Subject) -> Option<Turn> {
        let held = self.turnstile(&subject).try_lock_owned().ok()?;
        Some(Turn { subject, lanes: self.clone(), held: Some(held) })
    }

    fn turnstile(&self, subject: &Subject) -> Arc<Turnstile<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turnstile) = lanes.get(subject).and_then(Weak::upgrade) {
            return turnstile;
        }
        let turnstile = Arc::new(Turnstile::new(()));
        lanes.insert(subject.clone(), Arc::downgrade(&turnstile));
        turnstile
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let mut lanes = self.lanes.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.get(&self.subject).is_some_and(|turnstile| turnstile.strong_count() == 0) {
            lanes.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(id: &str) -> Subject {
        Subject::Sandbox(id.parse().expect("an id"))
    }

    #[tokio::test]
    async fn turns_come_in_order_and_leave_nothing_behind() {
        let lanes = Lanes::default();
        let first = lanes.enter(subject("a")).await;
        let _other = lanes.enter(subject("b")).await;
        let mut second = std::pin::pin!(lanes.enter(subject("a")));
        assert!(futures::poll!(&mut second).is_pending());
        assert!(lanes.try_enter(subject("a")).is_none());
        drop(first);
        drop(second.await);
        drop(lanes.try_enter(subject("a")).expect("nobody is there"));
        let left: Vec<_> = lanes.lanes.lock().expect("not poisoned").keys().cloned().collect();
        assert_eq!(left, [subject("b")]);
    }
}

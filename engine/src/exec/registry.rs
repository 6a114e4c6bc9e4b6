//! Which execs there are. The lock is held for a lookup, never for work.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use runtime::spec::Id;

use super::{Exec, Phase};
use crate::error::{Error, Result};

/// How long clients can ask for an exit code.
const KEPT: SignedDuration = SignedDuration::from_mins(5);

/// Every exec that is to come, runs, or ended a short while ago.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    by_id: HashMap<Id, Arc<Exec>>,
    by_container: HashMap<Id, BTreeSet<Id>>,
    /// In the order of their ends, to be forgotten from the front.
    ended: VecDeque<(Timestamp, Id)>,
}

impl Registry {
    /// The exec of that id.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Exec>> {
        let found = id.parse().ok().and_then(|id: Id| self.lock().by_id.get(&id).cloned());
        found.ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    /// The ids of a container's execs that have not ended, as inspect lists them.
    pub(crate) fn of_container(&self, container: &Id) -> Vec<Id> {
        let index = self.lock();
        let ids = index.by_container.get(container).into_iter().flatten();
        let open = |id: &&Id| index.by_id.get(*id).is_some_and(|exec| !matches!(exec.phase(), Phase::Ended { .. }));
        ids.filter(open).cloned().collect()
    }

    /// Waits until the execs that run in a container have ended.
    pub(crate) async fn ended_in(&self, container: &Id) {
        for id in self.of_container(container) {
            if let Ok(exec) = self.find(id.as_str())
                && matches!(exec.phase(), Phase::Running { .. })
            {
                exec.ended().await;
            }
        }
    }

    /// Makes an exec known, and forgets those that ended long ago.
    pub(crate) fn insert(&self, exec: Arc<Exec>, now: Timestamp) {
        let mut index = self.lock();
        index.forget_before(now.checked_sub(KEPT).unwrap_or(Timestamp::MIN));
        index.by_container.entry(exec.container.clone()).or_default().insert(exec.id().clone());
        index.by_id.insert(exec.id().clone(), exec);
    }

    /// An exec's process ended, or couldn't be started. Nobody sees that before `tell` is done: who waits for it finds it told,
    /// and who is told finds it so.
    pub(crate) fn ended(&self, exec: &Exec, code: u8, at: Timestamp, tell: impl FnOnce()) {
        self.lock().ended.push_back((at, exec.id().clone()));
        exec.phase.send_modify(|phase| {
            let pid = match *phase {
                Phase::Running { pid } => Some(pid),
                _ => None,
            };
            *phase = Phase::Ended { code, at, pid };
            tell();
        });
    }

    /// Forgets what a container that is gone had.
    pub(crate) fn forget_container(&self, container: &Id) {
        let mut index = self.lock();
        for id in index.by_container.remove(container).unwrap_or_default() {
            index.by_id.remove(&id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn forget_before(&mut self, moment: Timestamp) {
        while self.ended.front().is_some_and(|(at, _)| *at < moment) {
            let Some((_, id)) = self.ended.pop_front() else { break };
            let Some(exec) = self.by_id.remove(&id) else { continue };
            if let Some(of_container) = self.by_container.get_mut(&exec.container) {
                of_container.remove(&id);
                if of_container.is_empty() {
                    self.by_container.remove(&exec.container);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::ExecSpec;
    use runtime::capabilities::CapabilitySet;
    use runtime::protocol::Streams;
    use runtime::seccomp::Seccomp;
    use runtime::spec::{Process, Stdin, UserSpec};

    use super::super::Description;
    use super::*;
    use crate::detach::DetachKeys;

    fn exec(id: &str, container: &str) -> Arc<Exec> {
        let process = Process {
            args: vec!["true".into()],
            env: Vec::new(),
            cwd: "/".into(),
            user: UserSpec::default(),
            capabilities: CapabilitySet::EMPTY,
            no_new_privileges: false,
            seccomp: Seccomp::Default,
            rlimits: Vec::new(),
            terminal: None,
            stdin: Stdin::Closed,
        };
        let description = Description {
            spec: ExecSpec { id: id.parse().expect("an id"), process },
            streams: Streams::default(),
            detach_keys: DetachKeys::default(),
            detach_keys_text: String::new(),
            privileged: false,
        };
        Arc::new(Exec::new(container.parse().expect("an id"), description))
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn exit_codes_are_kept_for_a_while() {
        let registry = Registry::default();
        let (first, later) = (exec("e1", "c1"), exec("e2", "c1"));
        registry.insert(first.clone(), second(0));
        registry.ended(&first, 3, second(10), || {});
        registry.insert(later, second(300));
        let ended = Phase::Ended { code: 3, at: second(10), pid: None };
        assert_eq!(registry.find("e1").expect("kept").phase(), ended);
        assert_eq!(registry.of_container(&"c1".parse().expect("an id")), ["e2".parse().expect("an id")]);
        registry.insert(exec("e3", "c2"), second(311));
        let message = registry.find("e1").expect_err("forgotten").message();
        assert_eq!(message, "No such exec instance: e1");
        registry.forget_container(&"c1".parse().expect("an id"));
        registry.find("e2").expect_err("gone with its container");
        registry.find("e3").expect("another container's");
    }

    #[test]
    fn an_exec_runs_once() {
        let registry = Registry::default();
        let exec = exec("e1", "c1");
        exec.claim_start().expect("free");
        assert_eq!(exec.claim_start().expect_err("taken").message(), "exec command e1 is already running");
        exec.started(7);
        exec.claim_start().expect_err("it runs");
        registry.ended(&exec, 0, second(0), || {});
        assert_eq!(exec.phase(), Phase::Ended { code: 0, at: second(0), pid: Some(7) });
        assert_eq!(exec.claim_start().expect_err("over").message(), "exec command e1 has already run");
    }
}

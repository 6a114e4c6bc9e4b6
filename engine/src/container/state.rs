//! The state of a container, and which verbs it allows. Texts of refusals are Docker's.

use jiff::Timestamp;
use runtime::Exit;
use serde::{Deserialize, Serialize};

use super::health::Health;
use crate::error::{Error, Result};

/// How far a container is, and how its last run began and ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it is in its life.
    pub phase: Phase,
    /// When it last began to run.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// How it last ended, or why it last couldn't start; 0 before.
    pub exit_code: u8,
    /// The kernel killed something of its last run for lack of memory.
    pub oom_killed: bool,
    /// What went wrong, if it couldn't start or its monitor died; else empty.
    pub error: String,
    /// How many runs have ended: those who wait for the next end compare it.
    pub exits: u64,
    /// How the last of them did, also while the next one is under way.
    #[serde(default)]
    pub last_exit_code: u8,
    /// A start was begun, and what came of it isn't recorded: if berthd died over it, `--rm` means what was begun.
    #[serde(default)]
    pub start_begun: bool,
    /// What netd holds for it is being changed, and what came of that isn't recorded: if berthd dies over it, netd is told again
    /// what is wanted.
    #[serde(default)]
    pub network_changes: bool,
    /// How often its restart policy has started it since the user did.
    #[serde(default)]
    pub restart_count: u32,
    /// The user ended its last run, or the waiting for the next.
    #[serde(default)]
    pub stopped_by_user: bool,
    /// The user wants it started anew when it has ended (`restart`): it waits for that, and is over in nobody's eyes.
    #[serde(default)]
    pub restart_asked: bool,
    /// The user wants it removed (`rm -f`), which waits for its end: if berthd dies over that, the next one goes on with it.
    #[serde(default)]
    pub removal_asked: bool,
    /// It is frozen only until something of ours is done: if berthd dies over that, it goes on.
    #[serde(default)]
    pub pause_is_passing: bool,
    /// What its health checks have found, if it has ever run with some.
    #[serde(default)]
    pub health: Option<Health>,
}

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub enum Phase {
    /// It has never run.
    #[default]
    Created,
    /// Its first process runs.
    Running {
        /// As the host sees it.
        pid: i32,
    },
    /// It is frozen.
    Paused {
        /// As the host sees it.
        pid: i32,
    },
    /// It ended, and is started again in a while.
    Restarting,
    /// It ran, and ended.
    Exited,
    /// It is being removed; if that stops half-way it is taken up again.
    Removing,
    /// It is gone: the last thing that a snapshot says.
    Removed,
}

impl Phase {
    /// Docker's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removing | Self::Removed => "removing",
        }
    }

    /// The first process of a container that runs or is frozen.
    pub const fn pid(self) -> Option<i32> {
        match self {
            Self::Running { pid } | Self::Paused { pid } => Some(pid),
            Self::Created | Self::Restarting | Self::Exited | Self::Removing | Self::Removed => None,
        }
    }

    /// Whether it has a process, frozen or not.
    pub const fn is_alive(self) -> bool {
        self.pid().is_some()
    }

    /// Whether it has a process, or is to have one again by itself: Docker counts both as running.
    pub const fn is_active(self) -> bool {
        self.is_alive() || matches!(self, Self::Restarting)
    }
}

/// Whether a request changed anything; if not, Docker answers 304.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Done,
    /// The container was there already.
    AlreadySo,
}

impl State {
    /// Whether it may be started now.
    pub fn may_start(&self) -> Result<Outcome> {
        match self.phase {
            Phase::Created | Phase::Exited => Ok(Outcome::Done),
            Phase::Restarting if self.restart_asked => Ok(Outcome::Done),
            Phase::Running { .. } | Phase::Restarting => Ok(Outcome::AlreadySo),
            Phase::Paused { .. } => Err(Error::conflict("cannot start a paused container, try unpause instead")),
            Phase::Removing | Phase::Removed => {
                Err(Error::conflict("container is marked for removal and cannot be started"))
            }
        }
    }

    /// Its first process, for verbs that need it running; `id` is for the refusal.
    pub fn running_pid(&self, id: &str) -> Result<i32> {
        self.phase.pid().ok_or_else(|| match self.phase {
            Phase::Restarting => restarting(id),
            _ => Error::conflict(format!("container {id} is not running")),
        })
    }

    /// Whether it may be frozen now.
    pub fn may_pause(&self, id: &str) -> Result<i32> {
        match self.phase {
            Phase::Paused { .. } => Err(Error::conflict(format!("Container {id} is already paused"))),
            Phase::Running { pid } => Ok(pid),
            Phase::Restarting => Err(restarting(id)),
            _ => Err(Error::conflict(format!("Container {id} is not running"))),
        }
    }

    /// Whether it may be thawed now.
    pub fn may_unpause(&self, id: &str) -> Result<i32> {
        match self.phase {
            Phase::Paused { pid } => Ok(pid),
            _ => Err(Error::conflict(format!("Container {id} is not paused"))),
        }
    }

    /// It runs.
    pub fn started(&mut self, pid: i32, at: Timestamp) {
        self.phase = Phase::Running { pid };
        self.start_begun = false;
        self.restart_asked = false;
        self.removal_asked = false;
        self.started_at = Some(at);
        self.exit_code = 0;
        self.oom_killed = false;
        self.error.clear();
    }

    /// Whether berthd died over its first start.
    pub fn start_was_cut_short(&self) -> bool {
        self.phase == Phase::Created && self.start_begun
    }

    /// It couldn't be started.
    pub fn start_failed(&mut self, exit_code: u8, error: String) {
        self.start_begun = false;
        if std::mem::take(&mut self.restart_asked) {
            self.phase = Phase::Exited;
        }
        self.exit_code = exit_code;
        self.error = error;
    }

    /// It ended.
    pub fn ended(&mut self, exit: &Exit) {
        self.phase = Phase::Exited;
        self.finished_at = Some(exit.at);
        self.exit_code = exit.code;
        self.last_exit_code = exit.code;
        self.oom_killed = exit.oom_killed;
        self.error = exit.error.clone().unwrap_or_default();
        self.exits += 1;
    }
}

fn restarting(id: &str) -> Error {
    Error::conflict(format!("Container {id} is restarting, wait until the container is running"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: Phase) -> State {
        State { phase, ..State::default() }
    }

    #[test]
    fn verbs_by_phase() {
        let running = Phase::Running { pid: 7 };
        let paused = Phase::Paused { pid: 7 };
        // phase, start, signal, pause, unpause
        let table = [
            (Phase::Created, true, false, false, false),
            (running, true, true, true, false),
            (paused, false, true, false, true),
            (Phase::Exited, true, false, false, false),
            (Phase::Restarting, true, false, false, false),
            (Phase::Removing, false, false, false, false),
        ];
        for (phase, start, signal, pause, unpause) in table {
            let state = at(phase);
            assert_eq!(state.may_start().is_ok(), start, "start {phase:?}");
            assert_eq!(state.running_pid("x").is_ok(), signal, "signal {phase:?}");
            assert_eq!(state.may_pause("x").is_ok(), pause, "pause {phase:?}");
            assert_eq!(state.may_unpause("x").is_ok(), unpause, "unpause {phase:?}");
        }
        assert_eq!(at(running).may_start().ok(), Some(Outcome::AlreadySo));
        assert_eq!(at(Phase::Restarting).may_start().ok(), Some(Outcome::AlreadySo));
    }

    #[test]
    fn who_asks_for_a_restart_starts_it_and_a_failure_ends_the_wait() {
        let mut state = State { restart_asked: true, ..at(Phase::Restarting) };
        assert_eq!(state.may_start().ok(), Some(Outcome::Done));
        state.start_failed(127, "no such program".to_owned());
        assert_eq!((state.phase, state.restart_asked), (Phase::Exited, false));
        let mut state = State { restart_asked: true, ..at(Phase::Restarting) };
        state.started(7, Timestamp::UNIX_EPOCH);
        assert!(!state.restart_asked);
        // A policy's own wait goes on after a failure.
        let mut state = at(Phase::Restarting);
        state.start_failed(127, "no such program".to_owned());
        assert_eq!(state.phase, Phase::Restarting);
    }

    #[test]
    fn a_run_leaves_its_end_behind_until_the_next_begins() {
        let mut state = State::default();
        state.started(7, Timestamp::UNIX_EPOCH);
        state.ended(&Exit { code: 137, signal: Some(9), oom_killed: true, at: Timestamp::UNIX_EPOCH, error: None });
        assert_eq!((state.phase, state.exit_code, state.oom_killed, state.exits), (Phase::Exited, 137, true, 1));
        state.started(8, Timestamp::UNIX_EPOCH);
        assert_eq!((state.exit_code, state.oom_killed, state.exits), (0, false, 1));
        assert_eq!(state.last_exit_code, 137);
        assert!(state.finished_at.is_some());
    }
}

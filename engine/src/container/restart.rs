//! Restart policies: whether and when a container that ended is started again. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::State;

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When it ended with a status other than 0.
    OnFailure {
        /// Give up after so many times.
        maximum: Option<u32>,
    },
    /// Always; what the user stopped, when berthd starts the next time.
    Always,
    /// Always, but for what the user stopped.
    UnlessStopped,
}

impl RestartPolicy {
    /// Whether a container that has just ended, or couldn't be started again, is to run once more.
    pub fn wants_another_run(self, state: &State) -> bool {
        !state.stopped_by_user
            && match self {
                Self::No => false,
                Self::OnFailure { maximum } => {
                    state.exit_code != 0 && maximum.is_none_or(|maximum| state.restart_count < maximum)
                }
                Self::Always | Self::UnlessStopped => true,
            }
    }

    /// Whether a container that doesn't run is to run when berthd starts.
    pub fn wants_run_at_daemon_start(self, state: &State) -> bool {
        state.started_at.is_some() && (self == Self::Always || self.wants_another_run(state))
    }
}

/// How long to wait before the next start: twice as long each time, until a run was a long one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackOff(Option<Duration>);

impl BackOff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);
    /// A run of this length starts the waiting times anew.
    const LONG_RUN: Duration = Duration::from_secs(10);

    /// The time to wait after a run of that length.
    pub fn next(&mut self, ran_for: Duration) -> Duration {
        let wait = match self.0 {
            Some(last) if ran_for < Self::LONG_RUN => (last * 2).min(Self::LONGEST),
            _ => Self::FIRST,
        };
        self.0 = Some(wait);
        wait
    }
}

/// How long the last run was.
pub fn length_of_run(state: &State) -> Duration {
    let between = |start: Timestamp, end: Timestamp| end.duration_since(start).try_into().ok();
    state.started_at.zip(state.finished_at).and_then(|(start, end)| between(start, end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ended(exit_code: u8, restart_count: u32, stopped_by_user: bool) -> State {
        let started_at = Some(Timestamp::UNIX_EPOCH);
        State { exit_code, restart_count, stopped_by_user, started_at, ..State::default() }
    }

    #[test]
    fn policies() {
        use RestartPolicy::{Always, No, OnFailure, UnlessStopped};
        let (any, two) = (OnFailure { maximum: None }, OnFailure { maximum: Some(2) });
        // policy, exit code, restarts, stopped by the user; another run, a run at berthd's start
        let table = [
            (No, 1, 0, false, false, false),
            (any, 0, 0, false, false, false),
            (any, 1, 99, false, true, true),
            (any, 137, 0, true, false, false),
            (two, 1, 1, false, true, true),
            (two, 1, 2, false, false, false),
            (Always, 0, 9, false, true, true),
            (Always, 0, 0, true, false, true),
            (UnlessStopped, 0, 9, false, true, true),
            (UnlessStopped, 0, 0, true, false, false),
        ];
        for (policy, code, restarts, stopped, again, at_start) in table {
            let state = ended(code, restarts, stopped);
            assert_eq!(policy.wants_another_run(&state), again, "{policy:?} {code} {restarts} {stopped}");
            assert_eq!(policy.wants_run_at_daemon_start(&state), at_start, "{policy:?} {code} {restarts} {stopped}");
        }
        assert!(!Always.wants_run_at_daemon_start(&State::default()), "it never ran");
    }

    #[test]
    fn waiting_doubles_to_a_minute_and_begins_anew_after_a_long_run() {
        let mut back_off = BackOff::default();
        let short = Duration::from_secs(1);
        let waits: Vec<u128> = (0..12).map(|_| back_off.next(short).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(back_off.next(Duration::from_secs(10)).as_millis(), 100);
        assert_eq!(back_off.next(short).as_millis(), 200);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_out_of_bounds(runs in prop::collection::vec(0_u64..30_000, 1..40)) {
            let mut back_off = BackOff::default();
            for run in runs {
                let wait = back_off.next(Duration::from_millis(run));
                prop_assert!((BackOff::FIRST..=BackOff::LONGEST).contains(&wait));
            }
        }
    }
}

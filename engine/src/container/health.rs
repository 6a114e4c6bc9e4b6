//! Health checks: what is run, when, and what becomes of the results. Pure.

use std::time::Duration;

use jiff::Timestamp;
use runtime::spec::Id;
use serde::{Deserialize, Serialize};

/// How many results are kept; Docker keeps as many.
const LOG_LENGTH: usize = 5;

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthSpec {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Between the end of a check and the next one.
    pub interval: Duration,
    /// Until a check counts as failed.
    pub timeout: Duration,
    /// How many failures in a row make the container unhealthy.
    pub retries: u32,
    /// After the start, during which failures don't count.
    pub start_period: Duration,
    /// In place of `interval`, in the start period.
    pub start_interval: Duration,
}

/// What the checks have found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// In a word.
    pub status: HealthStatus,
    /// Failures since the last success.
    pub failing_streak: u32,
    /// The last results, oldest first.
    pub log: Vec<Probe>,
    /// The check that is under way.
    #[serde(default)]
    pub running: Option<Id>,
}

/// How a container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// No check has succeeded, and not enough have failed.
    #[default]
    Starting,
    /// The last checks succeeded, or not enough have failed since.
    Healthy,
    /// Too many checks have failed, or nobody checks any more.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began.
    pub start: Timestamp,
    /// When it was over.
    pub end: Timestamp,
    /// Of the command; -1 if it couldn't be run, or not to its end.
    pub exit_code: i32,
    /// What it printed, or what went wrong.
    pub output: String,
}

impl HealthSpec {
    /// How long after its start a container is still starting up, so that checks are in `start_interval`.
    fn is_starting(&self, health: &Health, since_start: Duration) -> bool {
        health.status == HealthStatus::Starting && since_start < self.start_period
    }

    /// The time between the last check, or the start, and the next one.
    pub fn pause(&self, health: &Health, since_start: Duration) -> Duration {
        if self.is_starting(health, since_start) { self.start_interval } else { self.interval }
    }
}

impl Health {
    /// The container starts.
    pub fn start(&mut self) {
        self.status = HealthStatus::Starting;
        self.failing_streak = 0;
        self.running = None;
    }

    /// Nobody checks any more: Docker calls that unhealthy.
    pub fn stop(&mut self) {
        self.status = HealthStatus::Unhealthy;
        self.running = None;
    }

    /// A check is over, that was begun so long after the container's start.
    pub fn record(&mut self, spec: &HealthSpec, since_start: Duration, probe: Probe) {
        self.running = None;
        if probe.exit_code == 0 {
            self.status = HealthStatus::Healthy;
            self.failing_streak = 0;
        } else if !spec.is_starting(self, since_start) {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= spec.retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.log.push(probe);
        let surplus = self.log.len().saturating_sub(LOG_LENGTH);
        self.log.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn spec(start_period: u64) -> HealthSpec {
        HealthSpec {
            command: vec!["true".into()],
            interval: seconds(30),
            timeout: seconds(3),
            retries: 2,
            start_period: seconds(start_period),
            start_interval: seconds(5),
        }
    }

    fn probe(exit_code: i32) -> Probe {
        Probe { start: Timestamp::UNIX_EPOCH, end: Timestamp::UNIX_EPOCH, exit_code, output: exit_code.to_string() }
    }

    #[test]
    fn results_lead_from_status_to_status() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        // start period; then each result, how long after the start, and what follows
        type Step = (i32, u64, HealthStatus, u32);
        let table: [(u64, &[Step]); 4] = [
            (0, &[(1, 30, Starting, 1), (1, 60, Unhealthy, 2), (0, 90, Healthy, 0)]),
            (0, &[(0, 30, Healthy, 0), (2, 60, Healthy, 1), (-1, 90, Unhealthy, 2), (1, 120, Unhealthy, 3)]),
            // Failures don't count while it starts up, and do once it has been well.
            (60, &[(1, 5, Starting, 0), (1, 10, Starting, 0), (1, 65, Starting, 1), (1, 95, Unhealthy, 2)]),
            (60, &[(0, 5, Healthy, 0), (1, 35, Healthy, 1), (1, 59, Unhealthy, 2)]),
        ];
        for (start_period, steps) in table {
            let mut health = Health::default();
            for &(code, after, status, streak) in steps {
                health.record(&spec(start_period), seconds(after), probe(code));
                assert_eq!((health.status, health.failing_streak), (status, streak), "{start_period} {steps:?}");
            }
        }
    }

    #[test]
    fn the_last_five_results_are_kept() {
        let mut health = Health::default();
        (0..9).for_each(|code| health.record(&spec(0), seconds(1), probe(code)));
        let kept: Vec<&str> = health.log.iter().map(|probe| probe.output.as_str()).collect();
        assert_eq!(kept, ["4", "5", "6", "7", "8"]);
        health.stop();
        assert_eq!(health.status, HealthStatus::Unhealthy);
        health.start();
        assert_eq!((health.status, health.failing_streak, health.log.len()), (HealthStatus::Starting, 0, 5));
    }

    #[test]
    fn checks_are_closer_while_it_starts_up() {
        let mut health = Health::default();
        assert_eq!(spec(60).pause(&health, seconds(0)), seconds(5));
        assert_eq!(spec(60).pause(&health, seconds(60)), seconds(30));
        assert_eq!(spec(0).pause(&health, seconds(0)), seconds(30));
        health.status = HealthStatus::Healthy;
        assert_eq!(spec(60).pause(&health, seconds(10)), seconds(30));
    }
}

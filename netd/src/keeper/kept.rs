//! A listening socket that is kept, and who serves it.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

pub(super) struct Kept {
    pub(super) descriptor: OwnedFd,
    pub(super) mark: String,
    /// What who connects is told while no daemon serves it for long; empty: they wait.
    pub(super) farewell: String,
    pub(super) served: Served,
}

#[derive(Clone, Copy)]
pub(super) enum Served {
    /// By that connection. Until it has said so, by having it kept, it may be a daemon that fails while it starts: what was
    /// left of the patience when it took over is then still left.
    By { connection: u64, patient_until: Option<Instant> },
    /// By nobody; whoever connects waits until then.
    Until(Instant),
}

impl Served {
    pub(super) fn taken_by(self, connection: u64) -> Self {
        match self {
            Self::By { patient_until, .. } => Self::By { connection, patient_until },
            Self::Until(moment) => Self::By { connection, patient_until: Some(moment) },
        }
    }

    /// That connection is closed.
    pub(super) fn left_by(self, number: u64, patience: Duration) -> Self {
        match self {
            Self::By { connection, patient_until } if connection == number => {
                Self::Until(patient_until.unwrap_or_else(|| Instant::now() + patience))
            }
            served => served,
        }
    }
}

impl Kept {
    /// From when on its daemon counts as staying away.
    pub(super) fn abandoned_at(&self) -> Option<Instant> {
        match self.served {
            Served::Until(moment) if !self.farewell.is_empty() => Some(moment),
            _ => None,
        }
    }

    pub(super) fn is_abandoned(&self, now: Instant) -> bool {
        self.abandoned_at().is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_fails_while_it_starts_makes_nobody_wait_longer() {
        let (patience, now) = (Duration::from_secs(10), Instant::now());
        let left = Served::By { connection: 1, patient_until: None }.left_by(1, patience);
        let Served::Until(told_at) = left else { panic!("it is served") };
        assert!(told_at >= now + patience);
        // One takes it and ends, another takes it from that one.
        let failed =
            left.taken_by(2).left_by(2, patience).taken_by(3).taken_by(4).left_by(3, patience).left_by(4, patience);
        assert!(matches!(failed, Served::Until(moment) if moment == told_at));
    }
}

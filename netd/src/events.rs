//! Events: numbered, sent to subscribers, and kept for a while for those who resume.

use std::collections::VecDeque;

use cnm::{
    api::{Event, EventKind},
    endpoint::Endpoint,
    id::SandboxId,
    network::Network,
};
use jiff::Timestamp;
use tokio::sync::broadcast;

/// How many events are kept to resume from, and may wait for a slow listener.
const KEPT: usize = 1024;

/// Events of a killed netd whose numbers may not have been stored: numbers start beyond them, so that none is given
/// twice.
const UNSTORED: u64 = 256;

/// An event yet without number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEvent {
    what: EventKind,
    network: Option<(String, String, String)>,
    sandbox: Option<String>,
    endpoint: Option<String>,
    message: Option<String>,
}

impl NewEvent {
    const fn new(what: EventKind) -> Self {
        Self { what, network: None, sandbox: None, endpoint: None, message: None }
    }

    pub(crate) fn of_network(what: EventKind, network: &Network) -> Self {
        Self::new(what).with_network(network)
    }

    pub(crate) fn of_sandbox(what: EventKind, sandbox: &SandboxId) -> Self {
        Self { sandbox: Some(sandbox.to_string()), ..Self::new(what) }
    }

    pub(crate) fn of_endpoint(what: EventKind, sandbox: &SandboxId, endpoint: &Endpoint, network: &Network) -> Self {
        let event = Self::of_sandbox(what, sandbox).with_network(network);
        Self { endpoint: Some(endpoint.id.to_string()), ..event }
    }

    pub(crate) fn message(what: EventKind, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::new(what) }
    }

    fn with_network(mut self, network: &Network) -> Self {
        self.network = Some((network.id.to_string(), network.spec.name.to_string(), network.spec.driver.to_string()));
        self
    }

    fn numbered(self, revision: u64, at: Timestamp) -> Event {
        let (network, network_name, driver) = match self.network {
            Some((id, name, driver)) => (Some(id), Some(name), Some(driver)),
            None => (None, None, None),
        };
        Event {
            revision,
            at,
            what: self.what,
            network,
            network_name,
            driver,
            sandbox: self.sandbox,
            endpoint: self.endpoint,
            message: self.message,
        }
    }
}

/// The log of events, owned by the controller.
#[derive(Debug)]
pub(crate) struct EventLog {
    newest: u64,
    kept: VecDeque<Event>,
    listeners: broadcast::Sender<Event>,
}

/// What a listener gets: what it missed, then what comes.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) missed: Vec<Event>,
    pub(crate) upcoming: broadcast::Receiver<Event>,
}

impl EventLog {
    /// Goes on after the newest number stored. Without one, as after a reboot, numbers start with the time (in
    /// microseconds), which is beyond what an earlier boot can have reached.
    pub(crate) fn new(stored: Option<u64>, now: Timestamp) -> Self {
        let newest = match stored {
            Some(newest) => newest + UNSTORED,
            None => u64::try_from(now.as_microsecond()).unwrap_or(0),
        };
        Self { newest, kept: VecDeque::new(), listeners: broadcast::Sender::new(KEPT) }
    }

    pub(crate) const fn newest(&self) -> u64 {
        self.newest
    }

    /// Numbers an event and tells it; answers with its number.
    pub(crate) fn publish(&mut self, event: NewEvent, now: Timestamp) -> u64 {
        self.newest += 1;
        let event = event.numbered(self.newest, now);
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(event.clone());
        // There may be no listener.
        let _ = self.listeners.send(event);
        self.newest
    }

    /// Events after `since`, with a gap first where some are no longer kept; only what comes when it is absent.
    pub(crate) fn subscribe(&self, since: Option<u64>, now: Timestamp) -> Subscription {
        let upcoming = self.listeners.subscribe();
        let Some(since) = since else { return Subscription { missed: Vec::new(), upcoming } };
        let before_kept = self.kept.front().map_or(self.newest, |oldest| oldest.revision - 1);
        // A number that was never given comes from a netd whose state is gone: nothing is known of what it missed.
        let gap = (since < before_kept || since > self.newest).then(|| gap(before_kept, now));
        let after = if since > self.newest { 0 } else { since };
        let later = self.kept.iter().filter(|event| event.revision > after).cloned();
        Subscription { missed: gap.into_iter().chain(later).collect(), upcoming }
    }
}

/// The event that says that events up to `revision` can't be had.
pub(crate) fn gap(revision: u64, now: Timestamp) -> Event {
    NewEvent::message(EventKind::Gap, "earlier events are no longer kept").numbered(revision, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(stored: Option<u64>, events: usize) -> EventLog {
        let mut log = EventLog::new(stored, Timestamp::UNIX_EPOCH);
        for number in 0..events {
            log.publish(NewEvent::message(EventKind::Warning, number.to_string()), Timestamp::UNIX_EPOCH);
        }
        log
    }

    fn missed(log: &EventLog, since: u64) -> Vec<(EventKind, u64)> {
        let subscription = log.subscribe(Some(since), Timestamp::UNIX_EPOCH);
        subscription.missed.iter().map(|event| (event.what, event.revision)).collect()
    }

    #[test]
    fn events_after_a_revision_are_told_again() {
        let log = log(Some(0), 3);
        let (warning, first) = (EventKind::Warning, UNSTORED + 1);
        assert_eq!(missed(&log, first + 2), []);
        assert_eq!(missed(&log, first), [(warning, first + 1), (warning, first + 2)]);
        assert_eq!(missed(&log, first - 1).len(), 3);
    }

    #[test]
    fn what_is_no_longer_kept_is_a_gap() {
        let log = log(Some(0), KEPT + 2);
        let newest = log.newest();
        let told = missed(&log, UNSTORED);
        assert_eq!(told[0], (EventKind::Gap, UNSTORED + 2));
        assert_eq!(told.len(), KEPT + 1);
        assert_eq!(told[KEPT], (EventKind::Warning, newest));
    }

    #[test]
    fn a_restart_and_a_reboot_are_gaps_and_give_no_number_twice() {
        let before = log(Some(7), 5);
        let restarted = log(Some(before.newest()), 1);
        assert!(restarted.newest() > before.newest());
        assert_eq!(missed(&restarted, before.newest())[0].0, EventKind::Gap);
        let rebooted = EventLog::new(None, Timestamp::from_second(1_800_000_000).expect("a time"));
        assert!(rebooted.newest() > before.newest());
        assert_eq!(missed(&rebooted, before.newest()), [(EventKind::Gap, rebooted.newest())]);
        assert_eq!(missed(&before, before.newest() + 1)[0].0, EventKind::Gap);
    }
}

//! The event bus: what happened to containers, images, networks and the daemon, with a short history for late listeners.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::PoisonError;

use jiff::Timestamp;
use tokio::sync::broadcast;

/// How many past events `--since` can look back on; Docker keeps as many.
const HISTORY: usize = 256;
/// How far a listener may fall behind before it misses events.
const BACKLOG: usize = 1024;

/// What kind of object an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// The build cache.
    Builder,
    /// berthd itself.
    Daemon,
}

impl ObjectKind {
    /// The word in Docker's JSON and filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Builder => "builder",
            Self::Daemon => "daemon",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// To what kind of object.
    pub subject: ObjectKind,
    /// What, in Docker's words: `create`, `start`, `die`, `exec_create: sh`, …
    pub action: String,
    /// The object's id.
    pub id: String,
    /// What else Docker tells: `name`, `image`, `exitCode`, the labels.
    pub attributes: BTreeMap<String, String>,
}

/// Publishes events to any number of listeners.
#[derive(Debug)]
pub struct Bus {
    history: Mutex<VecDeque<Event>>,
    sender: broadcast::Sender<Event>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { history: Mutex::default(), sender: broadcast::Sender::new(BACKLOG) }
    }
}

impl Bus {
    /// Tells every listener, and remembers.
    pub fn publish(&self, event: Event) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(event.clone());
        // Sent under the lock: a listener that takes the history and subscribes sees each event exactly once.
        // Nobody listening isn't an error.
        let _ = self.sender.send(event);
    }

    /// Tells that something happened right now.
    pub(crate) fn tell(
        &self,
        subject: ObjectKind,
        action: impl Into<String>,
        id: String,
        attributes: BTreeMap<String, String>,
    ) {
        self.publish(Event { at: Timestamp::now(), subject, action: action.into(), id, attributes });
    }

    /// Tells that what nothing needed is gone.
    pub(crate) fn tell_pruned(&self, subject: ObjectKind, reclaimed_bytes: u64) {
        let reclaimed = [("reclaimed".to_owned(), reclaimed_bytes.to_string())];
        self.tell(subject, "prune", String::new(), reclaimed.into());
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Past events, oldest first, and a receiver that goes on exactly where they end.
    pub fn subscribe(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        (history.iter().cloned().collect(), self.sender.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str) -> Event {
        Event {
            at: Timestamp::UNIX_EPOCH,
            subject: ObjectKind::Container,
            action: action.into(),
            id: "0".into(),
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn history_and_stream_meet_without_gap_or_overlap() {
        let bus = Bus::default();
        bus.publish(event("create"));
        let (past, mut coming) = bus.subscribe();
        bus.publish(event("start"));
        assert_eq!(past, [event("create")]);
        assert_eq!(coming.try_recv().unwrap(), event("start"));
        assert!(coming.try_recv().is_err());
    }

    #[test]
    fn history_is_bounded() {
        let bus = Bus::default();
        for n in 0..HISTORY + 3 {
            bus.publish(event(&n.to_string()));
        }
        let (past, _) = bus.subscribe();
        assert_eq!(past.len(), HISTORY);
        assert_eq!(past[0].action, "3");
    }
}

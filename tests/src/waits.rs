//! What a test waits for on a host: lines of logs and events, never a time.

use std::{cell::Cell, process::Command};

use crate::{Host, command::follow};

impl Host {
    /// Follows a container's log until a line says this.
    pub fn wait_for_log(&self, container: &str, line: &str) {
        let found = follow(self.docker_command().args(["logs", "-f", container]), |text| text.contains(line));
        assert!(found, "{container} never said {line:?}");
    }

    /// Follows what one of our daemons logs, from its beginning, until a line says this.
    pub fn wait_for_daemon_log(&self, daemon: &str, line: &str) {
        self.wait_for_daemon_lines(daemon, line, 1);
    }

    /// The same until it was said so many times.
    pub fn wait_for_daemon_lines(&self, daemon: &str, line: &str, times: usize) {
        let log = self.directory().join(format!("{daemon}.log"));
        let said = Cell::new(0);
        let found = follow(Command::new("tail").args(["-n", "+1", "-F"]).arg(log), |text| {
            said.set(said.get() + usize::from(text.contains(line)));
            said.get() == times
        });
        assert!(found, "{daemon} said {line:?} {} times and not {times}", said.get());
    }

    /// Follows the events of a container, from the first that berthd knows of, until this one was told so many times.
    pub fn wait_for_events(&self, container: &str, event: &str, times: usize) {
        let mut events = self.docker_command();
        let kind = event.split(':').next().unwrap_or(event);
        let events = events.args(["events", "--since", "1h", "--format", "{{.Action}}"]).args([
            "--filter",
            &format!("container={container}"),
            "--filter",
            &format!("event={kind}"),
        ]);
        let told = Cell::new(0);
        let found = follow(events, |line| {
            told.set(told.get() + usize::from(line == event || line.starts_with(&format!("{event}:"))));
            told.get() == times
        });
        assert!(found, "{container}: {event} was told {} times and not {times}", told.get());
    }

    /// The same of a network, until it was told once.
    pub fn wait_for_network_event(&self, network: &str, event: &str) {
        let mut events = self.docker_command();
        let event_filter = format!("event={event}");
        let filters = ["--filter", "type=network", "--filter", &event_filter];
        let events = events.args(["events", "--since", "1h", "--format", "{{.Actor.Attributes.name}}"]).args(filters);
        assert!(follow(events, |name| name == network), "{network}: {event} was never told");
    }
}

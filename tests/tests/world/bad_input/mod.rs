//! Wrong requests: each with the status and the words that users of Docker expect, and nothing changed.

mod archives;
mod containers;
mod engine_api;
mod images;
mod netd_api;
mod networks;
mod run;

use berth_tests::{Host, Outcome, World};
use serde_json::Value;

/// A wrong command line: by which client (`both`: berth and docker), its words, the exit status, and what it has to
/// say, in any case.
type Wrong = (&'static str, &'static str, i32, &'static [&'static str]);

/// A wrong HTTP request: method, path, body, status, and what the message has to say.
pub(crate) type WrongHttp<'a> = (&'a str, &'a str, &'a str, u16, &'a str);

/// A host whose town is the same for all tables: the network `taken`, a container that runs on it, one that doesn't run.
fn town(world: &mut World) -> Host {
    let mut host = world.host();
    host.start();
    host.docker(&["network", "create", "--subnet", "10.40.0.0/24", "taken"]).ok();
    host.docker(&["run", "-d", "--name", "keeper", "--network", "taken", "-p", "4099:80", "busybox", "sleep", "1000"])
        .ok();
    host.docker(&["create", "--name", "idle", "busybox", "true"]).ok();
    host
}

/// All that a request could have changed, as text: what both daemons know, links, firewall, namespaces, directories.
fn snapshot(host: &Host) -> String {
    // Files of containers that are gone are deleted in the background, their root's last.
    host.sh("timeout 60 sh -c 'until [ -z \"$(ls -A /var/lib/berth/images/tmp)\" ]; do sleep 0.02; done'").ok();
    // A link on its way out is down and deleted in the background: only those that are up count.
    let seen = host
        .sh("curl -s -w '\\n' --unix-socket /run/berth/berth.sock 'http://d/containers/json?all=1' http://d/networks \
               http://d/images/json http://d/volumes; \
             curl -s -w '\\n' --unix-socket /run/berth/netd.sock http://d/v1/networks http://d/v1/sandboxes; \
             ip -o link show up | cut -d: -f 2; nft list table inet berth; ls /run/berth/netns; \
             mkdir -p /run/archives; find /run/berth /var/lib/berth /run/archives -maxdepth 3 -not -name '*-wal' -not -name '*-shm' | sort")
        .ok();
    let (containers, rest) = seen.split_once('\n').expect("lines");
    let mut containers: Value = serde_json::from_str(containers).expect("a list of containers");
    for container in containers.as_array_mut().expect("a list") {
        // It says for how long a container has been running.
        container.as_object_mut().expect("an object").remove("Status");
    }
    format!("{containers:#}\n{rest}")
}

/// What the second text has and the first hasn't, and the other way round.
fn difference(before: &str, after: &str) -> String {
    let missing = |from: &str, other: &str, sign: char| -> String {
        let known: Vec<&str> = other.lines().collect();
        from.lines().filter(|line| !known.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
    };
    missing(before, after, '-') + &missing(after, before, '+')
}

/// What is wrong with each answer, to be told all at once.
struct Verdict<'a> {
    host: &'a Host,
    before: String,
    /// Whether it is looked after each row what has changed; else once at the end.
    looks_often: bool,
    complaints: Vec<String>,
}

impl<'a> Verdict<'a> {
    fn new(host: &'a Host, looks_often: bool) -> Self {
        Self { host, before: snapshot(host), looks_often, complaints: Vec::new() }
    }

    fn after_row(&mut self, what: &str) {
        if self.looks_often {
            self.expect_unchanged(what);
        }
    }

    fn expect_unchanged(&mut self, what: &str) {
        let after = snapshot(self.host);
        if after != self.before {
            self.complaints.push(format!("{what} changed something:\n{}", difference(&self.before, &after)));
            self.before = after;
        }
    }

    fn judge(&mut self, command: &str, outcome: &Outcome, code: i32, fragments: &[&str]) {
        // An exec that can't start says so in the stream of its output, as with Docker.
        let said = format!("{}{}", outcome.stderr, outcome.stdout).to_lowercase();
        if outcome.code != code || !fragments.iter().all(|part| said.contains(&part.to_lowercase())) {
            let text = format!("{command}: {} (expected {code}, {fragments:?}): {}", outcome.code, outcome.stderr);
            self.complaints.push(text);
        }
    }
}

/// Does a table in a town and looks at its end whether something has changed, which takes as long as the row itself. Only
/// if so, a second town is asked which row it was.
fn in_a_town(town: fn(&mut World) -> Host, table: impl Fn(&mut Verdict<'_>)) {
    let complaints_of = |looks_often| {
        let mut world = World::new();
        let host = town(&mut world);
        let mut verdict = Verdict::new(&host, looks_often);
        table(&mut verdict);
        let answers = verdict.complaints.len();
        verdict.expect_unchanged("the table");
        let has_changed = verdict.complaints.len() > answers;
        (verdict.complaints, has_changed)
    };
    let (mut complaints, has_changed) = complaints_of(false);
    if has_changed {
        complaints.extend(complaints_of(true).0);
    }
    assert!(complaints.is_empty(), "{} wrong answers:\n{}", complaints.len(), complaints.join("\n"));
}

/// Runs a row with each of its clients.
fn each_client(host: &Host, (clients, line, ..): &Wrong, mut then: impl FnMut(&str, Outcome)) {
    let words: Vec<_> = line.split(' ').collect();
    for client in ["docker", "berth"].into_iter().filter(|client| client == clients || *clients == "both") {
        let outcome = if client == "docker" { host.docker(&words) } else { host.berth(&words) };
        then(&format!("{client} {line}"), outcome);
    }
}

/// Every row is refused and nothing is changed by it.
fn refuses(town: fn(&mut World) -> Host, rows: &[Wrong]) {
    in_a_town(town, |verdict| {
        for row in rows {
            each_client(verdict.host, row, |command, outcome| {
                verdict.judge(command, &outcome, row.2, row.3);
                verdict.after_row(command);
            });
        }
    });
}

/// Every row creates a container that can't start. As with Docker it stays for a look, and nothing else does.
fn cannot_start(town: fn(&mut World) -> Host, rows: &[Wrong]) {
    in_a_town(town, |verdict| {
        for row in rows {
            each_client(verdict.host, row, |command, outcome| {
                verdict.judge(command, &outcome, row.2, row.3);
                let left =
                    verdict.host.docker(&["ps", "-q", "--filter", "status=created", "--filter", "since=idle"]).ok();
                if left.lines().count() == 1 {
                    verdict.host.docker(&["rm", &left]).ok();
                } else {
                    verdict.complaints.push(format!("{command}: one created container should be left, not {left:?}"));
                }
                verdict.after_row(command);
            });
        }
    });
}

/// Every request is refused with a status and a message, and nothing is changed by it.
fn refuses_http(socket: &str, rows: &[WrongHttp]) {
    in_a_town(town, |verdict| {
        for &(method, path, body, status, fragment) in rows {
            let (got, answer) = verdict.host.http(socket, method, path, (!body.is_empty()).then_some(body));
            let document: Value = serde_json::from_str(&answer).unwrap_or_default();
            let message = document["message"].as_str().unwrap_or_default();
            if got != status || message.is_empty() || !message.contains(fragment) {
                let text = format!("{method} {path} {body}: {got} (expected {status}, {fragment:?}): {answer}");
                verdict.complaints.push(text);
            }
            verdict.after_row(&format!("{method} {path} {body}"));
        }
    });
}

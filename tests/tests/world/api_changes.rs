//! docs/engine-api.md goes through what changed from version to version of the Engine API: each row of it is so.

mod rows;

use std::{
    sync::Mutex,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use berth_tests::{Host, started};
use serde_json::Value;

use super::named::assert_is_test;

const DOCUMENT: &str = include_str!("../../../docs/engine-api.md");

/// What is to be at a place of a reply.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// The document doesn't say.
    Any,
    /// What it would be a member of is there.
    Absent,
    There,
    /// In JSON.
    Is(&'static str),
    /// The same as at another place, and not empty.
    Same(&'static str),
    /// An object that says nothing: no member but null, false and empty text.
    Empty,
    /// There, and these words aren't in it.
    Lacks(&'static str),
    /// The reply has no body at all.
    Nothing,
    /// There is no reply but this status.
    Refused(u16),
}

/// What shows a row. In paths and in JSON, `{here}` and `{elsewhere}` are this machine's platform and another, `{now}` is this
/// moment, and `{cgroup namespace}` is whose a container has here if nobody says.
#[derive(Debug)]
enum Check {
    /// What is there for `GET` of a path: where in it, in the row's version and in the one below.
    Shows(&'static str, &'static str, Expect, Expect),
    /// The same at every version: the oldest one, the one below the row's and the row's.
    AlwaysShows(&'static str, &'static str, Expect),
    /// What of these members of a `create` is kept, in the row's version and in the one below.
    Keeps(&'static str, &'static str, Expect, Expect),
    /// A `create` with these members in the row's version, and its answer: status, and what it has to say.
    Creates(&'static str, u16, &'static str),
    /// A request in the row's version, and its answer: method, path, body, status, and what it has to say, in head or body.
    Asks(&'static str, &'static str, Option<&'static str>, u16, &'static str),
    /// The same in the version below.
    Below(&'static str, &'static str, Option<&'static str>, u16, &'static str),
    /// The same at every version.
    Always(&'static str, &'static str, Option<&'static str>, u16, &'static str),
    /// What a container that is made with these members writes, at every version.
    Runs(&'static str, &'static str),
    /// How `GET` of a path comes to who accepts this, at every version.
    Comes(&'static str, &'static str, &'static str),
    /// `GET` of a path in the row's version, by several at once.
    AtOnce(&'static str),
    /// A test that shows it, as [`assert_is_test`] has it.
    By(&'static str),
}

impl Check {
    /// Whether something is seen to be refused.
    fn refuses(&self) -> bool {
        match self {
            Self::Creates(_, status, _) => *status >= 400,
            Self::Asks(_, _, _, status, _) | Self::Below(_, _, _, status, _) | Self::Always(_, _, _, status, _) => {
                *status >= 400
            }
            Self::Keeps(_, _, now, below) => [now, below].iter().any(|expect| matches!(expect, Expect::Refused(_))),
            _ => false,
        }
    }

    /// Whether every version is asked, or may be.
    fn is_of_every_version(&self) -> bool {
        matches!(self, Self::AlwaysShows(..) | Self::Always(..) | Self::Runs(..) | Self::Comes(..) | Self::By(_))
    }
}

/// The rows of a table, cell by cell.
fn cells(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.last() != Some(&"here"))
}

/// The rows of each version's table: its minor number, what changed, and what is here.
fn rows() -> Vec<(u8, &'static str, &'static str)> {
    let minor = |version: &str| {
        version.strip_prefix("1.").and_then(|minor| minor.parse().ok()).unwrap_or_else(|| panic!("{version}"))
    };
    let (newer, older) = DOCUMENT.split_once("\n## Before 1.41\n").expect("a chapter about what was before");
    let (older, _) = older.split_once("\n## Not promised yet\n").expect("a chapter about what comes");
    let mut rows = Vec::new();
    for chapter in newer.split("\n## ").skip(1) {
        let (version, table) = chapter.split_once('\n').expect("a version and its table");
        rows.extend(cells(table).map(|cells| (minor(version), cells[0], cells[1])));
    }
    rows.extend(cells(older).map(|cells| (minor(cells[0]), cells[1], cells[2])));
    rows
}

/// The endpoints that the document names, each with its method.
fn endpoints() -> Vec<(&'static str, &'static str)> {
    let code = DOCUMENT.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(' '));
    let mut endpoints: Vec<_> = code.filter(|(_, path)| path.starts_with('/')).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints
}

#[test]
fn every_change_is_shown_by_something() {
    let rows = rows();
    let mut versions: Vec<u8> = rows.iter().map(|row| row.0).collect();
    versions.retain(|minor| *minor > 40);
    versions.dedup();
    assert_eq!(versions, Vec::from_iter((41..=52).rev()), "each version has its table, in this order");
    for (minor, words, checks) in rows::all() {
        let found: Vec<_> = rows.iter().filter(|row| row.0 == *minor && row.1.contains(words)).collect();
        assert_eq!(found.len(), 1, "1.{minor} says {words:?} in these rows: {found:?}");
        let (_, _, here) = found[0];
        let is_shown = |claim: &str, shows: fn(&Check) -> bool| !here.contains(claim) || checks.iter().any(shows);
        assert!(is_shown("refused", Check::refuses), "1.{minor} {words}: {here}");
        assert!(is_shown("at every version", Check::is_of_every_version), "1.{minor} {words}: {here}");
    }
    for (minor, changed, here) in &rows {
        let shown = rows::all().any(|(version, words, _)| version == minor && changed.contains(words));
        assert!(shown || *here == "no swarm mode", "nobody shows this of 1.{minor}: {changed} | {here}");
    }
    for check in rows::all().flat_map(|(_, _, checks)| *checks) {
        if let Check::By(test) = check {
            assert_is_test(test);
        }
    }
    let promise = format!("versions 1.{} to 1.{},", promised().0, promised().1);
    let differences = include_str!("../../../docs/differences-from-docker.md");
    assert!(differences.contains(&promise), "both documents promise the same");
}

/// The minor numbers of the oldest and the newest version that the document promises.
fn promised() -> (u8, u8) {
    let (_, promise) = DOCUMENT.split_once("berth promises API versions 1.").expect("a promise");
    let (oldest, promise) = promise.split_once(" to 1.").expect("a promise");
    let (newest, _) = promise.split_once(',').expect("a promise");
    (oldest.parse().expect(oldest), newest.parse().expect(newest))
}

/// A host with what the rows speak of, this machine's platform, whose cgroup namespace a container has if nobody says, and what
/// isn't as it is said to be.
struct Asked {
    host: Host,
    platform: String,
    cgroup_namespace: &'static str,
    complaints: Mutex<Vec<String>>,
}

/// A status, and head and body.
type Reply = (u16, String);

impl Asked {
    fn complain(&self, complaint: String) {
        self.complaints.lock().expect("no panic").push(complaint);
    }

    /// Text with what stands for something put in.
    fn filled(&self, text: &str) -> String {
        let platform = |name: &str| format!("%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22{name}%22%7D");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        text.replace("{here}", &platform(&self.platform))
            .replace("{elsewhere}", &platform("s390x"))
            .replace("{now}", &format!("{}.{:09}", now.as_secs(), now.subsec_nanos()))
            .replace("{cgroup namespace}", self.cgroup_namespace)
    }

    fn ask(&self, minor: u8, method: &str, path: &str, body: Option<&str>) -> Reply {
        self.ask_with(&[], minor, method, path, body)
    }

    fn ask_with(&self, flags: &[&str], minor: u8, method: &str, path: &str, body: Option<&str>) -> Reply {
        let mut curl = self.host.command("curl");
        curl.args(["-s", "-i", "-X", method, "--unix-socket", "/run/berth/berth.sock", "--output", "-"]).args(flags);
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d", body]);
        }
        let reply =
            curl.arg(format!("http://localhost/v1.{minor}{}", self.filled(path))).output().expect("curl").stdout;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{path}: {reply}")), reply)
    }

    fn is(&self, what: &str, (status, reply): Reply, pointer: &str, expect: Expect) {
        let body = reply.split_once("\r\n\r\n").expect("a head").1;
        let document = serde_json::from_str::<Value>(body).ok();
        let at = |pointer: &str| document.as_ref().and_then(|document| document.pointer(pointer));
        let value = at(pointer);
        let is_so = match expect {
            Expect::Any => true,
            Expect::Absent => {
                let (parent, _) = pointer.rsplit_once('/').expect("a member");
                status < 300 && at(parent).is_some_and(Value::is_object) && value.is_none()
            }
            Expect::There => value.is_some(),
            Expect::Is(json) => value == Some(&serde_json::from_str(&self.filled(json)).expect("JSON")),
            Expect::Same(other) => value.is_some_and(|value| *value != "") && value == at(other),
            Expect::Empty => value.and_then(Value::as_object).is_some_and(|members| {
                members.values().all(|member| member.is_null() || *member == false || *member == "")
            }),
            Expect::Lacks(words) => value.is_some_and(|value| !value.to_string().contains(words)),
            Expect::Nothing => status < 300 && body.is_empty(),
            Expect::Refused(refused) => status == refused,
        };
        if !is_so {
            self.complain(format!("{what}: {pointer} is {value:?} and not {expect:?}: {status}"));
        }
    }

    fn answers(&self, what: &str, (got, reply): Reply, status: u16, said: &str) {
        if got != status || !reply.contains(said) {
            self.complain(format!("{what}: {status} and {said:?} are expected: {reply}"));
        }
    }

    /// The answer to a `create`, after which the container may be looked at before it goes.
    fn created(&self, minor: u8, members: &str, look: impl FnOnce() -> Reply) -> Reply {
        let body = format!(r#"{{"Image":"busybox",{members}}}"#);
        let made = self.ask(minor, "POST", "/containers/create?name=asked", Some(&body));
        if made.0 != 201 {
            return made;
        }
        let looked = look();
        self.remove_asked();
        looked
    }

    fn remove_asked(&self) {
        self.host.docker(&["rm", "-f", "asked"]).ok();
    }

    fn check(&self, newest: u8, words: &str, check: &Check) {
        let below = newest - 1;
        let versions = [promised().0, below, newest];
        let what = |minor: u8| format!("1.{newest}, {words}, asked at 1.{minor}");
        let asks = |minor, (method, path, body, status, said): (&str, &str, Option<&str>, u16, &str)| {
            let reply = self.ask(minor, method, path, body);
            if path.starts_with("/containers/create") && reply.0 == 201 {
                self.remove_asked();
            }
            self.answers(&format!("{}: {method} {path}", what(minor)), reply, status, said);
        };
        match *check {
            Check::Shows(path, pointer, expect, expect_below) => {
                for (minor, expect) in [(below, expect_below), (newest, expect)] {
                    self.is(&what(minor), self.ask(minor, "GET", path, None), pointer, expect);
                }
            }
            Check::AlwaysShows(path, pointer, expect) => {
                for minor in versions {
                    self.is(&what(minor), self.ask(minor, "GET", path, None), pointer, expect);
                }
            }
            // The version below goes first: what the row's brings is there afterwards.
            Check::Keeps(members, pointer, expect, expect_below) => {
                for (minor, expect) in [(below, expect_below), (newest, expect)] {
                    let shown = || self.ask(promised().1, "GET", "/containers/asked/json", None);
                    self.is(&what(minor), self.created(minor, members, shown), pointer, expect);
                }
            }
            Check::Creates(members, status, said) => {
                let body = format!(r#"{{"Image":"busybox",{members}}}"#);
                asks(newest, ("POST", "/containers/create?name=asked", Some(&body), status, said));
            }
            Check::Asks(method, path, body, status, said) => asks(newest, (method, path, body, status, said)),
            Check::Below(method, path, body, status, said) => asks(below, (method, path, body, status, said)),
            Check::Always(method, path, body, status, said) => {
                versions.into_iter().for_each(|minor| asks(minor, (method, path, body, status, said)));
            }
            Check::Runs(members, written) => {
                for minor in versions {
                    let run = || {
                        let outcome = self.host.docker(&["start", "-a", "asked"]);
                        (200, format!("{} {}", outcome.code, outcome.stdout))
                    };
                    let reply = self.created(minor, members, run);
                    self.answers(&what(minor), reply, 200, &format!("0 {written}\n"));
                }
            }
            Check::Comes(path, accepted, kind) => {
                for minor in versions {
                    let flags = ["-H", &format!("Accept: {accepted}")];
                    let reply = self.ask_with(&flags, minor, "GET", path, None);
                    self.answers(&what(minor), reply, 200, &format!("content-type: {kind}\r\n"));
                }
            }
            Check::AtOnce(path) => thread::scope(|scope| {
                let asking = || self.answers(&what(newest), self.ask(newest, "GET", path, None), 200, "");
                for _ in 0..4 {
                    scope.spawn(asking);
                }
            }),
            Check::By(_) => {}
        }
    }
}

#[test]
fn every_change_is_as_the_document_says() {
    let (_world, host) = started();
    // Its own warnings aren't wanted: that is what is asked for.
    host.switch_br_netfilter(false);
    host.sh("mkdir /run/built && printf 'FROM busybox\\nRUN echo > /built\\n' > /run/built/Dockerfile").ok();
    host.berth(&["build", "-q", "-t", "built", "/run/built"]).ok();
    host.docker(&["rmi", "built"]).ok();
    host.docker(&["network", "create", "lab"]).ok();
    host.docker(&["network", "create", "other"]).ok();
    host.docker(&["volume", "create", "spare"]).ok();
    host.docker(&["create", "--name", "idle", "busybox"]).ok();
    host.docker(&["run", "-d", "--name", "plain", "busybox", "sleep", "1000"]).ok();
    host.docker(&["run", "-d", "--name", "web", "--network", "lab", "busybox", "sleep", "1000"]).ok();
    let platform = host.docker(&["version", "-f", "{{.Server.Arch}}"]).ok();
    let has_v1 = host.sh("test -e /sys/fs/cgroup/cgroup.controllers").code != 0;
    let cgroup_namespace = if has_v1 { "host" } else { "private" };
    let asked = Asked { host, platform, cgroup_namespace, complaints: Mutex::default() };
    for (minor, words, checks) in rows::all() {
        for check in *checks {
            asked.check(*minor, words, check);
        }
    }
    // What it speaks of is there to be asked, and so are the versions that it promises, and no others.
    let (oldest, newest) = promised();
    let endpoints = endpoints();
    assert!(endpoints.len() > 15, "{endpoints:?}");
    for (method, path) in endpoints {
        let path_asked = path.replace("{id}", "nonesuch").replace("{name}", "nonesuch");
        // Events until now, which end.
        let known = asked.ask(newest, method, &format!("{path_asked}?until=1"), None);
        let is_known = !known.1.contains("page not found");
        let is_to_come = DOCUMENT.contains(&format!("`{method} {path}` | not yet |"));
        if is_known == is_to_come {
            asked.complain(format!("{method} {path}: {}", known.1));
        }
    }
    for (minor, status) in [(oldest - 1, 400), (oldest, 200), (newest, 200), (newest + 1, 400)] {
        let reply = asked.ask(minor, "GET", "/_ping", None);
        asked.answers(&format!("1.{minor}"), reply, status, &format!("api-version: 1.{newest}\r\n"));
    }
    let own = asked.host.berth(&["version", "-f", "{{.Client.ApiVersion}}"]).ok();
    if own != format!("1.{newest}") || !DOCUMENT.contains(&format!("its own client speaks {own}.")) {
        asked.complain(format!("its own client speaks {own}"));
    }
    let complaints = asked.complaints.into_inner().expect("no panic");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

//! docs/engine-api.md goes through what changed from version to version of the Engine API: each row of it is so.

mod rows;

use std::{cell::RefCell, path::Path};

use berth_tests::{Host, started};
use rows::ROWS;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../docs/engine-api.md");

/// What is to be at a place of a reply.
#[derive(Debug, Clone, Copy)]
enum Expect {
    /// The document doesn't say.
    Any,
    Absent,
    There,
    /// In JSON.
    Is(&'static str),
    /// There is no reply but this status.
    Refused(u16),
}

/// What shows a row. In paths, `HERE` and `ELSEWHERE` are this machine's platform and another.
#[derive(Debug)]
enum Check {
    /// What is there for `GET` of a path: where in it, in the row's version and in the one below.
    Shows(&'static str, &'static str, Expect, Expect),
    /// What of these members of a `create` is kept: likewise.
    Keeps(&'static str, &'static str, Expect, Expect),
    /// A request in the row's version, and its answer: method, path, body, status, and what it has to say, in head or body.
    Asks(&'static str, &'static str, Option<&'static str>, u16, &'static str),
    /// A test that shows it: its file, seen from here, and its name.
    By(&'static str),
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
    for (minor, words, checks) in ROWS {
        let found: Vec<_> = rows.iter().filter(|row| row.0 == *minor && row.1.contains(words)).collect();
        assert_eq!(found.len(), 1, "1.{minor} says {words:?} in these rows: {found:?}");
        // What is refused is seen to be.
        let (_, _, here) = found[0];
        let refuses = |check: &Check| match check {
            Check::Asks(_, _, _, status, _) => *status >= 400,
            Check::Keeps(_, _, now, below) => {
                [now, below].into_iter().any(|expect| matches!(expect, Expect::Refused(_)))
            }
            Check::By(_) => true,
            Check::Shows(..) => false,
        };
        let is_seen = checks.iter().any(refuses);
        assert!(
            is_seen || !here.contains("refused") || here.starts_with("there are none"),
            "1.{minor} {words}: {here}"
        );
    }
    for (minor, changed, here) in &rows {
        let shown = ROWS.iter().any(|(version, words, _)| version == minor && changed.contains(words));
        assert!(shown || *here == "no swarm mode", "nobody shows this of 1.{minor}: {changed} | {here}");
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/world");
    for check in ROWS.iter().flat_map(|(_, _, checks)| *checks) {
        if let Check::By(test) = check {
            let (file, name) = test.split_once(' ').expect("a file and a name");
            let source = std::fs::read_to_string(here.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(source.contains(&format!("fn {name}(")), "there is no test {name} in {file}");
        }
    }
}

/// A host with what the rows speak of, this machine's platform as it stands in a query, and what isn't as it is said to be.
struct Asked {
    host: Host,
    here: String,
    complaints: RefCell<Vec<String>>,
}

impl Asked {
    /// The status, and head and body.
    fn ask(&self, minor: u8, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
        let elsewhere = self.here.replace("amd64", "s390x").replace("arm64", "s390x");
        let path = path.replace("ELSEWHERE", &elsewhere).replace("HERE", &self.here);
        let mut curl = self.host.command("curl");
        curl.args(["-s", "-i", "-X", method, "--unix-socket", "/run/berth/berth.sock", "--output", "-"]);
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "-d", body]);
        }
        let reply = curl.arg(format!("http://localhost/v1.{minor}{path}")).output().expect("curl").stdout;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{path}: {reply}")), reply)
    }

    fn is(&self, what: &str, (status, reply): (u16, String), pointer: &str, expect: Expect) {
        let body = reply.split_once("\r\n\r\n").expect("a head").1;
        let value = serde_json::from_str::<Value>(body).ok();
        let value = value.as_ref().and_then(|value| value.pointer(pointer));
        let is_so = match expect {
            Expect::Any => true,
            Expect::Absent => status < 300 && value.is_none(),
            Expect::There => value.is_some(),
            Expect::Is(json) => value == Some(&serde_json::from_str(json).expect("JSON")),
            Expect::Refused(refused) => status == refused,
        };
        if !is_so {
            let complaint = format!("{what}: {pointer} is {value:?} and not {expect:?}: {status}");
            self.complaints.borrow_mut().push(complaint);
        }
    }

    fn kept(&self, minor: u8, members: &str) -> (u16, String) {
        let body = format!(r#"{{"Image":"busybox",{members}}}"#);
        let made = self.ask(minor, "POST", "/containers/create?name=kept", Some(&body));
        if made.0 != 201 {
            return made;
        }
        let shown = self.ask(52, "GET", "/containers/kept/json", None);
        self.host.docker(&["rm", "kept"]).ok();
        shown
    }

    fn check(&self, minor: u8, words: &str, check: &Check) {
        let [now, before] = [minor, minor - 1].map(|minor| (minor, format!("1.{minor}, {words}")));
        match *check {
            Check::Shows(path, pointer, expect, below) => {
                for ((minor, what), expect) in [(now, expect), (before, below)] {
                    self.is(&what, self.ask(minor, "GET", path, None), pointer, expect);
                }
            }
            Check::Keeps(members, pointer, expect, below) => {
                for ((minor, what), expect) in [(now, expect), (before, below)] {
                    self.is(&what, self.kept(minor, members), pointer, expect);
                }
            }
            Check::Asks(method, path, body, status, said) => {
                let (got, reply) = self.ask(minor, method, path, body);
                if path.ends_with("name=asked") && got == 201 {
                    self.host.docker(&["rm", "asked"]).ok();
                }
                if got != status || !reply.contains(said) {
                    self.complaints.borrow_mut().push(format!("{}: {method} {path}: {reply}", now.1));
                }
            }
            Check::By(_) => {}
        }
    }
}

#[test]
fn every_change_is_as_the_document_says() {
    let (_world, host) = started();
    host.docker(&["network", "create", "lab"]).ok();
    host.docker(&["network", "create", "other"]).ok();
    host.docker(&["create", "--name", "idle", "busybox"]).ok();
    host.docker(&["run", "-d", "--name", "web", "--network", "lab", "busybox", "sleep", "1000"]).ok();
    let platform = host.docker(&["version", "-f", "{{.Server.Arch}}"]).ok();
    let here = format!("%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22{platform}%22%7D");
    let asked = Asked { host, here, complaints: RefCell::default() };
    for (minor, words, checks) in ROWS {
        for check in *checks {
            asked.check(*minor, words, check);
        }
    }
    // What it speaks of is there to be asked, and so are the versions that it promises, and no others.
    let endpoints = endpoints();
    assert!(endpoints.len() > 15, "{endpoints:?}");
    for (method, path) in endpoints {
        let path_asked = path.replace("{id}", "nonesuch").replace("{name}", "nonesuch");
        // Events until now, which end.
        let known = asked.ask(52, method, &format!("{path_asked}?until=1"), None);
        let is_known = !known.1.contains("page not found");
        let is_to_come = DOCUMENT.contains(&format!("`{method} {path}` | not yet |"));
        assert!(is_known != is_to_come, "{method} {path}: {}", known.1);
    }
    let (_, promise) = DOCUMENT.split_once("berth promises API versions 1.").expect("a promise");
    let (oldest, promise) = promise.split_once(" to 1.").expect("a promise");
    let (newest, _) = promise.split_once(',').expect("a promise");
    let [oldest, newest] = [oldest, newest].map(|minor| minor.parse::<u8>().expect(minor));
    for (minor, status) in [(oldest - 1, 400), (oldest, 200), (newest, 200), (newest + 1, 400)] {
        let (got, reply) = asked.ask(minor, "GET", "/_ping", None);
        assert_eq!(got, status, "{reply}");
        assert!(reply.contains(&format!("api-version: 1.{newest}\r\n")), "{reply}");
    }
    let complaints = asked.complaints.into_inner();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

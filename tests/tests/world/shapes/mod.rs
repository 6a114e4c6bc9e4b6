//! What berth serves against what a Docker 29 serves, member by member: each difference has a reason, or it is a bug.

mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use berth_tests::{Host, started};
use serde_json::Value;

use wanted::WANTED;

/// Sections of members: `## name`, then a path and a type a line.
const DOCKER: &str = include_str!("docker29.txt");

/// The paths of a document's members, each with the types seen there.
type Shape = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_member_is_docker_s_or_a_wanted_difference() {
    let (_world, host) = started();
    let served = served(&host);
    let (mut unwanted, mut used) = (Vec::new(), BTreeSet::new());
    for (section, docker) in &recorded() {
        let ours = served.get(section.as_str()).unwrap_or_else(|| panic!("nothing asks for {section:?}"));
        for difference in differences(docker, ours) {
            match WANTED.iter().position(|wanted| wanted.is_about(section, &difference.path)) {
                Some(index) => drop(used.insert(index)),
                None => unwanted.push(format!("{section} {} {}", difference.path, difference.what)),
            }
        }
    }
    assert!(unwanted.is_empty(), "{} members differ from Docker's:\n{}", unwanted.len(), unwanted.join("\n"));
    let unused = WANTED.iter().enumerate().filter(|(index, _)| !used.contains(index)).map(|(_, wanted)| wanted);
    let stale: Vec<_> = unused.filter(|wanted| !wanted.depends_on_the_machine).collect();
    assert!(stale.is_empty(), "no differences any more: {stale:#?}");
}

/// A member that one of the two doesn't have, or has as something else.
struct Difference {
    path: String,
    what: String,
}

fn differences(docker: &Shape, ours: &Shape) -> Vec<Difference> {
    let types = |types: &BTreeSet<String>| types.iter().cloned().collect::<Vec<_>>().join(" or ");
    let mut found = Vec::new();
    for (path, theirs) in docker {
        match ours.get(path) {
            None => found.push(Difference { path: path.clone(), what: format!("is missing: {}", types(theirs)) }),
            Some(ours) if theirs.is_disjoint(ours) => {
                let what = format!("is {}, Docker's is {}", types(ours), types(theirs));
                found.push(Difference { path: path.clone(), what });
            }
            Some(_) => {}
        }
    }
    // What an empty list would hold isn't known of Docker's.
    let hides = |path: &str| {
        let lists = path.match_indices("[]").map(|(end, _)| &path[..end]);
        lists.into_iter().any(|list| {
            let is_known = docker.keys().any(|known| known.starts_with(&format!("{list}[]")));
            docker.contains_key(list_path(list)) && !is_known
        })
    };
    for (path, kinds) in ours {
        if !docker.contains_key(path) && !hides(path) {
            found.push(Difference { path: path.clone(), what: format!("is added: {}", types(kinds)) });
        }
    }
    found
}

/// The document itself has a name as well.
fn list_path(list: &str) -> &str {
    if list.is_empty() { "." } else { list }
}

fn recorded() -> BTreeMap<String, Shape> {
    let mut sections: BTreeMap<String, Shape> = BTreeMap::new();
    let mut section = None;
    for line in DOCKER.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        match line.strip_prefix("## ") {
            Some(name) => section = Some(name.to_owned()),
            None => {
                let (path, kind) = line.rsplit_once(' ').expect(line);
                let shape = sections.entry(section.clone().expect("a section")).or_default();
                shape.entry(path.to_owned()).or_default().insert(kind.to_owned());
            }
        }
    }
    sections
}

/// The shape of what each section's request is answered with.
fn served(host: &Host) -> BTreeMap<&'static str, Shape> {
    let read = |method: &str, path: &str, body: Option<&str>| {
        let (status, reply) = host.http("/run/berth/berth.sock", method, &format!("/v1.52{path}"), body);
        assert!((200..300).contains(&status), "{path}: {status} {reply}");
        reply
    };
    let ask = |method: &str, path: &str, body: Option<&str>| -> Value {
        let reply = read(method, path, body);
        serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{path}: {error}: {reply}"))
    };
    let get = |path: &str| ask("GET", path, None);
    let mut shapes: BTreeMap<&'static str, Shape> = BTreeMap::new();
    let mut add = |section, value: &Value| walk("", value, shapes.entry(section).or_default());

    add("network create", &ask("POST", "/networks/create", Some(r#"{"Name":"jn"}"#)));
    add("volume create", &ask("POST", "/volumes/create", Some(r#"{"Name":"vv"}"#)));
    host.docker(&["network", "create", "unused"]).ok();
    let flags = ["-d", "--name", "shape", "--network", "jn", "-p", "8080:80", "-v", "vv:/data", "-l", "l=x"];
    host.docker(&[&["run"][..], &flags, &["--health-cmd", "true", "busybox", "sleep", "1000"]].concat()).ok();
    host.docker(&["exec", "shape", "sh", "-c", "echo new > /new"]).ok();
    host.sh("cd /run && echo x > file && tar c file | DOCKER_HOST=unix:///run/berth/berth.sock docker import - unused")
        .ok();

    for (section, path) in [
        ("container", "/containers/shape/json"),
        ("containers", "/containers/json?all=1&size=1"),
        ("image", "/images/busybox/json"),
        ("images", "/images/json?shared-size=1&manifests=1"),
        ("network", "/networks/jn"),
        ("networks", "/networks"),
        ("volume", "/volumes/vv"),
        ("volumes", "/volumes"),
        ("info", "/info"),
        ("version", "/version"),
        ("df", "/system/df"),
        ("df", "/system/df?verbose=1"),
        ("top", "/containers/shape/top"),
        ("stats", "/containers/shape/stats?stream=false&one-shot=1"),
        ("changes", "/containers/shape/changes"),
        ("history", "/images/busybox/history"),
        ("plugins", "/plugins"),
    ] {
        add(section, &get(path));
    }
    let exec = ask("POST", "/containers/shape/exec", Some(r#"{"Cmd":["sleep","1000"],"AttachStdout":true}"#));
    add("exec create", &exec);
    add("exec", &get(&format!("/exec/{}/json", exec["Id"].as_str().expect("an id"))));
    // There is none, and the refusal says so.
    let (_, refusal) = host.http("/run/berth/berth.sock", "GET", "/v1.52/swarm", None);
    add("swarm", &serde_json::from_str(&refusal).expect("JSON"));
    add("update", &ask("POST", "/containers/shape/update", Some(r#"{"CpuShares":512}"#)));
    for (section, path) in [
        ("network prune", "/networks/prune"),
        ("volume prune", "/volumes/prune"),
        ("container prune", "/containers/prune"),
        ("build prune", "/build/prune"),
    ] {
        add(section, &ask("POST", path, None));
    }
    // No document, but bytes as they come.
    let events = format!("/events?since=0&until={}", host.sh("date +%s.%N").ok());
    for (section, path) in [("events", &*events), ("_ping", "/_ping")] {
        let reply = read("GET", path, None);
        assert!(!reply.is_empty() && serde_json::from_str::<Value>(&reply).is_err(), "{path}: {reply}");
        shapes.entry(section).or_default().entry(list_path("").to_owned()).or_default().insert("bytes".to_owned());
    }
    shapes
}

/// Adds the members of a value: objects are no members of their own, only what is in them.
fn walk(path: &str, value: &Value, shape: &mut Shape) {
    let kind = match value {
        Value::Object(members) => {
            for (key, member) in members {
                walk(&format!("{path}.{}", if varies(key) { "*" } else { key }), member, shape);
            }
            return;
        }
        Value::Array(items) => {
            items.iter().for_each(|item| walk(&format!("{path}[]"), item, shape));
            "list"
        }
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "string",
    };
    shape.entry(list_path(path).to_owned()).or_default().insert(kind.to_owned());
}

/// Ids and subnets.
fn varies(key: &str) -> bool {
    let is_id = key.len() == 64 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_id || key.split_once('/').is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok())
}

use std::{fs, path::Path};

use cnm::{
    api::SandboxPut,
    endpoint::Endpoint,
    grant::{EndpointGrant, Grant},
    lifecycle::Lifecycle,
    spec::SandboxSpec,
};
use rusqlite::Connection;

use super::*;

fn sandbox(id: &str) -> Arc<Sandbox> {
    let wire = SandboxPut {
        owner: "tests".to_owned(),
        name: String::new(),
        labels: Default::default(),
        namespace: Default::default(),
        endpoints: Vec::new(),
        ports: Vec::new(),
    };
    let spec = SandboxSpec::parse(id, wire).expect("a valid request");
    let endpoints: Vec<Endpoint> = Vec::new();
    Arc::new(Sandbox { spec, endpoints, ports: Vec::new(), lifecycle: Lifecycle::Reserved, change: None })
}

fn open(directory: &Path, boot_id: &str) -> Result<(Store, Loaded), Error> {
    Store::open(directory, directory, boot_id)
}

fn refusal(directory: &Path) -> String {
    open(directory, "boot").map(drop).expect_err("a refusal").chain()
}

#[tokio::test]
async fn what_was_committed_is_there_again() {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let (store, loaded) = open(directory.path(), "boot").expect("new files");
        assert!(loaded.networks.is_empty() && loaded.sandboxes.is_empty());
        assert_eq!(loaded.revision, None);
        let commits: Vec<_> = ["a", "b", "c"].map(|id| store.put_sandbox(sandbox(id), Some(7))).into();
        for commit in commits {
            commit.done().await.expect("a commit");
        }
        store.delete_sandbox("b".parse().expect("an id"), Some(9)).done().await.expect("a commit");
    }
    let (_store, loaded) = open(directory.path(), "boot").expect("the same files");
    assert_eq!(loaded.sandboxes, [(*sandbox("a")).clone(), (*sandbox("c")).clone()]);
    assert_eq!(loaded.revision, Some(9));
}

#[tokio::test]
async fn what_is_owed_to_others_outlives_the_boot() {
    let directory = tempfile::tempdir().expect("a directory");
    let network: NetworkId = "7".repeat(64).parse().expect("an id");
    let endpoint = Some(("web".parse().expect("an id"), "8".repeat(64).parse().expect("an id")));
    let owed = |endpoint, grant| Owed {
        to: "lent".parse().expect("a name"),
        holder: Holder { network: network.clone(), endpoint },
        asked: "2026-11-30T10:00:00Z".parse().expect("a time"),
        grant,
    };
    let address = EndpointGrant { addresses: vec!["10.9.0.7".parse().expect("an address")], mac: None };
    let (of_network, of_endpoint) = (owed(None, None), owed(endpoint, Some(Grant::Endpoint(address))));
    {
        let (store, _) = open(directory.path(), "first").expect("new files");
        let unanswered = Owed { grant: None, ..of_endpoint.clone() };
        store.put_owed([of_network.clone(), unanswered]).done().await.expect("a commit");
        store.put_owed([of_endpoint.clone()]).done().await.expect("a commit");
    }
    let (store, loaded) = open(directory.path(), "second").expect("the durable file");
    assert_eq!(loaded.owed, [of_network.clone(), of_endpoint.clone()]);
    store.delete_owed(&of_network.holder).done().await.expect("a commit");
    drop(store);
    let (_store, loaded) = open(directory.path(), "second").expect("the same files");
    assert_eq!(loaded.owed, [of_endpoint]);
}

#[tokio::test]
async fn another_boot_makes_sandboxes_void() {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let (store, _) = open(directory.path(), "first").expect("new files");
        store.put_sandbox(sandbox("a"), Some(7)).done().await.expect("a commit");
    }
    fs::write(directory.path().join("netd-first.db-wal"), "as a power cut left it").expect("a file");
    let (_store, loaded) = open(directory.path(), "second").expect("the earlier boot's file is not looked at");
    assert!(loaded.sandboxes.is_empty());
    assert_eq!(loaded.revision, None);
    let left = fs::read_dir(directory.path()).expect("a listing").filter_map(Result::ok);
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().contains("first")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_newer_file_is_refused_by_name_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path(), "boot").expect("new files"));
    let path = directory.path().join("netd.db");
    let newer = Connection::open(&path).expect("the file");
    newer.pragma_update(None, "user_version", 99).expect("a version");
    drop(newer);
    let message = refusal(directory.path());
    assert!(message.contains("netd.db") && message.contains("99"), "{message}");
    assert!(path.exists());
}

#[test]
fn a_damaged_or_foreign_file_is_refused_by_name_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("netd.db");
    fs::write(&path, "not a database at all, and longer than the header of one would be: ".repeat(8)).expect("a file");
    let message = refusal(directory.path());
    assert!(message.contains("netd.db") && message.contains("move the file away"), "{message}");

    fs::remove_file(&path).expect("the file");
    let foreign = Connection::open(&path).expect("a file");
    foreign.execute_batch("CREATE TABLE someone_elses (id)").expect("a table");
    drop(foreign);
    let message = refusal(directory.path());
    assert!(message.contains("netd.db") && message.contains("isn't a database of this program"), "{message}");
    assert!(path.exists());
}

#[test]
fn a_record_that_can_not_be_read_is_named_and_stops_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path(), "boot").expect("new files"));
    for (name, rows) in [
        (
            "netd.db",
            "INSERT INTO network VALUES ('web', '{}'), (CAST(x'ff' AS TEXT), '{}'), ('newer', '{\"id\":7}');
             INSERT INTO admin_rule VALUES ('pre', 0, CAST(x'ff' AS TEXT)), ('pre', 1, 'counter'), ('post', 0, 'accept')",
        ),
        (
            "netd-boot.db",
            "INSERT INTO sandbox VALUES ('web', '{}'), ('text', CAST(x'ff' AS TEXT)), ('end', '{');
             INSERT INTO revision VALUES (1, -7);
             INSERT INTO last_lease VALUES ('net', '10.0.0.1'),
                 ('0101010101010101010101010101010101010101010101010101010101010101', 'nowhere'),
                 ('0202020202020202020202020202020202020202020202020202020202020202', '10.0.0.2')",
        ),
    ] {
        let file = Connection::open(directory.path().join(name)).expect("the file");
        file.execute_batch(rows).expect("rows");
    }
    let (store, loaded) = open(directory.path(), "boot").expect("the files");
    assert!(loaded.networks.is_empty() && loaded.sandboxes.is_empty());
    assert_eq!(loaded.admin_chains, AdminChains { pre: vec!["counter".into()], post: vec!["accept".into()] });
    assert_eq!((loaded.revision, loaded.last_leases.len()), (None, 1));
    let told: Vec<String> = loaded.unreadable.iter().map(|unreadable| unreadable.error.chain()).collect();
    let named = [
        ("network newer", "netd.db"),
        ("network web", "netd.db"),
        ("network \u{fffd}", "netd.db"),
        ("admin_rule pre 0", "netd.db"),
        ("sandbox end", "netd-boot.db"),
        ("sandbox text", "netd-boot.db"),
        ("sandbox web", "netd-boot.db"),
        ("revision newest", "netd-boot.db"),
        ("last_lease 0101", "netd-boot.db"),
        ("last_lease net", "netd-boot.db"),
    ];
    assert_eq!(told.len(), named.len(), "{told:#?}");
    for (told, (what, file)) in told.iter().zip(named) {
        assert!(told.starts_with(&format!("the record of {what}")) && told.contains(file), "{told}");
        // What netd writes anew by itself can't stay.
        let stays = ["network", "sandbox"].iter().any(|kept| what.starts_with(kept));
        assert_eq!(told.contains("it stays there for the netd that can"), stays, "{told}");
        assert_eq!(told.contains("and is replaced"), !stays, "{told}");
    }
    drop(store);
    // Opening alone changes none.
    let (_store, loaded) = open(directory.path(), "boot").expect("the files");
    assert_eq!(loaded.unreadable.len(), named.len());
}

/// A killed netd closes nothing: the files as they are in the middle of its life must open.
#[tokio::test]
async fn a_file_that_was_never_closed_has_every_commit() {
    let directory = tempfile::tempdir().expect("a directory");
    let copy = tempfile::tempdir().expect("a directory");
    let (store, _) = open(directory.path(), "boot").expect("new files");
    for number in 0..200_u64 {
        store.put_sandbox(sandbox(&format!("s{number}")), Some(number)).done().await.expect("a commit");
    }
    for entry in fs::read_dir(directory.path()).expect("a listing").filter_map(Result::ok) {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    let (_store, loaded) = open(copy.path(), "boot").expect("the copy");
    assert_eq!(loaded.sandboxes.len(), 200);
    assert_eq!(loaded.revision, Some(199));
    // What isn't made needs no room on a full disk.
    let shared = fs::read_dir(copy.path()).expect("a listing").filter_map(Result::ok);
    assert!(!shared.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with("-shm")));
}

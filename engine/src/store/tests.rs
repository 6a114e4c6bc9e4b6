//! What the database keeps, and which files are refused.

use std::os::unix::fs::MetadataExt as _;

use sqlite::OpenError;

use super::*;

fn container(id: &str, name: &str) -> StoredContainer {
    StoredContainer { id: id.into(), name: name.into(), record: "{}".into() }
}

#[tokio::test]
async fn containers_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.db");
    let store = Store::open(&path).unwrap();
    store.put_container(container("b", "two")).await.unwrap();
    store.put_container(container("a", "one")).await.unwrap();
    store.put_container(container("b", "three")).await.unwrap();
    store.remove_container("absent").await.unwrap();
    for file in std::fs::read_dir(dir.path()).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().mode() & 0o077, 0, "environments are nobody else's business");
    }
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.containers().await.unwrap(), [container("a", "one"), container("b", "three")]);
    store.remove_container("a").await.unwrap();
    assert_eq!(store.containers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_container_and_its_volumes_are_stored_together_or_not_at_all() {
    let volume = |name: &str| StoredVolume { name: name.into(), record: "{}".into() };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("engine.db")).unwrap();
    store.put_volumes(vec![volume("data")]).await.unwrap();
    let both = vec![volume("logs"), volume("data")];
    store.put_container_with_volumes(container("a", "one"), both).await.expect_err("data is there already");
    assert_eq!(store.volumes().await.unwrap(), [volume("data")]);
    assert_eq!(store.containers().await.unwrap(), []);
    store.put_container_with_volumes(container("a", "one"), vec![volume("logs")]).await.unwrap();
    store.remove_volume("data").await.unwrap();
    store.remove_volume("absent").await.unwrap();
    assert_eq!(store.volumes().await.unwrap(), [volume("logs")]);
    assert_eq!(store.containers().await.unwrap(), [container("a", "one")]);
}

#[tokio::test]
async fn no_commit_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("engine.db")).unwrap();
    for (name, expected) in [("synchronous", 1), ("wal_autocheckpoint", 0)] {
        let pragma = store.run("", move |db| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)));
        assert_eq!(pragma.await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn facts_are_drawn_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.db");
    let fact = async |drawn: &str| {
        let store = Store::open(&path).unwrap();
        let known = store.known_fact("owner", |value| value != "unreadable").await.unwrap();
        let fact = store.fact("owner", drawn.into(), |value| value != "unreadable").await.unwrap();
        assert_eq!(known, (fact.value != drawn).then(|| fact.value.clone()));
        fact
    };
    assert_eq!(fact("x").await, Fact { value: "x".into(), set_aside: None });
    assert_eq!(fact("y").await, Fact { value: "x".into(), set_aside: None });
    for unreadable in ["'unreadable'", "CAST(x'ff' AS TEXT)"] {
        let file = Connection::open(&path).unwrap();
        file.execute(&format!("UPDATE facts SET value = {unreadable} WHERE name = 'owner'"), []).unwrap();
        let Fact { value, set_aside } = fact("z").await;
        let said = set_aside.expect("a sentence");
        assert!(value == "z" && said.contains("the record of owner can not be read"), "{value} {said}");
        let kept = "SELECT count(*) FROM facts WHERE name = 'owner (set aside)'";
        assert_eq!(file.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }
    assert_eq!(fact("y").await, Fact { value: "z".into(), set_aside: None });
}

#[tokio::test]
async fn a_file_of_before_it_was_marked_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.db");
    Store::open(&path).unwrap().put_container(container("a", "one")).await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "application_id", 0).unwrap();
    assert_eq!(Store::open(&path).unwrap().containers().await.unwrap(), [container("a", "one")]);
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.db");
    // Closed when it is dropped, which a store's thread may be later.
    drop(sqlite::open(&path, &SCHEMA, Access::Shared, Synchronous::Normal).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open(OpenError::Newer { found: 99, .. })), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.db");
    std::fs::write(&path, "this is no database, whatever its name says").unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Open(OpenError::Damaged { .. })), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"this is no database, whatever its name says");
}

//! Records as releases have written them, one file a table: today's code reads them, and writes what it read as it stood there.

use std::{collections::BTreeMap, fs, path::Path};

use rusqlite::{Connection, types::Value as Column};
use serde_json::Value;

use super::{Loaded, Store};

/// The release that this one is.
const RELEASE: &str = "0.1";

/// Tables, by the file that they are in.
const TABLES: [(&str, &[&str]); 2] =
    [("netd.db", &["admin_rule", "network", "owed"]), ("netd-boot.db", &["last_lease", "revision", "sandbox"])];

type Rows = Vec<BTreeMap<String, Value>>;

fn golden(table: &str) -> Rows {
    let path = format!("{}/src/store/golden/{RELEASE}/{table}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// What is stored in a table. A record is compared as JSON, since it says the same in whatever order.
fn rows(file: &Connection, table: &str) -> Rows {
    let mut select = file.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).expect("the table");
    let names: Vec<String> = select.column_names().map(str::to_owned).collect();
    let read = select.query_map((), |row| {
        let columns = names.iter().enumerate().map(|(index, name)| {
            let value = match row.get::<_, Column>(index)? {
                Column::Integer(number) => number.into(),
                Column::Text(text) if name == "record" => serde_json::from_str(&text).expect("JSON"),
                Column::Text(text) => text.into(),
                other => panic!("{table}.{name}: {other:?}"),
            };
            Ok((name.clone(), value))
        });
        columns.collect()
    });
    read.and_then(Iterator::collect).expect("rows")
}

fn insert(file: &Connection, table: &str, row: &BTreeMap<String, Value>) {
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let values = row.iter().map(|(name, value)| match value {
        Value::Number(number) => Column::Integer(number.as_i64().expect("an integer")),
        Value::String(text) if name != "record" => Column::Text(text.clone()),
        record => Column::Text(record.to_string()),
    });
    let marks = vec!["?"; names.len()].join(", ");
    let insert = format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", "));
    file.execute(&insert, rusqlite::params_from_iter(values)).expect("a row");
}

fn open(directory: &Path) -> (Store, Loaded) {
    Store::open(directory, directory, "boot").expect("a store")
}

#[tokio::test]
async fn records_of_this_release_are_read_and_written_as_they_are() {
    let (theirs, ours) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    drop(open(theirs.path()));
    for (name, tables) in TABLES {
        let file = Connection::open(theirs.path().join(name)).expect("the file");
        let count = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
        let there: i64 = file.query_row(count, (), |row| row.get(0)).expect("a number");
        assert_eq!(usize::try_from(there), Ok(tables.len()), "{name}: every table has a golden file");
        for table in tables {
            golden(table).iter().for_each(|row| insert(&file, table, row));
        }
    }
    let (_, loaded) = open(theirs.path());
    assert!(loaded.unreadable.is_empty(), "{:?}", loaded.unreadable);
    {
        let (store, _) = open(ours.path());
        let networks = loaded.networks.into_iter().map(|network| store.put_network(network.into()));
        let owed = store.put_owed(loaded.owed);
        let admin_chains = store.put_admin_chains(loaded.admin_chains);
        let mut leases = loaded.last_leases;
        let sandboxes = loaded.sandboxes.into_iter();
        let reserved = sandboxes.map(|sandbox| store.reserve_sandbox(sandbox.into(), std::mem::take(&mut leases)));
        let revision = store.put_revision(loaded.revision.expect("a revision"));
        for commit in networks.chain([owed, admin_chains]).chain(reserved).chain([revision]).collect::<Vec<_>>() {
            commit.done().await.expect("a commit");
        }
    }
    for (name, tables) in TABLES {
        let file = Connection::open(ours.path().join(name)).expect("the file");
        for table in tables {
            assert_eq!(rows(&file, table), golden(table), "{table}");
        }
    }
}

//! Records as releases have written them, one file a table: today's code reads them, and writes what it read as it stood there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::{container, volume};

/// The release that this one is.
const RELEASE: &str = "0.1";

/// Tables with their columns.
const TABLES: [(&str, &[&str]); 3] =
    [("containers", &["id", "name", "record"]), ("facts", &["name", "value"]), ("volumes", &["name", "record"])];

type Rows = Vec<BTreeMap<String, Value>>;

fn golden(table: &str) -> Rows {
    let path = format!("{}/src/store/golden/{RELEASE}/{table}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// What is stored in a table. A record is compared as JSON, since it says the same in whatever order.
fn rows(file: &Connection, table: &str, columns: &[&str]) -> Rows {
    let mut select = file.prepare(&format!("SELECT {} FROM {table} ORDER BY 1", columns.join(", "))).unwrap();
    let read = select.query_map([], |row| {
        let value = |(index, name): (usize, &&str)| {
            let text: String = row.get(index)?;
            let value = if *name == "record" { serde_json::from_str(&text).unwrap() } else { text.into() };
            Ok(((*name).to_owned(), value))
        };
        columns.iter().enumerate().map(value).collect()
    });
    read.and_then(Iterator::collect).unwrap()
}

fn insert(file: &Connection, table: &str, columns: &[&str], row: &BTreeMap<String, Value>) {
    let values = columns.iter().map(|name| match &row[*name] {
        Value::String(text) => text.clone(),
        record => record.to_string(),
    });
    let marks = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT INTO {table} ({}) VALUES ({marks})", columns.join(", "));
    file.execute(&insert, rusqlite::params_from_iter(values)).unwrap();
}

#[tokio::test]
async fn records_of_this_release_are_read_and_written_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let (theirs, ours) = (directory.path().join("theirs.db"), directory.path().join("ours.db"));
    let read = Store::open(&theirs).unwrap();
    let file = Connection::open(&theirs).unwrap();
    let count = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
    let there: i64 = file.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(there), Ok(TABLES.len()), "every table has a golden file");
    for (table, columns) in TABLES {
        golden(table).iter().for_each(|row| insert(&file, table, columns, row));
    }
    let write = Store::open(&ours).unwrap();
    for stored in read.containers().await.unwrap() {
        let container = container::from_record(&stored).unwrap();
        write.put_container(container::to_record(&container)).await.unwrap();
    }
    for stored in read.volumes().await.unwrap() {
        let volume = volume::from_record(&stored).unwrap();
        write.put_volumes(vec![volume::to_record(&volume)]).await.unwrap();
    }
    let id = read.fact("engine_id", String::new(), |_| true).await.unwrap();
    write.fact("engine_id", id.value, |_| true).await.unwrap();
    let file = Connection::open(&ours).unwrap();
    for (table, columns) in TABLES {
        assert_eq!(rows(&file, table, columns), golden(table), "{table}");
    }
}

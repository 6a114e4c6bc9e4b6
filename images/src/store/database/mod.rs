//! The database file: how it is opened, its schema and its transactions. What is asked of it stands with each table.

mod images;
mod layers;
mod snapshots;
mod steps;

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use sqlite::{Access, Schema, Synchronous};

use crate::error::Error;

pub(super) use images::*;
pub(super) use layers::*;
pub(super) use snapshots::*;
pub(super) use steps::*;

const SCHEMA: Schema = Schema {
    // "beim" in ASCII.
    application_id: 0x6265_696d,
    migrations: &MIGRATIONS,
    unmarked_up_to: 0,
    // Without it, nothing is known of the layers and of what containers wrote.
    whole: "the whole directory",
};

const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE layer (
        -- Never given out twice: a mount may still use a removed layer's short link.
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        chain_id TEXT NOT NULL UNIQUE,
        diff_id TEXT NOT NULL,
        parent INTEGER REFERENCES layer (number),
        size_bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX layer_parent ON layer (parent);
    CREATE TABLE image (
        id TEXT PRIMARY KEY,
        document BLOB NOT NULL,
        top_layer INTEGER REFERENCES layer (number),
        loaded_at_milliseconds INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX image_top_layer ON image (top_layer);
    CREATE TABLE name (
        reference TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES image (id)
    ) STRICT;
    CREATE INDEX name_image ON name (image);
    CREATE TABLE snapshot (
        container_id TEXT PRIMARY KEY,
        top_layer INTEGER REFERENCES layer (number)
    ) STRICT;
    CREATE INDEX snapshot_top_layer ON snapshot (top_layer);
",
    "
    CREATE TABLE blob (
        layer INTEGER NOT NULL REFERENCES layer (number) ON DELETE CASCADE,
        domain TEXT NOT NULL,
        path TEXT NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        compression TEXT NOT NULL,
        UNIQUE (layer, domain, path, digest)
    ) STRICT;
    CREATE INDEX layer_diff_id ON layer (diff_id);
    CREATE TABLE manifest (
        digest TEXT NOT NULL,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        media_type TEXT NOT NULL,
        document BLOB NOT NULL,
        UNIQUE (image, digest)
    ) STRICT;
",
    "
    CREATE TABLE build_step (
        key TEXT PRIMARY KEY,
        instruction TEXT NOT NULL,
        layer INTEGER REFERENCES layer (number),
        created_at_milliseconds INTEGER NOT NULL,
        used_at_milliseconds INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX build_step_layer ON build_step (layer);
",
    "
    CREATE TABLE image_step (
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        step TEXT NOT NULL REFERENCES build_step (key) ON DELETE CASCADE,
        UNIQUE (image, step)
    ) STRICT;
    CREATE INDEX image_step_step ON image_step (step);
",
];

/// Opens the file, making it if there is none. What isn't ours, is newer or is damaged stays as it is.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let connection = sqlite::open(path, &SCHEMA, Access::Shared, Synchronous::Full)?;
    connection.execute_batch("PRAGMA foreign_keys = ON;").map_err(Error::database("open a file"))?;
    Ok(connection)
}

/// What a change of records survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// A power cut: who changes them waits for the disk, once they are committed.
    PowerCut,
    /// The end of this process. A power cut may take the last commits, never one without those after it.
    ProcessEnd,
}

/// A transaction that may write, from its beginning.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn parsed<T>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

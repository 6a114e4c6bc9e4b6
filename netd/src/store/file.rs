//! Opening a SQLite file of ours: marked as ours, migrated step by step, refused when it is damaged, foreign or newer.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::Error;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Schema {
    /// See <https://www.sqlite.org/pragma.html#pragma_application_id>.
    pub(super) application_id: i32,
    /// Statements that lead from version `i` to `i + 1`; a file's version is `PRAGMA user_version`.
    pub(super) migrations: &'static [&'static str],
}

/// Whether a commit waits until the disk has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Synchronous {
    Full,
    Off,
}

pub(super) fn open(path: &Path, schema: &Schema, synchronous: Synchronous) -> Result<Connection, Error> {
    let failed = |source| Error::OpenStore { path: path.to_owned(), source };
    // It tells who has which address: nobody else is to read it. SQLite gives its log the same mode. What fails here fails
    // again in the next line.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok();
    let mut connection = Connection::open(path).map_err(failed)?;
    // One process owns the file (its directory is locked): the index of the log needs no file of shared memory, which
    // could not be made on a full disk. It has to be said before the file is read.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
    let id: i32 = connection.query_row("PRAGMA application_id", (), |row| row.get(0)).map_err(failed)?;
    let version: u32 = connection.query_row("PRAGMA user_version", (), |row| row.get(0)).map_err(failed)?;
    let known = u32::try_from(schema.migrations.len()).expect("a handful of migrations");
    let is_new = id == 0 && version == 0 && is_empty(&connection).map_err(failed)?;
    if !is_new && id != schema.application_id {
        return Err(Error::ForeignStore { path: path.to_owned() });
    }
    if version > known {
        return Err(Error::NewerStore { path: path.to_owned(), found: version, known });
    }
    configure(&connection, synchronous).map_err(failed)?;
    check(&connection).map_err(failed)?;
    migrate(&mut connection, schema, version as usize).map_err(failed)?;
    Ok(connection)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0))
}

fn configure(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let mode = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", mode)?;
    // 256 KiB instead of 2 MiB: all is read once, at start.
    connection.pragma_update(None, "cache_size", -256)
}

fn check(connection: &Connection) -> rusqlite::Result<()> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if answer == "ok" {
        return Ok(());
    }
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(corrupt, Some(answer)))
}

fn migrate(connection: &mut Connection, schema: &Schema, from: usize) -> rusqlite::Result<()> {
    for (version, statements) in (1_i64..).zip(schema.migrations).skip(from) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.pragma_update(None, "application_id", schema.application_id)?;
        transaction.commit()?;
    }
    Ok(())
}

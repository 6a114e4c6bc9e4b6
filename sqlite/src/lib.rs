//! SQLite files of ours: opened, marked as ours and migrated step by step; what is damaged, foreign or newer is refused by
//! name and left as it is.
#![forbid(unsafe_code)]

mod log;
mod log_room;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

pub use log::{Log, pages};
use log_room::reserve_log;

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Marks it as ours: see <https://www.sqlite.org/pragma.html#pragma_application_id>.
    pub application_id: i32,
    /// Statements that lead from version `i` to `i + 1`; a file's version is `PRAGMA user_version`. One that was released
    /// never changes.
    pub migrations: &'static [&'static str],
    /// Up to this version, files of ours had no mark.
    pub unmarked_up_to: i64,
    /// What is to be moved away with a file that can't be used: "the file", or what stands and falls with it.
    pub whole: &'static str,
}

/// Who has a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// One connection. The index of the log needs no file of shared memory, which could not be made on a full disk.
    Alone,
    /// Several connections of this process, and who looks into it meanwhile.
    Shared,
}

/// Whether a commit waits until the disk has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// It does.
    Full,
    /// It doesn't: a power cut may take the last ones, never one without those after it.
    Normal,
    /// Nothing ever does: a power cut may damage the file.
    Off,
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is no database, or a broken one.
    #[error("{} is damaged ({detail}): it is left as it is; restore it, or move {whole} away", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// See [`Schema::whole`].
        whole: &'static str,
        /// SQLite's first complaint.
        detail: String,
    },
    /// Somebody else's lies there.
    #[error("{} isn't a database of this program: it is left as it is; move {whole} away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// See [`Schema::whole`].
        whole: &'static str,
    },
    /// A later release wrote it.
    #[error(
        "{} has schema version {found}, this program knows up to {known}: it is left as it is; run the newer program, or \
         move {whole} away",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// See [`Schema::whole`].
        whole: &'static str,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// Its log can't be looked after.
    #[error("can't open the database's log {}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It can't be read or written.
    #[error("can't open the database {}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

/// Opens a file, making it if there is none, and brings it to the newest version. Nobody else of the host may read it.
///
/// # Errors
/// It can't be used; then nothing is written to it.
pub fn open(path: &Path, schema: &Schema, access: Access, synchronous: Synchronous) -> Result<Connection, OpenError> {
    let whole = schema.whole;
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path: path.to_owned(), whole, detail: source.to_string() }
        }
        _ => OpenError::Failed { path: path.to_owned(), source },
    };
    // SQLite gives its log the same mode. What fails here fails again in the next line.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok();
    let mut connection = Connection::open(path).map_err(failed)?;
    if access == Access::Alone {
        // It has to be said before the file is read.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failed)?;
    }
    let id: i32 = pragma(&connection, "application_id").map_err(failed)?;
    let found: i64 = pragma(&connection, "user_version").map_err(failed)?;
    let known = i64::try_from(schema.migrations.len()).expect("a handful of migrations");
    let is_new = id == 0 && found == 0 && is_empty(&connection).map_err(failed)?;
    let is_unmarked = id == 0 && (1..=schema.unmarked_up_to).contains(&found);
    if !is_new && !is_unmarked && id != schema.application_id {
        return Err(OpenError::Foreign { path: path.to_owned(), whole });
    }
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), whole, found, known });
    }
    check(&connection).map_err(failed)?;
    configure(&connection, synchronous).map_err(failed)?;
    migrate(&mut connection, schema, found, id != schema.application_id).map_err(failed)?;
    Ok(connection)
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0))
}

fn check(connection: &Connection) -> rusqlite::Result<()> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if answer == "ok" {
        return Ok(());
    }
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(corrupt, Some(answer)))
}

fn configure(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
        Synchronous::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

/// Brings it to the newest version, and marks it: all or nothing.
fn migrate(connection: &mut Connection, schema: &Schema, from: i64, mark: bool) -> rusqlite::Result<()> {
    let missing: Vec<_> = (1_i64..).zip(schema.migrations).filter(|(version, _)| *version > from).collect();
    if missing.is_empty() && !mark {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for (version, statements) in missing {
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.commit()
}

//! The write-ahead log: when what is committed is on the disk, and when it is taken over into the database.
//!
//! Commits wait for no disk: they are made with a lock held that everybody needs. Who has to know that theirs survives a
//! power cut waits for the log afterwards, without the lock. SQLite writes the log in the order of the commits, so a power
//! cut takes the last ones only. When the log has become long, a thread of its own takes it over and begins it anew.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::{OpenError, reserve_log};

/// Half of what is reserved for it on the disk.
const LONG_PAGES: i64 = 500;
/// While it is taken over, others go on; what they add is little, and taken over next.
const TRIES: usize = 8;

/// The log of an open database.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    /// Tells the thread that the log is long; without it, the thread ends.
    long: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    /// The log of the database at this path. From here on no commit of the connection, which several may have, waits for
    /// the disk.
    ///
    /// # Errors
    /// The log can't be opened, or there can't be another thread.
    pub fn of(connection: &Connection, database: &Path) -> Result<Self, OpenError> {
        let configure = || {
            // Who begins the log anew waits for the disk.
            connection.busy_timeout(Duration::from_secs(600))?;
            connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;")
        };
        configure().map_err(|source| OpenError::Failed { path: database.to_owned(), source })?;
        reserve_log(database);
        let path = of_database(database);
        let failed = |source| OpenError::Log { path: path.clone(), source };
        let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let (long, told) = sync_channel(1);
        let of = database.to_owned();
        let thread = thread::Builder::new()
            .name("database-log".into())
            .stack_size(256 * 1024)
            .spawn(move || shorten_when_told(&of, &told))
            .map_err(failed)?;
        Ok(Self { file, path, long: Some(long), thread: Some(thread) })
    }

    /// Waits until all that is committed now survives a power cut.
    ///
    /// # Errors
    /// The disk fails.
    pub fn synchronise(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Has the log shortened if the last commit made it long; waits for nothing.
    ///
    /// # Errors
    /// Its length can't be had.
    pub fn committed(&self, connection: &Connection) -> rusqlite::Result<()> {
        if pages(connection)? >= LONG_PAGES
            && let Some(long) = &self.long
        {
            // It may have been told already.
            let _ = long.try_send(());
        }
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.long.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The log's file.
pub(crate) fn of_database(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

/// How many pages the log has.
///
/// # Errors
/// SQLite can't say.
pub fn pages(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], |row| row.get(1))
}

fn shorten_when_told(database: &Path, told: &Receiver<()>) {
    while told.recv().is_ok() {
        if let Err(error) = shorten(database) {
            tracing::warn!("can't shorten the log of {}: {error}", database.display());
        }
    }
}

fn shorten(database: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(database)?;
    for _ in 0..TRIES {
        let (log, taken_over): (i64, i64) =
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
        if log == taken_over {
            return begin_anew(&mut connection);
        }
    }
    Ok(())
}

/// The first commit after that begins the log anew and waits for the disk, whatever it is: it is this one, which changes
/// nothing, and not a container's.
fn begin_anew(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

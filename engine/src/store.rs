//! The engine's database: containers and volumes as they should be after a restart. One SQLite file, owned by one thread.
//!
//! A commit reaches the kernel, not the disk (see [`sqlite::Log`]), so a `kill -9` of berthd loses nothing and a container's
//! start waits for no fsync. A power cut may lose the last ones (containers created, renamed or removed in the last moments);
//! the file itself stays consistent. What is left on disk of a container that the database doesn't know is swept at the next
//! start. Who makes or removes volumes by themselves waits for the disk after the commit, and keeps nobody waiting.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sqlite::{Access, Log, Schema, Synchronous};
use tokio::sync::oneshot;

/// What the file holds.
const SCHEMA: Schema = Schema {
    // "been" in ASCII.
    application_id: 0x6265_656e,
    migrations: &[
        "
        CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        ",
        "CREATE TABLE volumes (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;",
    ],
    unmarked_up_to: 2,
    whole: "the file",
};

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be used.
    #[error(transparent)]
    Open(#[from] sqlite::OpenError),
    /// Nobody can look after it.
    #[error("can't start a thread for the database {}", path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A statement failed.
    #[error("{doing} in the engine's database")]
    Statement {
        /// What was being tried.
        doing: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The disk doesn't take it.
    #[error("bringing the engine's database to the disk")]
    Log {
        /// Why.
        source: io::Error,
    },
    /// The thread that owns the database is gone.
    #[error("the engine's database is closed")]
    Closed,
}

/// A container as stored: its id, its unique name, and the rest as JSON with a version of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContainer {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without a leading slash.
    pub name: String,
    /// See `container::record`; empty when what is stored is no text.
    pub record: String,
}

/// A volume as stored: its name, and the rest as JSON with a version of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVolume {
    /// Unique.
    pub name: String,
    /// See `volume::record`; empty when what is stored is no text.
    pub record: String,
}

/// A fact, and what is to be said if the stored one couldn't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What holds.
    pub value: String,
    /// A sentence for the administrator.
    pub set_aside: Option<String>,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle on the thread that owns the database.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    log: Arc<Log>,
}

impl Store {
    /// Opens or makes the database at `path`, and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = sqlite::open(path, &SCHEMA, Access::Shared, Synchronous::Normal)?;
        let log = Arc::new(Log::of(&connection, path)?);
        let written = log.clone();
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("engine-db".into())
            .spawn(move || {
                for job in queue {
                    job(&mut connection);
                    if let Err(error) = written.committed(&connection) {
                        tracing::warn!("the log of the engine's database can't be measured: {error}");
                    }
                }
            })
            .map_err(|source| StoreError::Thread { path: path.to_owned(), source })?;
        Ok(Self { jobs, log })
    }

    /// Every container, ordered by id.
    pub async fn containers(&self) -> Result<Vec<StoredContainer>, StoreError> {
        self.run("listing containers", |db| {
            let mut statement = db.prepare("SELECT id, name, record FROM containers ORDER BY id")?;
            let rows = statement.query_map([], |row| {
                Ok(StoredContainer {
                    id: lossy(row, 0)?,
                    name: lossy(row, 1)?,
                    record: text(row, 2)?.unwrap_or_default(),
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// Stores a container, new or changed.
    pub async fn put_container(&self, container: StoredContainer) -> Result<(), StoreError> {
        self.run("storing a container", move |db| {
            db.prepare_cached(
                "INSERT INTO containers (id, name, record) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET name = ?2, record = ?3",
            )?
            .execute(params![container.id, container.name, container.record])
            .map(drop)
        })
        .await
    }

    /// Stores a new container together with the volumes that are made for it: there are all or none.
    pub async fn put_container_with_volumes(
        &self,
        container: StoredContainer,
        volumes: Vec<StoredVolume>,
    ) -> Result<(), StoreError> {
        self.run("storing a container and its volumes", move |db| {
            let transaction = db.transaction()?;
            insert_volumes(&transaction, &volumes)?;
            transaction.execute(
                "INSERT INTO containers (id, name, record) VALUES (?1, ?2, ?3)",
                params![container.id, container.name, container.record],
            )?;
            transaction.commit()
        })
        .await
    }

    /// Every volume, ordered by name.
    pub async fn volumes(&self) -> Result<Vec<StoredVolume>, StoreError> {
        self.run("listing volumes", |db| {
            let mut statement = db.prepare("SELECT name, record FROM volumes ORDER BY name")?;
            let rows = statement.query_map([], |row| {
                Ok(StoredVolume { name: lossy(row, 0)?, record: text(row, 1)?.unwrap_or_default() })
            })?;
            rows.collect()
        })
        .await
    }

    /// Stores new volumes, to the disk.
    pub async fn put_volumes(&self, volumes: Vec<StoredVolume>) -> Result<(), StoreError> {
        self.run("storing a volume", move |db| {
            let transaction = db.transaction()?;
            insert_volumes(&transaction, &volumes)?;
            transaction.commit()
        })
        .await?;
        self.synchronise().await
    }

    /// Forgets a volume, on the disk too; one that isn't there is no error.
    pub async fn remove_volume(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run("removing a volume", move |db| db.execute("DELETE FROM volumes WHERE name = ?1", [&name]).map(drop))
            .await?;
        self.synchronise().await
    }

    /// Forgets a container; one that isn't there is no error.
    pub async fn remove_container(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.run("removing a container", move |db| {
            db.prepare_cached("DELETE FROM containers WHERE id = ?1")?.execute([id]).map(drop)
        })
        .await
    }

    /// A fact that was drawn, if there is one.
    pub async fn known_fact(
        &self,
        name: &'static str,
        is_valid: fn(&str) -> bool,
    ) -> Result<Option<String>, StoreError> {
        self.run("reading a fact", move |db| Ok(stored_fact(db, name)?.flatten().filter(|value| is_valid(value)))).await
    }

    /// A fact that is drawn once and kept: the stored value, or `initial`, which is stored first. A stored value that isn't one
    /// is set aside under another name.
    pub async fn fact(
        &self,
        name: &'static str,
        initial: String,
        is_valid: fn(&str) -> bool,
    ) -> Result<Fact, StoreError> {
        self.run("reading a fact", move |db| {
            let set_aside = match stored_fact(db, name)? {
                Some(Some(value)) if is_valid(&value) => return Ok(Fact { value, set_aside: None }),
                stored => stored.map(|_| format!("{name} (set aside)")),
            };
            let transaction = db.transaction()?;
            if let Some(aside) = &set_aside {
                transaction.execute("UPDATE OR REPLACE facts SET name = ?2 WHERE name = ?1", params![name, aside])?;
            }
            transaction.execute("INSERT INTO facts (name, value) VALUES (?1, ?2)", params![name, initial])?;
            transaction.commit()?;
            let sentence =
                |aside| format!("the record of {name} can not be read: it is kept as {aside:?}, and another was drawn");
            Ok(Fact { value: initial, set_aside: set_aside.map(sentence) })
        })
        .await
    }

    /// Waits until all that is committed now survives a power cut.
    async fn synchronise(&self) -> Result<(), StoreError> {
        let log = self.log.clone();
        let done = tokio::task::spawn_blocking(move || log.synchronise()).await.map_err(|_| StoreError::Closed)?;
        done.map_err(|source| StoreError::Log { source })
    }

    async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        // A caller that went away doesn't want the answer; the work is done all the same.
        let job = Box::new(move |db: &mut Connection| drop(reply.send(work(db))));
        self.jobs.send(job).map_err(|_| StoreError::Closed)?;
        let result = answer.await.map_err(|_| StoreError::Closed)?;
        result.map_err(|source| StoreError::Statement { doing, source })
    }
}

/// A fact as it is stored; there may be one that is no text.
fn stored_fact(db: &Connection, name: &str) -> rusqlite::Result<Option<Option<String>>> {
    db.query_row("SELECT value FROM facts WHERE name = ?1", [name], |row| text(row, 0)).optional()
}

/// A text of the file, if it is one: SQLite doesn't check that it is UTF-8.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let bytes = row.get_ref(column)?.as_bytes()?;
    Ok(std::str::from_utf8(bytes).ok().map(str::to_owned))
}

/// A text of the file as far as it is one.
fn lossy(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?).into_owned())
}

fn insert_volumes(db: &Connection, volumes: &[StoredVolume]) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("INSERT INTO volumes (name, record) VALUES (?1, ?2)")?;
    volumes.iter().try_for_each(|volume| statement.execute(params![volume.name, volume.record]).map(drop))
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests;

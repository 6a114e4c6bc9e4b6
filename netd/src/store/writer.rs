//! The one thread that writes a file: changes that wait together are committed together. A deletion that fails is owed:
//! it is made with the next change that can be written, so that no record comes to stand beside one that was to be gone.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use crate::Error;

/// At most this many waiting writes become one transaction.
const GROUP: usize = 128;

/// What can be written to a file.
pub(super) trait Change: Send + 'static {
    /// Whether it takes a record away.
    fn deletes(&self) -> bool;

    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()>;
}

#[derive(Debug)]
struct Job<C> {
    changes: Vec<C>,
    reply: oneshot::Sender<Result<(), Error>>,
}

/// A handle on the thread; dropping it writes what is waiting and ends the thread.
#[derive(Debug)]
pub(super) struct Writer<C> {
    jobs: Option<mpsc::Sender<Job<C>>>,
    thread: Option<JoinHandle<()>>,
}

impl<C: Change> Writer<C> {
    pub(super) fn start(name: &str, connection: Connection, path: PathBuf) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel();
        let body = {
            let path = path.clone();
            move || run(connection, &path, &waiting)
        };
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .stack_size(256 * 1024)
            .spawn(body)
            .map_err(Error::file("start a thread to write", path))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues changes that are committed together, in the order of the calls.
    pub(super) fn write(&self, changes: Vec<C>) -> oneshot::Receiver<Result<(), Error>> {
        let (reply, committed) = oneshot::channel();
        if let Some(jobs) = &self.jobs {
            // A thread that is gone drops the job and with it `reply`: the receiver sees that.
            let _ = jobs.send(Job { changes, reply });
        }
        committed
    }
}

impl<C> Drop for Writer<C> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run<C: Change>(connection: Connection, path: &Path, waiting: &mpsc::Receiver<Job<C>>) {
    let mut file = File { connection, path, owed: Vec::new() };
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(GROUP - 1));
        file.commit(group);
    }
}

struct File<'p, C> {
    connection: Connection,
    path: &'p Path,
    /// Deletions that failed, in their order.
    owed: Vec<C>,
}

impl<C: Change> File<'_, C> {
    /// Commits a group; if that fails, each on its own, so that one bad change doesn't take its neighbours along.
    fn commit(&mut self, mut group: Vec<Job<C>>) {
        let result = self.transact(&group);
        if result.is_err() && group.len() > 1 {
            return group.into_iter().for_each(|job| self.commit(vec![job]));
        }
        match &result {
            Ok(()) => self.owed.clear(),
            Err(_) => {
                let changes = group.iter_mut().flat_map(|job| job.changes.drain(..));
                self.owed.extend(changes.filter(Change::deletes));
            }
        }
        let result = result.map_err(Arc::new);
        for job in group {
            let answer = result.clone().map_err(|source| Error::WriteStore { path: self.path.to_owned(), source });
            // Nobody has to wait for a commit.
            let _ = job.reply.send(answer);
        }
    }

    fn transact(&mut self, group: &[Job<C>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for change in self.owed.iter().chain(group.iter().flat_map(|job| &job.changes)) {
            change.write(&transaction)?;
        }
        transaction.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a table that holds at most one row is told.
    #[derive(Debug)]
    enum Row {
        Put(i64),
        Delete(i64),
    }

    impl Change for Row {
        fn deletes(&self) -> bool {
            matches!(self, Self::Delete(_))
        }

        fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
            match self {
                Self::Put(id) => transaction.execute("INSERT INTO row (id) VALUES (?1)", [id]).map(drop),
                Self::Delete(id) => transaction.execute("DELETE FROM row WHERE id = ?1", [id]).map(drop),
            }
        }
    }

    #[test]
    fn a_deletion_that_failed_is_made_with_the_next_change() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("rows.db");
        let connection = Connection::open(&path).expect("a file");
        connection
            .execute_batch(
                "CREATE TABLE row (id INTEGER PRIMARY KEY);
                 CREATE TABLE full (yes INTEGER);
                 CREATE TRIGGER refuse BEFORE DELETE ON row WHEN EXISTS (SELECT * FROM full)
                 BEGIN SELECT RAISE(ABORT, 'full'); END",
            )
            .expect("tables");
        let other = Connection::open(&path).expect("the same file");
        let writer = Writer::start("rows", connection, path).expect("a thread");
        let write = |row| writer.write(vec![row]).blocking_recv().expect("an answer");
        write(Row::Put(1)).expect("room");
        other.execute("INSERT INTO full VALUES (1)", ()).expect("full");
        write(Row::Delete(1)).expect_err("full");
        write(Row::Put(2)).expect_err("what is owed goes first");
        other.execute("DELETE FROM full", ()).expect("room");
        write(Row::Put(3)).expect("room");
        let rows: Vec<i64> = other
            .prepare("SELECT id FROM row")
            .and_then(|mut select| select.query_map((), |row| row.get(0))?.collect())
            .expect("rows");
        assert_eq!(rows, [3]);
    }
}

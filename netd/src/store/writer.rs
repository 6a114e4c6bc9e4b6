//! The one thread that writes a file: changes that wait together are committed together.

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

fn run<C: Change>(mut connection: Connection, path: &Path, waiting: &mpsc::Receiver<Job<C>>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(GROUP - 1));
        commit(&mut connection, path, group);
    }
}

/// Commits a group; if that fails, each on its own, so that one bad change doesn't take its neighbours along.
fn commit<C: Change>(connection: &mut Connection, path: &Path, group: Vec<Job<C>>) {
    let alone = group.len() == 1;
    match transact(connection, group.iter().flat_map(|job| &job.changes)) {
        Err(_) if !alone => group.into_iter().for_each(|job| commit(connection, path, vec![job])),
        result => {
            let result = result.map_err(Arc::new);
            for job in group {
                let answer = result.clone().map_err(|source| Error::WriteStore { path: path.to_owned(), source });
                // Nobody has to wait for a commit.
                let _ = job.reply.send(answer);
            }
        }
    }
}

fn transact<'a, C: Change>(connection: &mut Connection, changes: impl Iterator<Item = &'a C>) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for change in changes {
        change.write(&transaction)?;
    }
    transaction.commit()
}

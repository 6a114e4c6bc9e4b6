//! The handle on a container: read its latest state, wait for changes, or hand work to its task.

use std::sync::Arc;

use futures::future::BoxFuture;
use runtime::protocol::Streams;
use runtime::spec::Id;
use tokio::net::UnixStream;
use tokio::sync::{RwLock, mpsc, oneshot, watch};

use super::owned::Owned;
use super::{Container, Phase};
use crate::error::{Error, Result};

/// Work for a container's task.
pub(crate) type Job = Box<dyn for<'a> FnOnce(&'a mut Owned) -> BoxFuture<'a, ()> + Send>;

/// A cheap handle on one container.
#[derive(Debug, Clone)]
pub struct Handle {
    id: Id,
    snapshot: watch::Receiver<Arc<Container>>,
    jobs: mpsc::Sender<Job>,
    known: watch::Receiver<bool>,
    rootfs: RootfsLock,
}

/// Who may mount a container's root file system: it must not be mounted twice over what it writes to. A start holds it alone
/// until the container runs, and so does whoever mounts that of a container that doesn't run; those who look at a running
/// container's hold it together.
pub(crate) type RootfsLock = Arc<RwLock<()>>;

/// A connection to a container's streams: there already, or to come when it starts.
#[derive(Debug)]
pub enum Attached {
    /// It runs.
    Now(UnixStream),
    /// It will be connected before its first process runs; the sender is dropped if the start fails or it is removed.
    AtStart(oneshot::Receiver<UnixStream>),
}

impl Handle {
    pub(crate) fn new(
        id: Id,
        snapshot: watch::Receiver<Arc<Container>>,
        jobs: mpsc::Sender<Job>,
        known: watch::Receiver<bool>,
        rootfs: RootfsLock,
    ) -> Self {
        Self { id, snapshot, jobs, known, rootfs }
    }

    pub(crate) fn rootfs_lock(&self) -> RootfsLock {
        self.rootfs.clone()
    }

    /// The container's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// The container as it is.
    pub fn container(&self) -> Arc<Container> {
        self.snapshot.borrow().clone()
    }

    /// Waits until the container is as the kernel has it: one that a former berthd left has to be looked at first.
    pub(crate) async fn known(&self) {
        // An error means that its task is gone, and the container with it.
        let _ = self.known.clone().wait_for(|known| *known).await;
    }

    /// The container as it becomes; the stream of snapshots ends after [`super::Phase::Removed`].
    pub fn changes(&self) -> watch::Receiver<Arc<Container>> {
        self.snapshot.clone()
    }

    /// Has the container's task do something, after all that was asked for before. It is done to its end even if the
    /// caller goes away.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Owned) -> BoxFuture<'a, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |owned| {
            Box::pin(async move {
                // Nobody may be waiting any more.
                let _ = reply.send(work(owned).await);
            })
        });
        let gone = || Error::not_found(format!("No such container: {}", self.id));
        self.jobs.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The same with what the work needs beside the container.
    pub(crate) async fn run_with<P: Clone + Send + Sync + 'static, T: Send + 'static>(
        &self,
        part: &P,
        work: impl for<'a> FnOnce(&'a P, &'a mut Owned) -> BoxFuture<'a, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let part = part.clone();
        self.run(move |owned| Box::pin(async move { work(&part, owned).await })).await
    }

    /// Connects to the streams of the first process, or asks to be connected when it starts. Answers also how many runs had
    /// ended by then.
    pub async fn attach(&self, streams: Streams) -> Result<(Attached, u64)> {
        self.run(move |owned| {
            Box::pin(async move {
                let attached = owned.attach(streams).await?;
                Ok((attached, owned.container.state.exits))
            })
        })
        .await
    }

    /// Waits until the end of a run is recorded, before which so many had ended.
    pub(crate) async fn end_recorded(&self, exits: u64) {
        // An error means that the task is gone, and the container with it.
        let _ = self.changes().wait_for(|now| now.state.exits > exits || now.state.phase == Phase::Removed).await;
    }

    /// Waits until the task has done what it is doing now.
    pub(crate) async fn at_rest(&self) {
        // An error means that the container is gone.
        let _ = self.run(|_| Box::pin(std::future::ready(Ok(())))).await;
    }
}

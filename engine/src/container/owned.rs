//! The task that owns a container: one verb at a time, and the end of its process whenever that comes.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as BlockingStream;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use runtime::protocol::Streams;
use runtime::{Exit, Target, Watch};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::handle::{Attached, Job, RootfsLock};
use super::restart::BackOff;
use super::{Container, Handle, Phase, to_record};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate;

/// How many requests may wait for one container before further ones wait to be accepted.
const QUEUE: usize = 32;

/// A container in the hands of its owner.
pub struct Owned {
    pub(crate) engine: Engine,
    pub(crate) container: Container,
    published: watch::Sender<Arc<Container>>,
    exit: Option<ExitFuture>,
    /// When the container's restart policy starts it, if it does.
    pub(crate) restart: Option<BoxFuture<'static, ()>>,
    /// How long the next wait for that is.
    pub(crate) back_off: BackOff,
    /// Runs its health checks, while it runs.
    pub(crate) health: Option<AbortOnDropHandle<()>>,
    /// Clients to be connected at the next start.
    pub(crate) waiting: Vec<PendingAttach>,
    pub(crate) rootfs: RootfsLock,
}

/// A client that attached before the container runs.
pub(crate) struct PendingAttach {
    pub(crate) streams: Streams,
    pub(crate) reply: oneshot::Sender<UnixStream>,
}

/// The end of a process, whenever it comes.
pub(crate) type ExitFuture = BoxFuture<'static, Result<Exit>>;

/// Gives a new container to a task of its own.
pub(crate) fn spawn(engine: Engine, container: Container) -> Handle {
    let (owned, handle, queue, known) = owned(engine, container);
    known.send_replace(true);
    tokio::spawn(owned.live(queue));
    handle
}

/// Gives a container that a former berthd left to a task of its own, which takes it up before all else.
pub(crate) fn spawn_left<F>(engine: Engine, container: Container, take_up: F) -> Handle
where
    F: for<'a> FnOnce(&'a mut Owned) -> BoxFuture<'a, ()> + Send + 'static,
{
    let (mut owned, handle, queue, known) = owned(engine, container);
    tokio::spawn(async move {
        take_up(&mut owned).await;
        known.send_replace(true);
        owned.live(queue).await;
    });
    handle
}

fn owned(engine: Engine, container: Container) -> (Owned, Handle, mpsc::Receiver<Job>, watch::Sender<bool>) {
    let id = container.id.clone();
    let (published, snapshot) = watch::channel(Arc::new(container.clone()));
    let (jobs, queue) = mpsc::channel(QUEUE);
    let (known, is_known) = watch::channel(false);
    let rootfs = RootfsLock::default();
    let owned = Owned {
        engine,
        container,
        published,
        exit: None,
        restart: None,
        back_off: BackOff::default(),
        health: None,
        waiting: Vec::new(),
        rootfs: rootfs.clone(),
    };
    (owned, Handle::new(id, snapshot, jobs, is_known, rootfs), queue, known)
}

impl Owned {
    async fn live(mut self, mut queue: mpsc::Receiver<Job>) {
        while self.container.state.phase != Phase::Removed {
            tokio::select! {
                // An end that came first is dealt with first: what is queued then sees the container as it is.
                biased;
                exit = next_exit(&mut self.exit) => {
                    self.exit = None;
                    orchestrate::exit::ended(&mut self, exit).await;
                }
                () = due(&mut self.restart) => {
                    self.restart = None;
                    orchestrate::restart::again(&mut self).await;
                }
                job = queue.recv() => match job {
                    Some(job) => job(&mut self).await,
                    None => return,
                },
            }
        }
    }

    /// Stores the container as it is now and shows it to everybody.
    pub(crate) async fn save(&mut self) -> Result<()> {
        // Shown even if storing fails: what the kernel runs is the truth, and recovery reads it from there.
        self.publish();
        self.engine.store.put_container(to_record(&self.container)).await?;
        Ok(())
    }

    /// Shows the container as it is now to everybody.
    pub(crate) fn publish(&mut self) {
        self.published.send_replace(Arc::new(self.container.clone()));
    }

    /// Waits for that end of its process besides what is asked for; one that lies in the past is dealt with at once.
    pub(crate) async fn take_up(&mut self, exit: Option<ExitFuture>) {
        self.exit = exit;
        if let Some(ended) = self.exit.as_mut().and_then(|exit| exit.now_or_never()) {
            self.exit = None;
            orchestrate::exit::ended(self, ended).await;
        }
    }

    /// Waits for the end of the process that runs now, besides what is asked for.
    pub(crate) fn watch(&mut self, watch: Watch) -> Result<()> {
        self.exit = Some(exit_of(watch)?);
        Ok(())
    }

    /// Waits for the end of the process here and now, because the verb under way can't go on before it.
    pub(crate) async fn wait_for_exit(&mut self) {
        if self.exit.is_some() {
            let exit = next_exit(&mut self.exit).await;
            self.exit = None;
            orchestrate::exit::settle(self, exit).await;
        }
    }

    pub(crate) async fn attach(&mut self, streams: Streams) -> Result<Attached> {
        if !self.container.state.phase.is_alive() {
            let (reply, stream) = oneshot::channel();
            self.waiting.retain(|pending| !pending.reply.is_closed());
            self.waiting.push(PendingAttach { streams, reply });
            return Ok(Attached::AtStart(stream));
        }
        let id = self.container.id.clone();
        let stream =
            self.engine.blocking(move |engine| Ok(engine.runtime.attach(Target::Container(&id), streams)?)).await?;
        Ok(Attached::Now(to_async(stream)?))
    }
}

/// A stream of the runtime's for tokio.
pub(crate) fn to_async(stream: BlockingStream) -> Result<UnixStream> {
    let doing = || Error::io("taking over a stream of a container");
    stream.set_nonblocking(true).map_err(doing())?;
    UnixStream::from_std(stream).map_err(doing())
}

async fn next_exit(exit: &mut Option<ExitFuture>) -> Result<Exit> {
    match exit {
        Some(exit) => exit.await,
        None => std::future::pending().await,
    }
}

async fn due(restart: &mut Option<BoxFuture<'static, ()>>) {
    match restart {
        Some(due) => due.await,
        None => std::future::pending().await,
    }
}

/// The end of the process behind a watch, without a thread of its own.
pub(crate) fn exit_of(watch: Watch) -> Result<ExitFuture> {
    let readable = readable(watch.as_fd())?;
    Ok(Box::pin(async move {
        readable.await?;
        Ok(watch.wait()?)
    }))
}

/// Waits until a socket of the runtime's, which blocks, can be read from without waiting.
pub(crate) fn readable(socket: BorrowedFd<'_>) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
    let doing = || Error::io("watching a container's process");
    // The duplicate is only waited on. Both share their blocking mode, so that it is set back afterwards.
    let descriptor = socket.try_clone_to_owned().map_err(doing())?;
    let stream = to_async(BlockingStream::from(descriptor))?;
    Ok(async move {
        stream.readable().await.map_err(doing())?;
        let stream = stream.into_std().map_err(doing())?;
        stream.set_nonblocking(false).map_err(doing())
    })
}

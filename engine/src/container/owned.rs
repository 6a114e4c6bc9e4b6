//! A container in the hands of the task that owns it, as a verb gets it: with what belongs to its run, and with ways to store
//! and to show what becomes of it.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as BlockingStream;
use std::sync::Arc;

use futures::future::{BoxFuture, Shared};
use runtime::protocol::Streams;
use runtime::{Exit, Target, Watch};
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::handle::{Attached, RootfsLock};
use super::restart::BackOff;
use super::{Container, Containers, to_record};
use crate::blocking::Blocking as _;
use crate::error::{Error, Result};

/// A container in the hands of its task.
pub struct Owned {
    /// All containers, this one among them.
    pub(crate) containers: Arc<Containers>,
    pub(crate) container: Container,
    published: watch::Sender<Arc<Container>>,
    /// The end of its process, while it runs.
    pub(crate) exit: Option<ExitFuture>,
    /// When the container's restart policy starts it, if it does.
    pub(crate) restart: Option<BoxFuture<'static, ()>>,
    /// This berthd has found it at rest, or over a `restart`, and lets it run once everything is sorted out.
    pub(crate) is_resumed: bool,
    /// How long the next wait for its restart policy is.
    pub(crate) back_off: BackOff,
    /// What netd was asked for and hasn't answered when that was given up; ends when it has, or won't begin it.
    pub(crate) unheard: Option<Shared<BoxFuture<'static, ()>>>,
    /// A task has netd told of it later, see `orchestrate::change`.
    pub(crate) is_told_later: bool,
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

impl Owned {
    /// What is published from here on goes to `published`.
    pub(crate) fn new(
        containers: Arc<Containers>,
        container: Container,
        published: watch::Sender<Arc<Container>>,
        rootfs: RootfsLock,
    ) -> Self {
        Self {
            containers,
            container,
            published,
            exit: None,
            restart: None,
            is_resumed: false,
            back_off: BackOff::default(),
            unheard: None,
            is_told_later: false,
            health: None,
            waiting: Vec::new(),
            rootfs,
        }
    }

    /// Stores the container as it is now and shows it to everybody.
    pub(crate) async fn save(&mut self) -> Result<()> {
        // Shown even if storing fails: what the kernel runs is the truth, and recovery reads it from there.
        self.publish();
        self.containers.store.put_container(to_record(&self.container)).await?;
        Ok(())
    }

    /// Shows the container as it is now to everybody.
    pub(crate) fn publish(&mut self) {
        self.published.send_replace(Arc::new(self.container.clone()));
    }

    /// Waits for the end of the process that runs now, besides what is asked for.
    pub(crate) fn watch(&mut self, watch: Watch) -> Result<()> {
        self.exit = Some(exit_of(watch)?);
        Ok(())
    }

    pub(crate) async fn attach(&mut self, streams: Streams) -> Result<Attached> {
        if !self.container.state.phase.is_alive() {
            let (reply, stream) = oneshot::channel();
            self.waiting.retain(|pending| !pending.reply.is_closed());
            self.waiting.push(PendingAttach { streams, reply });
            return Ok(Attached::AtStart(stream));
        }
        let id = self.container.id.clone();
        let attach =
            move |containers: &Arc<Containers>| Ok(containers.runtime.attach(Target::Container(&id), streams)?);
        let stream = self.containers.blocking(attach).await?;
        Ok(Attached::Now(to_async(stream)?))
    }
}

/// A stream of the runtime's for tokio.
pub(crate) fn to_async(stream: BlockingStream) -> Result<UnixStream> {
    let doing = || Error::io("taking over a stream of a container");
    stream.set_nonblocking(true).map_err(doing())?;
    UnixStream::from_std(stream).map_err(doing())
}

/// The end of a process that is waited for; comes never without one.
pub(crate) async fn next_exit(exit: &mut Option<ExitFuture>) -> Result<Exit> {
    match exit {
        Some(exit) => exit.await,
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

//! The task that owns a container: it runs what is asked for one verb at a time, and deals with the end of its process whenever
//! that comes.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::container::handle::{Job, RootfsLock};
use crate::container::owned::{Owned, next_exit};
use crate::container::{Container, Handle, Phase, from_record};
use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::orchestrate::recover::{self, Loaded, Sandboxes};
use crate::orchestrate::{exit, restart, volume};

/// How many requests may wait for one container before further ones wait to be accepted.
const QUEUE: usize = 32;

/// How many containers that a former berthd left are taken up side by side: each is a handful of files.
const AT_A_TIME: usize = 8;

/// Gives a new container to a task of its own, and makes it known.
pub(crate) fn begin(engine: &Engine, container: Container) {
    let (task, handle) = Task::new(engine, container);
    task.known.send_replace(true);
    tokio::spawn(task.live());
    engine.containers.registry.insert(handle.clone());
    engine.containers.tell(&handle.container(), "create", []);
}

/// Gives every stored container to a task of its own, which takes it up before all else, once [`crate::recover`] says what
/// netd has. One that can't be read is set aside. To be called before the API is served, which then waits for what each
/// request is about.
pub async fn load(engine: &Engine) -> Result<Loaded> {
    volume::load(&engine.volumes).await?;
    let registry = &engine.containers.registry;
    let (sandboxes, told) = watch::channel::<Option<Sandboxes>>(None);
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut containers = Vec::new();
    for stored in engine.containers.store.containers().await? {
        let container = match from_record(&stored) {
            Ok(container) => container,
            Err(error) => {
                registry.set_aside(&stored.id, &stored.name, chain(&error));
                continue;
            }
        };
        registry.take_name(&stored.name, &container.id)?;
        let (task, handle) = Task::new(engine, container);
        tokio::spawn(task.live_on(told.clone(), turns.clone()));
        registry.insert(handle.clone());
        containers.push(handle);
    }
    Ok(Loaded { containers, sandboxes })
}

/// What a container's task has.
struct Task {
    engine: Engine,
    owned: Owned,
    queue: mpsc::Receiver<Job>,
    /// Whether the container is as the kernel has it.
    known: watch::Sender<bool>,
}

impl Task {
    fn new(engine: &Engine, container: Container) -> (Self, Handle) {
        let id = container.id.clone();
        let (published, snapshot) = watch::channel(Arc::new(container.clone()));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (known, is_known) = watch::channel(false);
        let rootfs = RootfsLock::default();
        let owned = Owned::new(engine.containers.clone(), container, published, rootfs.clone());
        (Self { engine: engine.clone(), owned, queue, known }, Handle::new(id, snapshot, jobs, is_known, rootfs))
    }

    async fn live(mut self) {
        let Self { engine, owned, queue, .. } = &mut self;
        while owned.container.state.phase != Phase::Removed {
            tokio::select! {
                // An end that came first is dealt with first: what is queued then sees the container as it is.
                biased;
                exit = next_exit(&mut owned.exit) => {
                    owned.exit = None;
                    exit::ended(engine, owned, exit).await;
                }
                () = due(&mut owned.restart) => {
                    owned.restart = None;
                    restart::again(engine, owned).await;
                }
                job = queue.recv() => match job {
                    Some(job) => job(owned).await,
                    None => return,
                },
            }
        }
    }

    /// The same of a container that a former berthd left.
    async fn live_on(mut self, mut told: watch::Receiver<Option<Sandboxes>>, turns: Arc<Semaphore>) {
        // They fail only when this berthd ends.
        if let Ok(Some(sandboxes)) = told.wait_for(Option::is_some).await.map(|told| told.clone())
            && let Ok(_turn) = turns.acquire().await
        {
            recover::take_up(&self.engine, &mut self.owned, &sandboxes).await;
        }
        self.known.send_replace(true);
        self.live().await;
    }
}

async fn due(restart: &mut Option<BoxFuture<'static, ()>>) {
    match restart {
        Some(due) => due.await,
        None => std::future::pending().await,
    }
}

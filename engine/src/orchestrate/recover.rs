//! Recovery after the last berthd ended, however it ended: every container is as the kernel has it, what ended
//! meanwhile has its exit code, and what belongs to nothing is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use cnm::api::{NamespaceRequest, Sandbox};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all, ready};
use images::Discarded;
use jiff::Timestamp;
use runtime::spec::Id;
use runtime::{Exit, Status, Target};
use tokio::sync::watch;

use crate::blocking::Blocking as _;
use crate::container::network::NetworkMode;
use crate::container::owned::{ExitFuture, Owned, exit_of};
use crate::container::{Container, Handle, Phase};
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::file_deletion::remove_tree;
use crate::netd::{self, Netd};
use crate::orchestrate::follow::{Lacking, claim, claim_what_is_owed, follow_netd};
use crate::orchestrate::{change, exit, health, refresh, remove, restart, sandbox, signal, volume};

/// A container of an earlier boot has no exit code; Docker says this.
const LOST_WITH_THE_BOOT: u8 = 255;

/// What the last berthd has recorded, known and to be taken up.
#[derive(Debug)]
pub struct Loaded {
    pub(crate) containers: Vec<Handle>,
    /// Tells the task of each what netd has.
    pub(crate) sandboxes: watch::Sender<Option<Sandboxes>>,
}

/// What netd has, by name.
pub(crate) type Sandboxes = Arc<BTreeMap<String, Sandbox>>;

/// Takes up where the last berthd ended: netd answers, containers are known and watched, leftovers are swept.
pub async fn recover(engine: &Engine, loaded: Loaded) -> Result<()> {
    let Loaded { containers, sandboxes } = loaded;
    let ask = async |handshake| Ok((handshake, engine.netd.client().sandboxes().await?));
    let (handshake, known) = engine.netd.patiently(ask).await?;
    Netd::compare(&handshake);
    sandboxes.send_replace(Some(Arc::new(known.into_iter().map(|sandbox| (sandbox.id.clone(), sandbox)).collect())));
    // Ends that came meanwhile are dealt with by then: what isn't claimed is nobody's.
    join_all(containers.iter().map(Handle::known)).await;
    match claim(engine).await {
        Ok(Lacking::Nothing) => {}
        Err(error) if !netd::is_passing(&error) => return Err(error),
        // The next one is told as soon as it answers.
        Ok(Lacking::Namespaces) | Err(_) => engine.netd.owe_claim(),
    }
    join_all(containers.iter().filter(|handle| change::is_owed(&handle.container())).map(async |handle| {
        let told = handle.run_with(&engine.netd, |netd, owned| Box::pin(change::tell(netd, owned).map(Ok)));
        // One that is gone has nothing to be told.
        let _: Result<()> = told.await;
    }))
    .await;
    sweep(engine).await?;
    volume::sweep(&engine.volumes).await?;
    join_all(containers.iter().map(async |handle| {
        restart::resume(engine, handle).await;
        health::resume(handle).await;
    }))
    .await;
    engine.recovered.send_replace(true);
    tokio::spawn(claim_what_is_owed(engine.clone()));
    tokio::spawn(follow_netd(engine.clone(), handshake.instance, handshake.revision));
    Ok(())
}

/// Brings a stored container in line with what the runtime knows, and finishes what was under way with it.
pub(crate) async fn take_up(engine: &Engine, owned: &mut Owned, sandboxes: &BTreeMap<String, Sandbox>) {
    let run = match reconcile(engine, &mut owned.container).await {
        Ok(run) => run,
        // One container that can't be understood must not keep the others from being taken up: it is ended, and says why.
        Err(error) => {
            tracing::error!(container = %owned.container.id, "recovering a container: {}", chain(&error));
            match owned.container.state.phase.is_alive() {
                true => Run::Ends(at_once(exit::killed(&error.message()))),
                false => Run::Over,
            }
        }
    };
    if owned.container.state.phase.is_alive()
        && let Some(now) = sandboxes.get(owned.container.id.as_str()).cloned()
        && let Err(error) = refresh::take_up(&engine.netd, owned, now).await
    {
        tracing::error!(container = %owned.container.id, "taking over what others changed: {}", chain(&error));
    }
    // From here on it is known.
    owned.container.last_published = None;
    if let Err(error) = volume::know(&engine.volumes, &owned.container, !matches!(run, Run::Over)).await {
        tracing::error!(container = %owned.container.id, "recovering a container's volumes: {}", chain(&error));
    }
    owned.publish();
    match run {
        Run::Over => {}
        Run::Ended => {
            if let Err(error) = exit::finish(engine, &owned.container).await {
                tracing::error!(container = %owned.container.id, "giving back what a run held: {}", chain(&error));
            }
        }
        Run::Ends(exit) => owned.exit = Some(exit),
    }
    // An end that lies in the past is dealt with at once.
    if let Some(ended) = owned.exit.as_mut().and_then(|exit| exit.now_or_never()) {
        owned.exit = None;
        exit::ended(engine, owned, ended).await;
    }
    finish_removal(engine, owned).await;
    // Decided before anybody can ask for anything: whoever stops it from here on means it.
    owned.is_resumed = restart::is_resumed(owned);
}

/// What there is of a container's last run.
enum Run {
    Over,
    /// Its end is recorded, but what it held may not be given back.
    Ended,
    /// Its end is still to come, or to be dealt with.
    Ends(ExitFuture),
}

async fn reconcile(engine: &Engine, container: &mut Container) -> Result<Run> {
    let id = container.id.clone();
    let status = engine.blocking(move |engine| status(engine, &id)).await?;
    correct(engine, container, status).await
}

/// What the runtime knows; a monitor that died takes its container along.
fn status(engine: &Engine, id: &Id) -> Result<Status> {
    let target = Target::Container(id);
    let known = match engine.containers.runtime.status(target) {
        Ok(Status::Orphaned) => engine.containers.runtime.recover(target),
        known => known,
    };
    match known {
        // Its shim was spawned by a berthd that is gone, and undoes what it did; or a berthd died while the runtime
        // cleared up after it.
        Ok(Status::Creating) | Err(runtime::Error::NotFound { .. }) => {
            engine.containers.runtime.delete(target)?;
            Ok(Status::Gone)
        }
        known => Ok(known?),
    }
}

/// Brings the record's phase in line with the runtime.
async fn correct(engine: &Engine, container: &mut Container, status: Status) -> Result<Run> {
    let removing = container.state.phase == Phase::Removing;
    match status {
        Status::Exited(_) if removing => Ok(Run::Ended),
        _ if removing => Ok(Run::Over),
        Status::Running(started) | Status::Paused(started) => {
            let mut frozen = matches!(status, Status::Paused(_));
            if frozen && std::mem::take(&mut container.state.pause_is_passing) {
                let id = container.id.clone();
                engine.blocking(move |engine| Ok(engine.containers.runtime.resume(&id)?)).await?;
                frozen = false;
            }
            if !container.state.phase.is_alive() {
                // Killed between the start and its record.
                container.state.started(started.pid, started.at);
            }
            container.state.phase = match frozen {
                true => Phase::Paused { pid: started.pid },
                false => Phase::Running { pid: started.pid },
            };
            let id = container.id.clone();
            let watch =
                engine.blocking(move |engine| Ok(engine.containers.runtime.watch(Target::Container(&id))?)).await?;
            Ok(Run::Ends(exit_of(watch)?))
        }
        Status::Exited(exit) if container.state.finished_at == Some(exit.at) => Ok(Run::Ended),
        Status::Exited(exit) => Ok(Run::Ends(at_once(exit))),
        Status::Gone | Status::Creating | Status::Orphaned if container.state.phase.is_alive() => {
            Ok(Run::Ends(at_once(lost_with_the_boot())))
        }
        Status::Gone | Status::Creating | Status::Orphaned => Ok(Run::Over),
    }
}

/// The end of a process that nobody saw.
fn lost_with_the_boot() -> Exit {
    Exit { code: LOST_WITH_THE_BOOT, signal: None, oom_killed: false, at: Timestamp::now(), error: None }
}

/// An end that lies in the past: the container counts as running until its task has dealt with it.
fn at_once(exit: Exit) -> ExitFuture {
    let exit: BoxFuture<'static, Result<Exit>> = Box::pin(ready(Ok(exit)));
    exit
}

/// Finishes what was under way: removals, and `--rm` of containers whose end was recorded but not their removal, or that
/// were only about to run. A container that can't be removed now stays marked, and keeps nobody else waiting; one whose
/// process hasn't ended yet goes when it has.
async fn finish_removal(engine: &Engine, owned: &mut Owned) {
    let container = &owned.container;
    let state = &container.state;
    let over = state.phase == Phase::Exited || state.start_was_cut_short();
    let left_over = state.phase == Phase::Removing || (over && (container.spec.auto_remove || state.removal_asked));
    let finished = match state.removal_asked && state.phase.is_alive() {
        true => signal::deliver(owned, crate::signal::KILL, true).await,
        false if left_over => remove::erase(engine, owned, remove::AnonymousVolumes::of(container)).await,
        false => Ok(()),
    };
    if let Err(error) = finished {
        tracing::error!(container = %owned.container.id, "finishing a removal: {}", chain(&error));
    }
}

/// Has netd make the sandbox of a running container again; of one that is to have none nothing is asked.
pub(super) async fn make_again(netd: &Netd, owned: &mut Owned) -> Result<()> {
    let Some(pid) = owned.container.state.phase.pid().filter(|_| owned.container.has_sandbox()) else { return Ok(()) };
    let namespace = match owned.container.spec.network.mode {
        NetworkMode::Host => NamespaceRequest::Host,
        _ => NamespaceRequest::Path(sandbox::of_process(pid)),
    };
    let request = sandbox::request(&owned.container, netd.owner(), namespace);
    let made = netd.client().put_sandbox(owned.container.id.as_str(), &request).await?;
    owned.container.sandbox = Some(made);
    owned.publish();
    Ok(())
}

/// Removes what belongs to no container: half of a create, or of a removal, or of what a power cut made us forget.
async fn sweep(engine: &Engine) -> Result<()> {
    let containers = engine.containers.registry.all();
    let unread = engine.containers.registry.all_set_aside().into_iter().map(|(id, _)| id);
    let known = containers.iter().map(|handle| handle.id().to_string()).chain(unread);
    let known: BTreeSet<String> = known.chain(engine.containers.being_deleted()).collect();
    engine
        .blocking(move |engine| {
            let runtime = &engine.containers.runtime;
            for id in runtime.list()?.iter().filter(|id| !known.contains(id.as_str())) {
                or_stays(runtime.delete(Target::Container(id)).map_err(Error::from));
            }
            for id in engine.images.store.snapshots()?.iter().filter(|id| !known.contains(*id)) {
                let removed = engine.images.store.remove_snapshot(id).and_then(Discarded::delete);
                or_stays(removed.map_err(Error::from));
            }
            sweep_directory(engine.containers.root(), &known)
        })
        .await
}

/// What can't be deleted is in nobody's way: a container may have made its files immutable, or a cgroup be in use by others.
fn or_stays(swept: Result<()>) {
    if let Err(error) = swept {
        tracing::error!("what belongs to no container stays: {}", chain(&error));
    }
}

fn sweep_directory(directory: &Path, known: &BTreeSet<String>) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    let doing = || Error::io(format!("reading {}", directory.display()));
    for entry in std::fs::read_dir(directory).map_err(doing())? {
        let entry = entry.map_err(doing())?;
        if entry.file_name().to_str().is_none_or(|name| !known.contains(name)) {
            tracing::info!(path = %entry.path().display(), "removing what belongs to no container");
            or_stays(remove_tree(&entry.path()));
        }
    }
    Ok(())
}

//! `start`: the shim mounts the root file system while netd makes the network; then the process is let run.

use std::path::PathBuf;

use cnm::api::Sandbox;
use runtime::spec::{Network, PidNamespace};
use runtime::{Runtime, Started, Starting, Target, Watch};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::blocking::Blocking as _;
use crate::container::mount::VolumeSources;
use crate::container::network::NetworkMode;
use crate::container::owned::{Owned, PendingAttach, to_async};
use crate::container::registry::Registry;
use crate::container::restart::BackOff;
use crate::container::runtime_spec::{self, HostPaths};
use crate::container::state::Outcome;
use crate::container::{Container, Containers, Phase, to_record};
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::orchestrate::{change, files, health, links, owed, remove, sandbox, volume};

/// Starts the container. If it can't run, nothing of the attempt is left but the reason.
pub(crate) async fn start(engine: &Engine, owned: &mut Owned) -> Result<Outcome> {
    if owned.container.state.may_start()? == Outcome::AlreadySo {
        return Ok(Outcome::AlreadySo);
    }
    owned.container.state.restart_count = 0;
    owned.container.state.stopped_by_user = false;
    // A restart that berthd takes up again may be about to start it, too.
    owned.restart = None;
    owned.back_off = BackOff::default();
    attempt(engine, owned).await.map(|()| Outcome::Done)
}

/// The same for whoever knows that the container is to be started, which may not be the user.
pub(super) async fn attempt(engine: &Engine, owned: &mut Owned) -> Result<()> {
    let ran = run(engine, owned).await;
    volume::unbind_subpaths(&engine.volumes, &owned.container).await;
    if let Err(error) = &ran {
        failed(engine, owned, error).await;
    }
    ran
}

#[tracing::instrument(name = "start", level = "debug", skip_all, fields(container = owned.container.short_id()))]
async fn run(engine: &Engine, owned: &mut Owned) -> Result<()> {
    change::hear_out(owned).await;
    owed::pay(&engine.netd, &owned.container.id).await.map_err(sandbox::networking)?;
    check_joined(&engine.containers.registry, &owned.container)?;
    links::check(&engine.containers.registry, &owned.container)?;
    if owned.container.spec.auto_remove {
        owned.container.state.start_begun = true;
        engine.containers.store.put_container(to_record(&owned.container)).await?;
    }
    let container = owned.container.clone();
    // Until it counts as running, or hasn't got that far. Whoever copies files out of it now is waited for.
    let _rootfs = owned.rootfs.clone().write_owned().await;
    let volumes = volume::mount_all(engine, &container).await?;
    let _sandbox = engine.netd.make(container.id.as_str());
    let begin = engine.blocking(move |engine| begin(engine, &container, volumes));
    let (starting, made) = tokio::join!(begin, sandbox::put(&engine.netd, &owned.container));
    let (starting, made) = match (starting, made) {
        (Ok(starting), Ok(made)) => (starting, made),
        (starting, made) => return Err(give_up(engine, starting, made).await),
    };
    let released = release(engine, owned, starting, made.as_ref()).await?;
    owned.watch(released.watch)?;
    for (reply, stream) in released.attached {
        // A client that went away meanwhile misses nothing.
        let _ = reply.send(stream);
    }
    owned.container.state.started(released.started.pid, released.started.at);
    owned.container.sandbox = made;
    health::start(owned);
    owned.save().await?;
    engine.containers.tell(&owned.container, "start", []);
    links::tell(&engine.netd, &engine.containers, &owned.container).await;
    Ok(())
}

/// The containers whose namespaces this one joins must run.
fn check_joined(containers: &Registry, container: &Container) -> Result<()> {
    let spec = &container.spec;
    let joined = [
        (
            "network",
            match &spec.network.mode {
                NetworkMode::Container(id) => Some(id),
                _ => None,
            },
        ),
        (
            "PID",
            match &spec.namespaces.pid {
                PidNamespace::Container(id) => Some(id),
                _ => None,
            },
        ),
        (
            "IPC",
            match &spec.namespaces.ipc {
                runtime::spec::IpcNamespace::Container(id) => Some(id),
                _ => None,
            },
        ),
    ];
    for (what, id) in joined.into_iter().filter_map(|(what, id)| Some((what, id?))) {
        let other = containers.find(id.as_str())?.container();
        if !matches!(other.state.phase, Phase::Running { .. }) {
            return Err(Error::conflict(format!("cannot join {what} namespace of a non running container: {id}")));
        }
        if what == "IPC" && !other.shares_ipc() {
            return Err(Error::invalid(format!(
                "container {id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
            )));
        }
    }
    Ok(())
}

#[tracing::instrument(level = "debug", skip_all, fields(container = container.short_id()))]
pub(crate) fn begin(engine: &Engine, container: &Container, volumes: VolumeSources) -> Result<Starting> {
    files::before_start(&engine.containers, container)?;
    let rootfs = engine.images.store.rootfs(container.id.as_str())?;
    let etc = match &container.spec.network.mode {
        NetworkMode::Container(id) => etc_of(&engine.containers, id)?,
        _ => engine.containers.directory(&container.id),
    };
    let host_paths = host_paths(engine, container, etc, volumes);
    Ok(engine.containers.runtime.start(&runtime_spec::runtime_spec(container, rootfs, &host_paths))?)
}

/// Where things of the container are; `etc` is the directory whose files stand in for those of `/etc`.
pub(super) fn host_paths(engine: &Engine, container: &Container, etc: PathBuf, volumes: VolumeSources) -> HostPaths {
    HostPaths {
        etc,
        log: engine.containers.log_path(&container.id),
        volumes,
        cgroup_parent: engine.config.cgroup_parent.clone(),
    }
}

/// Whose files stand in for those of `/etc` when a network is shared, through any number of hands.
fn etc_of(containers: &Containers, id: &runtime::spec::Id) -> Result<PathBuf> {
    let other = containers.registry.find(id.as_str())?.container();
    match &other.spec.network.mode {
        NetworkMode::Container(next) if *next != other.id => etc_of(containers, next),
        _ => Ok(containers.directory(&other.id)),
    }
}

/// Undoes the half that worked and answers why the other didn't.
pub(crate) async fn give_up(engine: &Engine, starting: Result<Starting>, made: Result<Option<Sandbox>>) -> Error {
    match (starting, made) {
        (Ok(starting), Err(error)) => {
            if let Err(undo) = engine.blocking(move |_| Ok(starting.abort()?)).await {
                tracing::error!("undoing the start of a container: {}", chain(&undo));
            }
            error
        }
        // The sandbox goes with everything else of a failed start.
        (Err(error), _) => error,
        (Ok(_), Ok(_)) => Error::Interrupted { doing: "starting a container" },
    }
}

struct Released {
    started: Started,
    watch: Watch,
    attached: Vec<(oneshot::Sender<UnixStream>, UnixStream)>,
}

/// Lets the process run, with those connected who attached before.
#[tracing::instrument(level = "debug", skip_all, fields(container = owned.container.short_id()))]
async fn release(engine: &Engine, owned: &mut Owned, starting: Starting, made: Option<&Sandbox>) -> Result<Released> {
    let container = owned.container.clone();
    let network = sandbox::network(&engine.containers.registry, &container, made)?;
    let addresses = made.map(sandbox::addresses).unwrap_or_default();
    let gateway = sandbox::gateway_if_wanted(&engine.netd, &container, made).await?;
    let waiting = std::mem::take(&mut owned.waiting);
    let (started, watch, attached) = owned
        .containers
        .blocking(move |containers| {
            files::write_hosts(containers, &container, &addresses, gateway)?;
            let_run(&containers.runtime, &container, starting, &network, waiting)
        })
        .await?;
    let attached = attached.into_iter().map(|(reply, stream)| Ok((reply, to_async(stream)?))).collect::<Result<_>>()?;
    Ok(Released { started, watch, attached })
}

pub(crate) type BlockingAttached = Vec<(oneshot::Sender<UnixStream>, std::os::unix::net::UnixStream)>;

pub(crate) fn let_run(
    runtime: &Runtime,
    container: &Container,
    starting: Starting,
    network: &Network,
    waiting: Vec<PendingAttach>,
) -> Result<(Started, Watch, BlockingAttached)> {
    let mut connected = Vec::new();
    for pending in waiting.into_iter().filter(|pending| !pending.reply.is_closed()) {
        connected.push((pending.reply, starting.attach(pending.streams)?));
    }
    let started = starting.release(network)?;
    let watch = runtime.watch(Target::Container(&container.id))?;
    let mut attached = Vec::new();
    for (reply, attachment) in connected {
        attached.push((reply, attachment.into_stream()?));
    }
    Ok((started, watch, attached))
}

async fn failed(engine: &Engine, owned: &mut Owned, error: &Error) {
    match error {
        // Who asks again waits again: it is taken down when netd answers.
        Error::Networking(error) if error.is_given_up() => {
            owed::owe_unheard(&engine.netd, &owned.containers, &owned.container.id);
        }
        _ => sandbox::remove(&engine.netd, &owned.containers, &owned.container).await,
    }
    volume::release(&engine.volumes, &owned.container).await;
    // Clients that attached see their streams end; the request that started it has the reason.
    owned.waiting.clear();
    let id = owned.container.id.clone();
    let swept =
        owned.containers.blocking(move |containers| Ok(containers.runtime.delete(Target::Container(&id))?)).await;
    if let Err(error) = swept {
        tracing::error!(container = %owned.container.id, "undoing a start: {}", chain(&error));
    }
    let exit_code = match error {
        Error::Runtime(error) => error.exit_code(),
        _ => 128,
    };
    owned.container.state.start_failed(exit_code, error.message());
    let stored = match owned.container.spec.auto_remove {
        true => remove::erase(engine, owned, remove::AnonymousVolumes::Remove).await,
        false => owned.save().await,
    };
    if let Err(error) = stored {
        tracing::error!(container = %owned.container.id, "recording a start that failed: {}", chain(&error));
    }
}

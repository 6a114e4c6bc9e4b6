//! A container's file system for whoever copies files: that of its processes while it runs, else mounted for the purpose.

use runtime::spec::MountKind;
use runtime::{Root, Scope};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use crate::blocking::Blocking as _;
use crate::container::mount::VolumeSources;
use crate::container::{Container, Handle, Phase, runtime_spec};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::orchestrate::{start, volume};

/// A container's file system. Until it is dropped the container can't be started anew, and nobody else mounts it.
#[derive(Debug)]
pub(crate) struct ContainerFiles {
    // In this order: it is unmounted before anybody else may mount it.
    root: Root,
    _guard: RootfsGuard,
}

impl ContainerFiles {
    /// Not a field for others: a closure that names one takes that along and leaves the rest, the guard, to end without it.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "it is held, not looked at")]
enum RootfsGuard {
    /// Others may look at a running container's as well.
    Shared(OwnedRwLockReadGuard<()>),
    Exclusive(OwnedRwLockWriteGuard<()>),
}

/// Opens the file system of a container.
pub(crate) async fn open(engine: &Engine, handle: &Handle, scope: Scope) -> Result<ContainerFiles> {
    loop {
        let phase = handle.container().state.phase;
        let view = match phase {
            Phase::Running { .. } | Phase::Paused { .. } => of_running(engine, handle, scope).await?,
            Phase::Created | Phase::Exited | Phase::Restarting => of_stopped(engine, handle, scope).await?,
            Phase::Removing | Phase::Removed => {
                return Err(Error::not_found(format!("No such container: {}", handle.id())));
            }
        };
        if let Some(view) = view {
            return Ok(view);
        }
        // It started or ended this very moment: once that is published, its phase says so.
        let changed = handle.changes().wait_for(|now| now.state.phase != phase).await.is_err();
        if changed {
            return Err(Error::not_found(format!("No such container: {}", handle.id())));
        }
    }
}

async fn of_running(engine: &Engine, handle: &Handle, scope: Scope) -> Result<Option<ContainerFiles>> {
    let held = RootfsGuard::Shared(handle.rootfs_lock().read_owned().await);
    let id = handle.id().clone();
    let root = engine.blocking(move |engine| match engine.containers.runtime.root(&id, scope) {
        Ok(root) => Ok(Some(root)),
        Err(error) if matches!(error.kind(), runtime::Kind::Conflict | runtime::Kind::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    });
    Ok(root.await?.map(|root| ContainerFiles { root, _guard: held }))
}

async fn of_stopped(engine: &Engine, handle: &Handle, scope: Scope) -> Result<Option<ContainerFiles>> {
    let held = RootfsGuard::Exclusive(handle.rootfs_lock().write_owned().await);
    // No start is under way any more; one may have been when its phase was looked at.
    let container = handle.container();
    if !matches!(container.state.phase, Phase::Created | Phase::Exited | Phase::Restarting) {
        return Ok(None);
    }
    let volumes = match scope {
        Scope::Mounts => volume::mount_all(engine, &container).await,
        Scope::RootfsOnly => Ok(VolumeSources::default()),
    };
    let mounted = container.clone();
    let root = match volumes {
        Ok(volumes) => engine.blocking(move |engine| mount(engine, &mounted, volumes, scope)).await,
        Err(error) => Err(error),
    };
    // The view has mounts of its own by now, or won't have any.
    if scope == Scope::Mounts {
        volume::unbind_subpaths(&engine.volumes, &container).await;
        volume::release(&engine.volumes, &container).await;
    }
    Ok(Some(ContainerFiles { root: root?, _guard: held }))
}

/// Mounts a container's file system for as long as the answer is kept; nobody else may meanwhile.
pub(super) fn mount(engine: &Engine, container: &Container, volumes: VolumeSources, scope: Scope) -> Result<Root> {
    let rootfs = engine.images.store.rootfs(container.id.as_str())?;
    let own = engine.containers.directory(&container.id);
    let mut spec =
        runtime_spec::runtime_spec(container, rootfs, &start::host_paths(engine, container, own.clone(), volumes));
    // What stands in for files of /etc is written when it starts.
    spec.mounts.retain(|mount| match &mount.kind {
        MountKind::Bind { source, .. } => !source.starts_with(&own) || source.exists(),
        MountKind::Tmpfs { .. } => true,
    });
    Ok(engine.containers.runtime.mount_root(&spec, scope)?)
}

//! `rm`: a container and everything that only it has.

use runtime::{Status, Target};

use crate::blocking::Blocking as _;
use crate::container::owned::Owned;
use crate::container::{Container, Containers, Phase, to_record};
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::orchestrate::{exit, restart, volume};

/// What becomes of a container's anonymous volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnonymousVolumes {
    /// `rm -v`, and `--rm`.
    Remove,
    /// They stay.
    Keep,
}

impl AnonymousVolumes {
    /// What is to become of those of a container that removes itself, or whose removal is recorded.
    pub(super) fn of(container: &Container) -> Self {
        match container.spec.auto_remove {
            true => Self::Remove,
            false => Self::Keep,
        }
    }
}

/// Removes the container; one that runs only by force.
pub(crate) async fn remove(engine: &Engine, owned: &mut Owned, force: bool, volumes: AnonymousVolumes) -> Result<()> {
    let phase = owned.container.state.phase;
    if phase.is_active() && !force {
        return Err(Error::conflict(format!(
            "cannot remove container \"/{}\": container is {}: stop the container before removing or force remove",
            owned.container.name,
            phase.as_str()
        )));
    }
    mark(&owned.containers, &owned.container, volumes).await?;
    let before = (owned.container.state.clone(), owned.is_resumed);
    if phase.is_active() {
        restart::called_off(owned);
    }
    if let Err(error) = exit::force(engine, owned).await {
        // It runs on as it did, and is to be there for the next berthd as well.
        (owned.container.state, owned.is_resumed) = before;
        if let Err(lost) = owned.save().await {
            tracing::error!(container = %owned.container.id, "recording that it isn't removed: {}", chain(&lost));
        }
        return Err(error);
    }
    erase_marked(engine, owned, volumes).await
}

/// Stores that a container is to go, once its process has ended if it has one: whatever comes between, the next berthd
/// finishes it. Who sees the container doesn't see that yet.
pub(super) async fn mark(containers: &Containers, container: &Container, volumes: AnonymousVolumes) -> Result<()> {
    Ok(containers.store.put_container(to_record(&marked(container, volumes))).await?)
}

fn marked(container: &Container, volumes: AnonymousVolumes) -> Container {
    let mut marked = container.clone();
    match marked.state.phase.is_alive() {
        // Only what doesn't run can be taken apart without waiting.
        true => marked.state.removal_asked = true,
        false => marked.state.phase = Phase::Removing,
    }
    marked.state.stopped_by_user = true;
    // Who goes by itself takes the volumes along however it goes; so does a removal that is taken up again.
    marked.spec.auto_remove |= volumes == AnonymousVolumes::Remove;
    marked
}

/// Erases a container that doesn't run. What is erased is decided and stored first: cut short anywhere, it is taken up
/// again when berthd starts.
pub(crate) async fn erase(engine: &Engine, owned: &mut Owned, volumes: AnonymousVolumes) -> Result<()> {
    mark(&owned.containers, &owned.container, volumes).await?;
    erase_marked(engine, owned, volumes).await
}

/// The same of one that is marked.
#[tracing::instrument(level = "debug", skip_all, fields(container = owned.container.short_id()))]
pub(super) async fn erase_marked(engine: &Engine, owned: &mut Owned, volumes: AnonymousVolumes) -> Result<()> {
    owned.container = marked(&owned.container, volumes);
    owned.publish();
    owned.waiting.clear();
    let volumes = AnonymousVolumes::of(&owned.container);
    let container = owned.container.clone();
    let discarded = engine
        .blocking(move |engine| {
            let runtime = &engine.containers.runtime;
            let target = Target::Container(&container.id);
            // One that has ended, with all its processes, keeps nobody waiting for its cgroups.
            if !(container.ends_as_one() && matches!(runtime.status(target)?, Status::Exited(_))) {
                runtime.delete(target)?;
            }
            Ok(engine.images.store.remove_snapshot(container.id.as_str())?)
        })
        .await?;
    volume::leave(&engine.volumes, &owned.container, volumes).await?;
    owned.containers.store.remove_container(owned.container.id.as_str()).await?;
    owned.containers.registry.remove(&owned.container.id, &owned.container.name);
    owned.containers.execs.forget_container(&owned.container.id);
    owned.container.state.phase = Phase::Removed;
    owned.publish();
    owned.containers.tell(&owned.container, "destroy", []);
    owned.containers.delete_leftovers(&owned.container.id, discarded).await;
    Ok(())
}

//! `pause` and `unpause`: freeze every process of a container, and go on.

use crate::blocking::Blocking as _;
use crate::container::Phase;
use crate::container::owned::Owned;
use crate::error::Result;
use crate::orchestrate::health;

/// Freezes the container.
pub(crate) async fn pause(owned: &mut Owned) -> Result<()> {
    let id = owned.container.id.clone();
    let pid = owned.container.state.may_pause(id.as_str())?;
    owned.containers.blocking(move |containers| Ok(containers.runtime.pause(&id)?)).await?;
    owned.container.state.phase = Phase::Paused { pid };
    health::stop(owned);
    owned.save().await?;
    owned.containers.tell(&owned.container, "pause", []);
    Ok(())
}

/// Freezes the container while something of ours is done, unless it is frozen or doesn't run. Answers whether it was.
pub(crate) async fn pause_in_passing(owned: &mut Owned) -> Result<bool> {
    if !matches!(owned.container.state.phase, Phase::Running { .. }) {
        return Ok(false);
    }
    // Stored first: whenever berthd dies, the next one knows that nobody asked for it.
    owned.container.state.pause_is_passing = true;
    owned.save().await?;
    let paused = pause(owned).await;
    owned.container.state.pause_is_passing &= paused.is_ok();
    paused.map(|()| true)
}

/// Ends [`pause_in_passing`], unless somebody did or the container ended.
pub(crate) async fn resume_after_passing(owned: &mut Owned) -> Result<()> {
    match owned.container.state.phase {
        Phase::Paused { .. } if owned.container.state.pause_is_passing => unpause(owned).await,
        _ => Ok(()),
    }
}

/// Lets the container go on.
pub(crate) async fn unpause(owned: &mut Owned) -> Result<()> {
    let id = owned.container.id.clone();
    let pid = owned.container.state.may_unpause(id.as_str())?;
    owned.containers.blocking(move |containers| Ok(containers.runtime.resume(&id)?)).await?;
    owned.container.state.phase = Phase::Running { pid };
    owned.container.state.pause_is_passing = false;
    health::watch(owned);
    owned.save().await?;
    owned.containers.tell(&owned.container, "unpause", []);
    Ok(())
}

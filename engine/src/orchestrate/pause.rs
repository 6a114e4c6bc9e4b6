//! `pause` and `unpause`: freeze every process of a container, and go on.

use crate::container::Phase;
use crate::container::owned::Owned;
use crate::error::Result;

/// Freezes the container.
pub(crate) async fn pause(owned: &mut Owned) -> Result<()> {
    let id = owned.container.id.clone();
    let pid = owned.container.state.may_pause(id.as_str())?;
    owned.engine.blocking(move |engine| Ok(engine.runtime.pause(&id)?)).await?;
    owned.container.state.phase = Phase::Paused { pid };
    owned.save().await?;
    owned.engine.container_event(&owned.container, "pause", []);
    Ok(())
}

/// Lets the container go on.
pub(crate) async fn unpause(owned: &mut Owned) -> Result<()> {
    let id = owned.container.id.clone();
    let pid = owned.container.state.may_unpause(id.as_str())?;
    owned.engine.blocking(move |engine| Ok(engine.runtime.resume(&id)?)).await?;
    owned.container.state.phase = Phase::Running { pid };
    owned.save().await?;
    owned.engine.container_event(&owned.container, "unpause", []);
    Ok(())
}

//! `kill`: a signal to a container's first process.

use runtime::Target;

use crate::container::Phase;
use crate::container::owned::Owned;
use crate::error::Result;
use crate::orchestrate::restart;
use crate::signal;

/// Sends a signal, and says so to listeners. A frozen container is thawed for a signal that is to end it: it couldn't
/// take it otherwise.
pub(crate) async fn kill(owned: &mut Owned, number: i32) -> Result<()> {
    let ends = number == signal::KILL || number == owned.container.spec.stop.signal;
    if ends && owned.container.state.phase.is_active() {
        let waits = owned.container.state.phase == Phase::Restarting;
        restart::call_off(owned).await?;
        if waits {
            return Ok(());
        }
    }
    let container = &owned.container;
    container.state.running_pid(container.id.as_str())?;
    deliver(owned, number, ends).await?;
    owned.engine.container_event(&owned.container, "kill", [("signal", number.to_string())]);
    if ends && let Phase::Paused { pid } = owned.container.state.phase {
        owned.container.state.phase = Phase::Running { pid };
        owned.save().await?;
    }
    Ok(())
}

/// Sends a signal and thaws the container if told to, also one that has frozen itself.
pub(super) async fn deliver(owned: &mut Owned, number: i32, thaw: bool) -> Result<()> {
    let id = owned.container.id.clone();
    owned
        .engine
        .blocking(move |engine| {
            match engine.runtime.signal(Target::Container(&id), number, false) {
                // It ended this very moment; that is what its watch is about to say.
                Err(runtime::Error::Conflict { .. }) => {}
                result => result?,
            }
            if thaw {
                match engine.runtime.resume(&id) {
                    // It isn't frozen, or has ended.
                    Err(runtime::Error::Conflict { .. } | runtime::Error::NotFound { .. }) => {}
                    result => result?,
                }
            }
            Ok(())
        })
        .await
}

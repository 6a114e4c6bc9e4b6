//! `kill`: a signal to a container's first process.

use std::time::Duration;

use cnm::Kind;
use runtime::Target;

use crate::blocking::Blocking as _;
use crate::container::owned::Owned;
use crate::container::{Handle, Phase};
use crate::error::{Error, Result};
use crate::orchestrate::{restart, stop};
use crate::signal;

/// How long who sends a fatal signal waits for the end; Docker waits as long.
const LONGEST_END: Duration = Duration::from_secs(10);

/// Sends a signal as a user does. One that ends the process is answered when that is done, so that it can be removed.
pub(crate) async fn kill_and_see(handle: &Handle, number: i32) -> Result<()> {
    let mut changes = handle.changes();
    let sent = handle.run(move |owned| {
        Box::pin(async move {
            let fatal = is_fatal(owned, number).await;
            kill(owned, number).await?;
            Ok(fatal.then_some(owned.container.state.exits))
        })
    });
    let Some(exits) = sent.await? else { return Ok(()) };
    let end = async {
        stop::end_of_run(&mut changes, exits).await;
        // What removes itself is gone then, and its name free.
        handle.at_rest().await;
    };
    match tokio::time::timeout(LONGEST_END, end).await {
        // It may have begun to handle the signal just before.
        Err(_) if number == signal::KILL => {
            Err(Error::refused(Kind::Internal, "tried to kill container, but did not receive an exit event"))
        }
        _ => Ok(()),
    }
}

/// Whether the container's process can't outlive the signal.
async fn is_fatal(owned: &mut Owned, number: i32) -> bool {
    let id = owned.container.id.clone();
    owned
        .containers
        .blocking(move |containers| Ok(containers.runtime.is_fatal(&id, number)?))
        .await
        .unwrap_or(number == signal::KILL)
}

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
    owned.containers.tell(&owned.container, "kill", [("signal", number.to_string())]);
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
        .containers
        .blocking(move |containers| {
            let sent = match thaw {
                true => containers.runtime.signal_and_thaw(&id, number),
                false => containers.runtime.signal(Target::Container(&id), number, false),
            };
            match sent {
                // It ended this very moment; that is what its watch is about to say.
                Err(runtime::Error::Conflict { .. }) => Ok(()),
                sent => Ok(sent?),
            }
        })
        .await
}

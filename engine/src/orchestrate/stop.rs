//! `stop` and `restart`: ask the process to end, then make it, and wait until everything of the run is given back.

use std::sync::Arc;
use std::time::Duration;

use cnm::Kind;
use tokio::sync::watch;

use crate::container::state::Outcome;
use crate::container::{Container, Containers, Handle, Phase};
use crate::engine::Engine;
use crate::error::Result;
use crate::orchestrate::{restart, signal as kill, start};
use crate::signal;

/// How a client wants a container stopped; what it doesn't say is the container's own setting.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StopOptions {
    /// Sent first.
    pub(crate) signal: Option<i32>,
    /// After so many seconds it is killed; never if negative.
    pub(crate) timeout_seconds: Option<i64>,
}

/// Stops a container. The task is free meanwhile: a `kill` or `rm -f` needn't wait for the timeout.
pub(crate) async fn stop(containers: &Containers, handle: &Handle, options: StopOptions) -> Result<Outcome> {
    if !handle.container().state.phase.is_active() && !is_active_yet(handle).await? {
        return Ok(Outcome::AlreadySo);
    }
    let container = handle.container();
    let mut changes = handle.changes();
    let number = options.signal.unwrap_or(container.spec.stop.signal);
    let exits = send(handle, number).await?;
    let seconds = options.timeout_seconds.unwrap_or(container.spec.stop.timeout_seconds);
    let ended = end_of_run(&mut changes, exits);
    match u64::try_from(seconds) {
        Ok(seconds) => {
            if tokio::time::timeout(Duration::from_secs(seconds), ended).await.is_err() {
                let exits = send(handle, signal::KILL).await?;
                end_of_run(&mut changes, exits).await;
            }
        }
        Err(_negative) => ended.await,
    }
    // What removes itself is gone then, and its name free.
    handle.at_rest().await;
    containers.tell(&container, "stop", []);
    Ok(Outcome::Done)
}

/// Has one that is at rest and was to be started with berthd stay so. Answers whether it is active by then.
async fn is_active_yet(handle: &Handle) -> Result<bool> {
    if matches!(handle.container().state.phase, Phase::Removing | Phase::Removed) {
        return Ok(false);
    }
    let stays = handle.run(|owned| {
        Box::pin(async move {
            let is_active = owned.container.state.phase.is_active();
            if owned.is_resumed && !is_active {
                restart::call_off(owned).await?;
            }
            Ok(is_active)
        })
    });
    match stays.await {
        // It has been removed meanwhile, and doesn't run.
        Err(error) if error.kind() == Kind::NotFound => Ok(false),
        stays => stays,
    }
}

/// Stops a container if it runs, and starts it. That it is to be started is stored before: `--rm` doesn't mean this end, and
/// neither does the death of berthd.
pub(crate) async fn restart(engine: &Engine, handle: &Handle, options: StopOptions) -> Result<()> {
    let ask = handle.run(|owned| {
        Box::pin(async move {
            owned.container.state.restart_asked |= owned.container.state.phase.is_alive();
            owned.save().await
        })
    });
    ask.await?;
    let stopped = stop(&engine.containers, handle, options).await;
    let start = handle.run_with(engine, |engine, owned| {
        Box::pin(async move {
            if owned.container.state.phase.is_alive()
                && let Err(error) = stopped
            {
                owned.container.state.restart_asked = false;
                owned.save().await?;
                return Err(error);
            }
            start::start(engine, owned).await
        })
    });
    start.await?;
    engine.containers.tell(&handle.container(), "restart", []);
    Ok(())
}

/// Sends a signal to a container that may have ended meanwhile, and isn't to be started again by itself. Answers how many
/// runs had ended before.
async fn send(handle: &Handle, number: i32) -> Result<u64> {
    handle
        .run(move |owned| {
            Box::pin(async move {
                restart::call_off(owned).await?;
                if owned.container.state.phase.is_alive() {
                    kill::kill(owned, number).await?;
                }
                Ok(owned.container.state.exits)
            })
        })
        .await
}

/// Waits until a run has ended after so many others.
pub(super) async fn end_of_run(changes: &mut watch::Receiver<Arc<Container>>, exits: u64) {
    // An error means that the task is gone, and the container with it.
    let _ = changes.wait_for(|now| now.state.exits > exits || !now.state.phase.is_alive()).await;
}

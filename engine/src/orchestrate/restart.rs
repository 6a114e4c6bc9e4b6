//! Restart policies: what ended is started again after a while, and when berthd starts.

use std::time::Duration;

use cnm::Kind;
use futures::FutureExt as _;

use crate::container::owned::Owned;
use crate::container::restart::{self, RestartPolicy};
use crate::container::{Handle, Phase};
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::orchestrate::start;
use crate::orchestrate::stop::{self, StopOptions};

/// Decides about a container whose run has just ended; the caller stores and shows what becomes of it.
pub(super) fn plan(engine: &Engine, owned: &mut Owned) {
    let state = &mut owned.container.state;
    if state.restart_asked {
        // Who asked for it starts it.
        state.phase = Phase::Restarting;
        return;
    }
    if !owned.container.spec.restart.wants_another_run(state) {
        state.phase = Phase::Exited;
        return;
    }
    state.phase = Phase::Restarting;
    let wait = owned.back_off.next(restart::length_of_run(state));
    schedule(engine, owned, wait);
}

/// The task starts the container when the time has come, though not before berthd has sorted out what there is.
fn schedule(engine: &Engine, owned: &mut Owned, wait: Duration) {
    let engine = engine.clone();
    let due = async move {
        tokio::time::sleep(wait).await;
        engine.after_recovery().await;
    };
    owned.restart = Some(due.boxed());
}

/// The time has come. A start that fails counts as a run that failed.
pub(crate) async fn again(engine: &Engine, owned: &mut Owned) {
    if !owned.container.state.restart_asked {
        owned.container.state.restart_count += 1;
    }
    let Err(error) = start::attempt(engine, owned).await else { return };
    tracing::warn!(container = %owned.container.id, "starting a container again: {}", chain(&error));
    let state = &mut owned.container.state;
    state.phase = Phase::Exited;
    if owned.container.spec.restart.wants_another_run(state) {
        state.phase = Phase::Restarting;
        let wait = owned.back_off.next(Duration::ZERO);
        schedule(engine, owned, wait);
    }
    if let Err(error) = owned.save().await {
        tracing::error!(container = %owned.container.id, "recording a start that failed: {}", chain(&error));
    }
}

/// The user doesn't want it to run any more: a start that is to come won't, also one that a former berthd was asked for.
pub(crate) async fn call_off(owned: &mut Owned) -> Result<()> {
    match called_off(owned) {
        true => owned.save().await,
        false => Ok(()),
    }
}

/// The same, for the caller to store. Answers whether it wasn't so already.
pub(super) fn called_off(owned: &mut Owned) -> bool {
    let state = &mut owned.container.state;
    let was_resumed = std::mem::take(&mut owned.is_resumed);
    if was_resumed {
        state.restart_asked = false;
    }
    if state.phase == Phase::Restarting && !state.restart_asked {
        state.phase = Phase::Exited;
        owned.restart = None;
    } else if state.stopped_by_user && !was_resumed {
        return false;
    }
    state.stopped_by_user = true;
    true
}

/// Whether a container that has just been taken up is to be started with berthd.
pub(super) fn is_resumed(owned: &Owned) -> bool {
    let (spec, state) = (&owned.container.spec, &owned.container.state);
    match state.phase {
        Phase::Running { .. } | Phase::Paused { .. } => state.restart_asked,
        Phase::Restarting => owned.restart.is_none(),
        Phase::Exited => spec.restart.wants_run_at_daemon_start(state),
        Phase::Created | Phase::Removing | Phase::Removed => false,
    }
}

/// berthd starts: whatever was to run when it was taken up, and didn't, is started, all of them side by side.
pub(super) async fn resume(engine: &Engine, handle: &Handle) {
    let resumed = handle.run_with(engine, |engine, owned| {
        Box::pin(async move {
            if !std::mem::take(&mut owned.is_resumed) {
                return Ok(false);
            }
            let state = &mut owned.container.state;
            if state.phase.is_alive() {
                return Ok(state.restart_asked);
            }
            state.phase = Phase::Restarting;
            state.stopped_by_user = false;
            schedule(engine, owned, Duration::ZERO);
            owned.save().await?;
            Ok(false)
        })
    });
    match resumed.await {
        Ok(false) => {}
        Ok(true) => drop(tokio::spawn(restart_anew(engine.clone(), handle.clone()))),
        Err(error) if error.kind() == Kind::NotFound => {}
        Err(error) => tracing::error!(container = %handle.id(), "starting a container with berthd: {}", chain(&error)),
    }
}

/// The last berthd died over a `restart` before the container had ended.
async fn restart_anew(engine: Engine, handle: Handle) {
    if let Err(error) = stop::restart(&engine, &handle, StopOptions::default()).await {
        tracing::error!(container = %handle.id(), "resuming a restart: {}", chain(&error));
    }
}

/// Changes the policy; it counts from the next end on, or for a start that is to come.
pub(super) fn set_policy(owned: &mut Owned, policy: RestartPolicy) -> Result<()> {
    if owned.container.spec.auto_remove && policy != RestartPolicy::No {
        return Err(Error::conflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    owned.container.spec.restart = policy;
    let state = &mut owned.container.state;
    if state.phase == Phase::Restarting && !state.restart_asked && !policy.wants_another_run(state) {
        state.phase = Phase::Exited;
        owned.restart = None;
    }
    Ok(())
}

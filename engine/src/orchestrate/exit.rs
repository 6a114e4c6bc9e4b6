//! A container's process has ended: record how, give its networking and cgroup back, tell everybody, remove it if that
//! was asked for.

use std::sync::Arc;

use jiff::Timestamp;
use runtime::spec::Id;
use runtime::{Exit, Status, Target};

use crate::blocking::Blocking as _;
use crate::container::owned::{Owned, next_exit};
use crate::container::{Container, Containers, Phase, to_record};
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::orchestrate::remove::{self, AnonymousVolumes};
use crate::orchestrate::{health, restart, sandbox, volume};
use crate::signal;

/// The process ended by itself or by a signal; `exit` is an error when its monitor died first.
pub(crate) async fn ended(engine: &Engine, owned: &mut Owned, exit: Result<Exit>) {
    conclude(engine, owned, exit).await;
    let state = &owned.container.state;
    // One that is to be started again isn't over.
    let goes = state.phase == Phase::Exited && (owned.container.spec.auto_remove || state.removal_asked);
    let volumes = AnonymousVolumes::of(&owned.container);
    // Stored before the runtime forgets it: whenever berthd dies, one of the two knows the exit code, if somebody may ask.
    let stored = match goes {
        true => remove::mark(&owned.containers, &owned.container, volumes).await,
        false => owned.containers.store.put_container(to_record(&owned.container)).await.map_err(Error::from),
    };
    let is_stored = stored.is_ok();
    give_back(engine, owned, stored, if goes { Forgotten::WithTheContainer } else { Forgotten::Now }).await;
    let erased = match (goes, is_stored) {
        (true, true) => remove::erase_marked(engine, owned, volumes).await,
        // Whoever waits for it to go shall not wait for the next berthd.
        (true, false) => remove::erase(engine, owned, volumes).await,
        (false, _) => Ok(()),
    };
    if let Err(error) = erased {
        tracing::error!(container = %owned.container.id, "removing a container that ended: {}", chain(&error));
    }
}

/// When the runtime forgets a run that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgotten {
    Now,
    /// It is about to be removed: what the runtime has of it goes with the rest of it, and keeps nobody waiting.
    WithTheContainer,
}

/// The container is one that has ended, as far as this berthd knows.
async fn conclude(engine: &Engine, owned: &mut Owned, exit: Result<Exit>) {
    let exit = match exit {
        Ok(exit) => exit,
        Err(error) => orphaned(owned, &chain(&error)).await,
    };
    owned.container.state.ended(&exit);
    restart::plan(engine, owned);
    health::stop(owned);
}

/// Gives back what the run held; the runtime forgets it only if its end is `stored`. Published last: who waits for the end
/// finds ports and names free, unless netd answers nobody.
#[tracing::instrument(level = "debug", skip_all, fields(container = owned.container.short_id()))]
async fn give_back(engine: &Engine, owned: &mut Owned, stored: Result<()>, forgotten: Forgotten) {
    let (containers, container) = (&owned.containers, &owned.container);
    let rest = async {
        volume::release(&engine.volumes, container).await;
        stored?;
        if forgotten == Forgotten::Now || !container.ends_as_one() {
            forget(containers, &container.id).await?;
        }
        // Their processes are gone by now. Whoever sees the container's end sees theirs.
        containers.execs.ended_in(&container.id).await;
        Ok::<(), Error>(())
    };
    let sandbox = sandbox::remove(&engine.netd, containers, container);
    if let (Err(error), ()) = tokio::join!(rest, sandbox) {
        tracing::error!(container = %owned.container.id, "recording how a container ended: {}", chain(&error));
    }
    owned.container.sandbox = None;
    owned.publish();
    tell(owned);
}

/// The runtime forgets a run last: as long as it knows of it, the next berthd sees that something may not be given back.
async fn forget(containers: &Arc<Containers>, id: &Id) -> Result<()> {
    let id = id.clone();
    containers.blocking(move |containers| Ok(containers.runtime.delete(Target::Container(&id))?)).await
}

/// Gives back what is left of a run whose end a former berthd has recorded.
pub(super) async fn finish(engine: &Engine, container: &Container) -> Result<()> {
    volume::release(&engine.volumes, container).await;
    forget(&engine.containers, &container.id).await
}

fn tell(owned: &Owned) {
    let state = &owned.container.state;
    let seconds = match (state.started_at, state.finished_at) {
        (Some(start), Some(end)) => end.duration_since(start).as_secs().max(0),
        _ => 0,
    };
    if state.oom_killed {
        owned.containers.tell(&owned.container, "oom", []);
    }
    let attributes = [("execDuration", seconds.to_string()), ("exitCode", state.exit_code.to_string())];
    owned.containers.tell(&owned.container, "die", attributes);
}

/// The monitor is gone without a word: end what is left and say so.
async fn orphaned(owned: &mut Owned, problem: &str) -> Exit {
    let id = owned.container.id.clone();
    tracing::warn!(container = %id, "a container's monitor is gone, ending the container: {problem}");
    let status =
        owned.containers.blocking(move |containers| Ok(containers.runtime.recover(Target::Container(&id))?)).await;
    match status {
        Ok(Status::Exited(exit)) => exit,
        _ => killed(problem),
    }
}

/// The end of a process that had to be ended because of a problem.
pub(super) fn killed(problem: &str) -> Exit {
    Exit {
        code: 128 + u8::try_from(signal::KILL).unwrap_or_default(),
        signal: Some(signal::KILL),
        oom_killed: false,
        at: Timestamp::now(),
        error: Some(problem.to_owned()),
    }
}

/// Kills the process of a container that is marked to go, if it has one, and waits until what the run held is given back.
pub(super) async fn force(engine: &Engine, owned: &mut Owned) -> Result<()> {
    if !owned.container.state.phase.is_alive() {
        return Ok(());
    }
    super::signal::deliver(owned, signal::KILL, true).await?;
    owned.containers.tell(&owned.container, "kill", [("signal", signal::KILL.to_string())]);
    // Here and now: its task is busy with this verb, which can't go on before the end is dealt with.
    if owned.exit.is_some() {
        let exit = next_exit(&mut owned.exit).await;
        owned.exit = None;
        conclude(engine, owned, exit).await;
        give_back(engine, owned, Ok(()), Forgotten::WithTheContainer).await;
    }
    Ok(())
}

//! A container's process has ended: record how, give its networking and cgroup back, tell everybody, remove it if that
//! was asked for.

use jiff::Timestamp;
use runtime::{Exit, Status, Target};

use crate::blocking::Blocking as _;
use crate::container::owned::{Owned, next_exit};
use crate::container::{Phase, to_record};
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::orchestrate::remove::{self, AnonymousVolumes};
use crate::orchestrate::{health, restart, sandbox, volume};
use crate::signal;

/// The process ended by itself or by a signal; `exit` is an error when its monitor died first.
pub(crate) async fn ended(engine: &Engine, owned: &mut Owned, exit: Result<Exit>) {
    conclude(engine, owned, exit).await;
    // One that is to be started again isn't over.
    let goes = owned.container.spec.auto_remove && owned.container.state.phase == Phase::Exited;
    // Stored before the runtime forgets it: whenever berthd dies, one of the two knows the exit code, if somebody may ask.
    let stored = match goes {
        true => remove::mark(&owned.containers, &owned.container, AnonymousVolumes::Remove).await,
        false => owned.containers.store.put_container(to_record(&owned.container)).await.map_err(Error::from),
    };
    let is_stored = stored.is_ok();
    give_back(engine, owned, stored).await;
    if goes
        && is_stored
        && let Err(error) = remove::erase_marked(engine, owned, AnonymousVolumes::Remove).await
    {
        tracing::error!(container = %owned.container.id, "removing a container that ended: {}", chain(&error));
    }
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

/// Gives back what the run held. The runtime forgets it if that is `stored`. Published last: who waits for the end finds ports
/// and names free, unless netd answers nobody.
#[tracing::instrument(level = "debug", skip_all, fields(container = owned.container.short_id()))]
async fn give_back(engine: &Engine, owned: &mut Owned, stored: Result<()>) {
    let id = owned.container.id.clone();
    let forget = async {
        stored?;
        let ended = id.clone();
        owned.containers.blocking(move |containers| Ok(containers.runtime.delete(Target::Container(&ended))?)).await?;
        // Their processes are gone by now. Whoever sees the container's end sees theirs.
        owned.containers.execs.ended_in(&id).await;
        Ok::<(), Error>(())
    };
    let (forgotten, (), ()) = tokio::join!(
        forget,
        sandbox::remove(&engine.netd, &owned.containers, &owned.container),
        volume::release(&engine.volumes, &owned.container)
    );
    if let Err(error) = forgotten {
        tracing::error!(container = %owned.container.id, "recording how a container ended: {}", chain(&error));
    }
    owned.container.sandbox = None;
    owned.publish();
    tell(owned);
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

/// Kills the process of a container that is marked to go, if it has one, and waits until all of the run is given back.
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
        give_back(engine, owned, Ok(())).await;
    }
    Ok(())
}

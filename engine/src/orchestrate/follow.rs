//! Follows netd: what it tells, that it is there again when it has ended, and that it then knows which sandboxes are wanted.

use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use cnm::Kind;
use cnm::api::FoundNamespace;
use futures::StreamExt as _;
use tokio::time::timeout;

use crate::blocking::Blocking as _;
use crate::container::owned::Owned;
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::netd::{Netd, Pauses};
use crate::orchestrate::refresh;

/// How long a netd that doesn't answer is left alone.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A netd that ends sooner, and the next one too, is started again ever later.
const LIVES_AT_LEAST: Duration = Duration::from_secs(10);

/// But no later than this: unlike one that can't start at all, it has served meanwhile, and may be needed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Notices when netd ends: sees to it that one answers again, and claims anew when it is another instance.
pub(super) async fn follow_netd(engine: Engine, mut instance: String, mut revision: u64) {
    let mut short_lives = None::<Pauses>;
    loop {
        let since = Instant::now();
        match engine.netd.client().events(Some(revision)).await {
            Ok(mut events) => {
                while let Some(Ok(event)) = events.next().await {
                    revision = event.revision;
                    refresh::handle_event(&engine.netd, &engine.containers.registry, &event);
                    if let Some(event) = crate::translate::event::of_netd(&event) {
                        engine.events.publish(event);
                    }
                }
            }
            Err(error) => tracing::debug!("following netd's events: {}", chain(&error)),
        }
        let mut again = async || {
            let handshake = engine.netd.ensure().await?;
            if handshake.instance != instance {
                Netd::compare(&handshake);
                if let Lacking::Namespaces = claim(&engine).await? {
                    engine.netd.owe_claim();
                }
                instance = handshake.instance;
                engine.netd.has_returned();
            }
            Ok::<(), Error>(())
        };
        if let Err(error) = pause(&engine, since.elapsed(), &mut short_lives).await {
            return tracing::error!("netd's return can't be noticed: {}", chain(&error));
        }
        let (mut pauses, mut said) = (Pauses::default(), String::new());
        // Nothing of a new one's is followed before it knows what is wanted.
        while let Err(error) = again().await {
            if matches!(&error, Error::Netd(error) if error.is_given_up()) {
                tracing::warn!("{}", chain(&error));
                tokio::time::sleep(ASKED_AGAIN_AFTER).await;
                continue;
            }
            let why = chain(&error);
            if why != said {
                tracing::error!("netd is away, and tried again, ever less often: {why}");
                said = why;
            }
            if let Err(error) = engine.netd.started_anew(pauses.next()).await {
                return tracing::error!("netd's return can't be noticed: {}", chain(&error));
            }
        }
    }
}

/// Keeps a netd that always ends soon after it has answered from keeping the host busy. The first is missed at once, as any.
async fn pause(engine: &Engine, lived: Duration, short_lives: &mut Option<Pauses>) -> Result<()> {
    if !engine.netd.is_ours_to_start() {
        return Ok(());
    }
    // It may be there, and have had enough of who follows it.
    let has_ended = matches!(engine.netd.handshake().await, Err(error) if error.is_not_running());
    if !has_ended || lived >= LIVES_AT_LEAST {
        *short_lives = None;
        return Ok(());
    }
    let Some(pauses) = short_lives else {
        *short_lives = Some(Pauses::up_to(LONGEST_PAUSE));
        return Ok(());
    };
    let pause = pauses.next();
    tracing::warn!("netd has ended soon after its start again: the next is started in {pause:?}, or for who needs it");
    engine.netd.started_anew(pause).await
}

/// Claims once more whenever netd may have what nobody wants, since it was asked for something and answered nobody. One that
/// doesn't answer is asked until it does, holding nobody up; a new one is told by [`follow_netd`].
pub(super) async fn claim_what_is_owed(engine: Engine) {
    let mut lacking = None::<Pauses>;
    loop {
        match &mut lacking {
            Some(pauses) => drop(timeout(pauses.next(), engine.netd.claim_owed()).await),
            None => engine.netd.claim_owed().await,
        }
        let claimed = async || {
            engine.netd.client().handshake().await?;
            engine.netd.is_back();
            claim(&engine).await
        };
        loop {
            match claimed().await {
                Ok(lacks) => {
                    tracing::info!("netd knows which sandboxes are wanted");
                    lacking = matches!(lacks, Lacking::Namespaces).then(|| lacking.unwrap_or_default());
                    break engine.netd.has_returned();
                }
                Err(Error::Netd(error)) if error.is_not_running() => break engine.netd.is_back(),
                Err(error) => tracing::debug!("claiming what is still wanted: {}", chain(&error)),
            }
            tokio::time::sleep(ASKED_AGAIN_AFTER).await;
        }
    }
}

/// Tells netd which sandboxes are still wanted: it takes the others down. What it has lost of a running container's is
/// made again around the namespace that the container is in, and it is told of those that nobody keeps.
pub(super) async fn claim(engine: &Engine) -> Result<Lacking> {
    let running = || {
        let wanted = engine.containers.registry.all().into_iter().filter(|handle| handle.container().has_sandbox());
        // What can't be read may run.
        let unread = engine.containers.registry.all_set_aside().into_iter().map(|(id, _)| id);
        wanted.map(|handle| handle.id().to_string()).chain(unread).collect()
    };
    let reply = engine.netd.claim(running).await?;
    for id in &reply.removed {
        tracing::info!(sandbox = %id, "netd removed a sandbox that no container has");
    }
    for id in &reply.missing {
        // It may have ended and gone since it was claimed, or been on its way to netd and have come.
        let Ok(handle) = engine.containers.registry.find(id) else { continue };
        if let Err(error) = handle.run_with(&engine.netd, |netd, owned| Box::pin(refresh::refresh(netd, owned))).await {
            tracing::error!(container = %id, "making a lost sandbox again: {}", chain(&error));
        }
    }
    let mut lacking = Lacking::Nothing;
    for id in &reply.lost {
        let Ok(handle) = engine.containers.registry.find(id) else { continue };
        match handle.run_with(engine, |engine, owned| Box::pin(find_namespace(engine, owned))).await {
            Ok(()) => {}
            // It has ended, or somebody was faster.
            Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => {}
            Err(error) if error.kind() == Kind::InvalidParameter => {
                tracing::error!(container = %id, "restart it, its network namespace is not to be found: {}", chain(&error));
            }
            Err(error) => {
                tracing::error!(container = %id, "nobody keeps its network namespace yet: {}", chain(&error));
                lacking = Lacking::Namespaces;
            }
        }
    }
    Ok(lacking)
}

/// What netd lacks still when it knows what is wanted: it is to be claimed again.
pub(super) enum Lacking {
    Nothing,
    /// Nobody keeps them, and where they are isn't known yet.
    Namespaces,
}

/// Tells netd where a running container's network namespace is, which nobody keeps any more.
async fn find_namespace(engine: &Engine, owned: &mut Owned) -> Result<()> {
    if !owned.container.state.phase.is_alive() {
        return Ok(());
    }
    let id = owned.container.id.clone();
    let namespace = engine.blocking(move |engine| Ok(engine.containers.runtime.network_namespace(&id)?)).await?;
    // By a descriptor of ours: the process may end meanwhile, and its pid be another's.
    let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    engine.netd.client().adopt_namespace(owned.container.id.as_str(), &FoundNamespace { path }).await?;
    Ok(())
}

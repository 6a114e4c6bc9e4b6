//! Changes of the network of a container that runs: asked for, given up, taken back. What netd isn't told at once, as the
//! container's new name, it is told later.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cnm::Kind;
use cnm::api::Sandbox;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, Shared, select};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::container::owned::Owned;
use crate::container::{Container, to_record};
use crate::error::{Error, Result, chain};
use crate::netd::{Netd, Pauses};
use crate::orchestrate::{refresh, sandbox};

/// How long a container's turn is held for what netd can be told later as well.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Has the sandbox of a container that runs become what another version of the container wants. The caller saves that.
pub(super) async fn put(netd: &Arc<Netd>, owned: &mut Owned, wanted: &Container) -> Result<Sandbox> {
    let request = sandbox::request(wanted, netd.owner(), sandbox::namespace_of(&owned.container));
    let (asking, id) = (netd.clone(), owned.container.id.clone());
    let path = format!("PUT /v1/sandboxes/{id}");
    let changed = ask(netd, owned, &path, async move { sandbox::ask_for(&asking, id.as_str(), &request).await })
        .await
        .map_err(sandbox::networking)?;
    // It is all that is wanted: nothing that was given up before is left of it.
    owned.container.state.network_changes = false;
    Ok(changed)
}

/// Has netd change the sandbox of a container that runs. The caller saves what comes of it.
///
/// A netd that answers nobody doesn't keep the container's turn: that is given up, and once netd is back it is told again what
/// the container wants.
pub(super) async fn ask(
    netd: &Arc<Netd>,
    owned: &mut Owned,
    request: &str,
    asked: impl Future<Output = Result<Sandbox>> + Send + 'static,
) -> Result<Sandbox> {
    // Of what was given up before, this changes nothing.
    let was_owed = std::mem::replace(&mut owned.container.state.network_changes, true);
    if let Err(error) = owned.containers.store.put_container(to_record(&owned.container)).await {
        owned.container.state.network_changes = was_owed;
        return Err(error.into());
    }
    let changed = match select(pin!(begin(owned, asked)), pin!(netd.stands_still())).await {
        Either::Left((changed, _)) => changed,
        Either::Right(((), _)) => Err(Error::Netd(netd.unheard(request))),
    };
    match &changed {
        Ok(_) => {
            owned.unheard = None;
            owned.container.state.network_changes = was_owed;
        }
        Err(Error::Netd(error)) if matches!(error, netd_client::Error::Refused { .. }) || error.is_not_running() => {
            owned.unheard = None;
            owned.container.state.network_changes = was_owed;
            owned.save().await?;
        }
        Err(Error::Netd(error)) if error.is_given_up() => tell_later(netd, owned),
        Err(_) => tell(netd, owned).await,
    }
    changed
}

/// Asks, by a task that hears the answer out whoever waits for it, and after what was asked before.
async fn begin<T: Send + 'static>(
    owned: &mut Owned,
    asked: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    hear_out(owned).await;
    tracing::debug!("netd is asked to change the network of container {}", owned.container.id);
    let (reply, answer) = oneshot::channel();
    let asked = tokio::spawn(async move { drop(reply.send(asked.await)) });
    owned.unheard = Some(asked.map(drop).boxed().shared());
    answer.await.map_err(|_| Error::Interrupted { doing: "changing the network of a container" })?
}

/// Waits until netd has answered what was given up, or won't begin it any more: it would come after what it is asked next.
pub(super) async fn hear_out(owned: &mut Owned) {
    if let Some(asked) = owned.unheard.clone() {
        asked.await;
        owned.unheard = None;
    }
}

/// Stores what netd has changed. If that can't be done it never was: netd is told to take it back.
pub(super) async fn store(netd: &Arc<Netd>, owned: &mut Owned, before: Container) -> Result<()> {
    let Err(error) = owned.save().await else { return Ok(()) };
    owned.container = before;
    // The record says so as well: it is that of before netd was asked.
    owned.container.state.network_changes = owned.container.sandbox.is_some();
    owned.publish();
    tell(netd, owned).await;
    Err(error)
}

/// Whether netd may have of a container what it isn't to have: a change that nobody was told of, or another name.
pub(super) fn is_owed(container: &Container) -> bool {
    container.state.network_changes || is_misnamed(container)
}

fn is_misnamed(container: &Container) -> bool {
    container.sandbox.as_ref().is_some_and(|sandbox| sandbox.name != container.name)
}

/// Tells netd what it is owed to be told of a container: now, or when it answers again. One that isn't there isn't started for
/// that, and one that takes its time doesn't keep the container's turn.
pub(super) async fn tell(netd: &Arc<Netd>, owned: &mut Owned) {
    if !is_owed(&owned.container) {
        return;
    }
    // Who waits to tell it tells all of it.
    if !netd.is_still() && !owned.is_told_later {
        let told = match select(pin!(try_telling(netd, owned)), pin!(netd.stands_still())).await {
            Either::Left((told, _)) => Some(told),
            Either::Right(((), _)) => None,
        };
        if told.is_some_and(|told| is_over(&owned.container, &told)) {
            return;
        }
    }
    tell_later(netd, owned);
}

/// One task for each container, whatever comes to what is owed meanwhile.
fn tell_later(netd: &Arc<Netd>, owned: &mut Owned) {
    let mut returns = netd.returns();
    // One that is merely slow, or is back already, says so when it has been told that.
    netd.owe_claim();
    if std::mem::replace(&mut owned.is_told_later, true) {
        return;
    }
    let (netd, id) = (netd.clone(), owned.container.id.clone());
    let (containers, mut unheard) = (owned.containers.clone(), owned.unheard.clone());
    tokio::spawn(async move {
        let mut pauses = Pauses::default();
        loop {
            // Outside of the container's turn, which is somebody else's meanwhile.
            if let Some(asked) = unheard.take() {
                asked.await;
            }
            match timeout(pauses.next(), returns.changed()).await {
                Ok(Err(_)) => return,
                // It says when it is back.
                Err(_) if netd.is_still() => continue,
                _ => {}
            }
            let Ok(handle) = containers.registry.find(id.as_str()) else { return netd.owe_claim() };
            match handle.run_with(&netd, |netd, owned| Box::pin(tell_again(netd, owned))).await {
                Ok(Again::No) => return,
                Ok(Again::When(asked)) => unheard = asked,
                // It is gone.
                Err(_) => return netd.owe_claim(),
            }
        }
    });
}

/// Whether netd is told once more, and after what it is still to answer.
enum Again {
    No,
    When(Option<Shared<BoxFuture<'static, ()>>>),
}

async fn tell_again(netd: &Arc<Netd>, owned: &mut Owned) -> Result<Again> {
    let told = try_telling(netd, owned).await;
    if is_over(&owned.container, &told) {
        owned.is_told_later = false;
        return Ok(Again::No);
    }
    if matches!(&told, Err(Error::Netd(error)) if error.is_given_up()) {
        netd.owe_claim();
    }
    Ok(Again::When(owned.unheard.clone()))
}

/// Whether there is nothing more to try; why not is logged.
fn is_over(container: &Container, told: &Result<()>) -> bool {
    let Err(error) = told else { return true };
    let is_refused = matches!(error, Error::Netd(netd_client::Error::Refused { kind, .. })
        if !matches!(kind, Kind::Unavailable | Kind::Internal));
    let then = if is_refused { "it refuses that" } else { "it is told later" };
    tracing::warn!(container = %container.id, "telling netd what the container wants, {then}: {}", chain(error));
    is_refused
}

async fn try_telling(netd: &Arc<Netd>, owned: &mut Owned) -> Result<()> {
    let since = Instant::now();
    let id = owned.container.id.clone();
    timeout(TOLD_WITHIN, tell_now(netd, owned)).await.unwrap_or_else(|_| {
        let request = format!("PUT /v1/sandboxes/{id}");
        Err(Error::Netd(netd_client::Error::TooSlow { request, after: since.elapsed() }))
    })
}

async fn tell_now(netd: &Arc<Netd>, owned: &mut Owned) -> Result<()> {
    hear_out(owned).await;
    if owned.container.sandbox.is_some() && !owned.container.state.network_changes {
        // What others have changed isn't undone by a name.
        refresh::catch_up(netd, owned).await?;
    }
    let (is_change, is_name) = (owned.container.state.network_changes, is_misnamed(&owned.container));
    if !is_change && !is_name {
        return Ok(());
    }
    if owned.container.sandbox.is_some() {
        let request = sandbox::request(&owned.container, netd.owner(), sandbox::namespace_of(&owned.container));
        let (client, id) = (netd.client().clone(), owned.container.id.clone());
        let asked = begin(owned, async move { Ok(client.put_sandbox(id.as_str(), &request).await?) }).await?;
        owned.container.sandbox = Some(asked);
    } else {
        // It has ended since, and what was given up may have come after its end.
        netd.owe_claim();
    }
    owned.container.state.network_changes = false;
    owned.save().await?;
    if is_change {
        tracing::info!(container = %owned.container.id, "netd has been told that a change of the container's network was given up");
    }
    if is_name {
        tracing::info!(container = %owned.container.id, "netd has been told what it is called now");
    }
    Ok(())
}

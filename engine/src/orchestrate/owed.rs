//! Removals of sandboxes that are owed to netd, which couldn't be told when their containers ended. They are tried again,
//! ever less often, until it is done. None of it is stored: the next berthd claims what it still wants, and netd takes down the
//! rest.

use std::sync::Arc;
use std::time::Duration;

use cnm::Kind;
use runtime::spec::Id;
use tokio::time::sleep;

use crate::container::Containers;
use crate::error::{Error, Result, chain};
use crate::netd::{Netd, Removal};

/// Until the first try; doubled after each.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// As long as it takes at the most until the next try.
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// Owes netd to have a container's sandbox taken down. From here on it isn't claimed.
pub(super) fn owe(netd: &Arc<Netd>, containers: &Arc<Containers>, id: &Id) {
    if netd.owe(id.as_str()) {
        tokio::spawn(keep_paying(netd.clone(), containers.clone(), id.clone()));
    }
}

/// The same of one that netd was asked for and hasn't answered about: it may be there or not.
pub(super) fn owe_unheard(netd: &Arc<Netd>, containers: &Arc<Containers>, id: &Id) {
    owe(netd, containers, id);
    netd.owe_claim();
}

/// Has a container's sandbox taken down before its next one is asked for, if that is owed: else netd would answer with the
/// last one. What netd was asked for and hasn't answered about is heard out first.
pub(super) async fn pay(netd: &Netd, id: &Id) -> Result<()> {
    netd.removal_over(id.as_str()).await;
    if netd.owes(id.as_str()) {
        give_back(netd, id).await?;
    }
    Ok(())
}

/// Has netd take a container's sandbox down, to the end whether or not somebody waits for it. Answers whether it is gone.
pub(super) fn removal(netd: &Arc<Netd>, id: &Id) -> Removal {
    let (asking, own) = (netd.clone(), id.clone());
    netd.removal(id.as_str(), async move {
        let given_back = give_back(&asking, &own).await;
        if let Err(error) = &given_back {
            tracing::warn!(container = %own, "removing a sandbox, which is tried again: {}", chain(error));
        }
        given_back.is_ok()
    })
}

/// Has netd take a container's sandbox down; one that has just died is started, or waited for.
async fn give_back(netd: &Netd, id: &Id) -> Result<()> {
    match take_down(netd, id).await {
        Err(Error::Netd(error))
            if error.is_not_running() || matches!(error, netd_client::Error::Interrupted { .. }) =>
        {
            tracing::info!(container = %id, "netd is away, its next one is to remove a sandbox");
            netd.ensure().await?;
            take_down(netd, id).await
        }
        taken_down => taken_down,
    }
}

/// The same of a netd that is there.
async fn take_down(netd: &Netd, id: &Id) -> Result<()> {
    match netd.client().remove_sandbox(id.as_str()).await {
        Err(error) if error.kind() != Kind::NotFound => return Err(error.into()),
        _ => netd.paid(id.as_str()),
    }
    Ok(())
}

async fn keep_paying(netd: Arc<Netd>, containers: Arc<Containers>, id: Id) {
    let mut returns = netd.returns();
    let mut delay = FIRST_DELAY;
    while netd.owes(id.as_str()) {
        tokio::select! {
            () = sleep(delay) => delay = (delay * 2).min(LONGEST_DELAY),
            // netd is as old as the engine.
            _ = returns.changed() => delay = FIRST_DELAY,
        }
        // Asked outside of the container's turn, which one that answers nobody would hold up.
        if netd.client().handshake().await.is_err() {
            continue;
        }
        let paid = match containers.registry.find(id.as_str()) {
            // In its turn, so that nothing is taken down that its next start asks for.
            Ok(handle) => {
                handle
                    .run_with(&netd, |netd, owned| Box::pin(async { try_again(netd, &owned.container.id).await }))
                    .await
            }
            Err(_) => try_again(&netd, &id).await,
        };
        if let Err(error) = paid {
            tracing::debug!(container = %id, "removing a sandbox once more: {}", chain(&error));
        }
    }
    tracing::info!(container = %id, "netd has removed a sandbox that it was owed to be told of");
}

/// Nobody waits for it, so that a netd that isn't there isn't started for it: whoever needs one does that.
async fn try_again(netd: &Netd, id: &Id) -> Result<()> {
    if netd.owes(id.as_str()) {
        take_down(netd, id).await?;
    }
    Ok(())
}

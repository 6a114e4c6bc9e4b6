//! `rename`: another name for a container that keeps its id.

use std::pin::pin;
use std::sync::Arc;

use futures::future::{Either, select};
use runtime::spec::Id;

use crate::container::name;
use crate::container::owned::Owned;
use crate::error::{Error, Result, chain};
use crate::netd::Netd;
use crate::orchestrate::sandbox;

/// Renames the container, at netd as well if it runs; the new name must be free.
pub(crate) async fn rename(netd: &Arc<Netd>, owned: &mut Owned, wanted: &str) -> Result<()> {
    if wanted.is_empty() || wanted == "/" {
        return Err(Error::invalid("Neither old nor new names may be empty"));
    }
    let wanted = name::parse(wanted)?;
    let id = owned.container.id.clone();
    if wanted == owned.container.name {
        return Err(Error::invalid("Renaming a container with the same name as its current name"));
    }
    owned.containers.registry.take_name(&wanted, &id)?;
    let old = std::mem::replace(&mut owned.container.name, wanted);
    let has_changes = owned.container.state.network_changes;
    owned.container.state.network_changes |= owned.container.sandbox.is_some();
    if let Err(error) = owned.save().await {
        owned.container.state.network_changes = has_changes;
        let failed = std::mem::replace(&mut owned.container.name, old);
        owned.containers.registry.release_name(&failed, &id);
        owned.publish();
        return Err(error);
    }
    owned.containers.registry.release_name(&old, &id);
    tell_netd(netd, owned).await;
    owned.containers.tell(&owned.container, "rename", [("oldName", format!("/{old}"))]);
    Ok(())
}

/// Who looks at a network or is refused a port is told the name of today: from now on, or from when netd answers again.
async fn tell_netd(netd: &Arc<Netd>, owned: &mut Owned) {
    let (netd, id) = (netd.clone(), owned.container.id.clone());
    let mut returns = netd.returns();
    let told = !netd.is_still() && {
        match select(pin!(sandbox::unchange(&netd, owned)), pin!(netd.stands_still())).await {
            Either::Left((answer, _)) => is_known(&id, &answer),
            Either::Right(((), _)) => false,
        }
    };
    if told {
        return;
    }
    let containers = owned.containers.clone();
    tokio::spawn(async move {
        // It may have ended and gone meanwhile.
        if returns.changed().await.is_ok()
            && let Ok(handle) = containers.registry.find(id.as_str())
            && is_known(&id, &handle.run_with(&netd, |netd, owned| Box::pin(sandbox::unchange(netd, owned))).await)
        {
            tracing::info!(container = %id, "netd has been told what it is called now");
        }
    });
}

fn is_known(id: &Id, answer: &Result<()>) -> bool {
    if let Err(error) = answer {
        tracing::warn!(container = %id, "telling netd what it is called now: {}", chain(error));
    }
    answer.is_ok()
}

//! What netd tells of a container's sandbox that berthd doesn't know: somebody else changed it in our name, as an administrator
//! can. What is known is brought up to date.

use std::sync::Arc;

use cnm::Kind;
use cnm::api::{Endpoint, Event, EventKind, Sandbox, SandboxState};

use crate::container::owned::Owned;
use crate::container::registry::Registry;
use crate::container::{Container, Handle, WantedEndpoint};
use crate::error::{Result, chain};
use crate::netd::Netd;
use crate::orchestrate::{change, files, ports, recover};
use crate::translate::endpoints::is_on;

/// Looks at what an event is about, if it tells something new. Nobody waits for it.
pub(super) fn handle_event(netd: &Arc<Netd>, containers: &Registry, event: &Event) {
    if event.what == EventKind::Gap {
        containers.all().into_iter().for_each(|handle| look(netd, handle, event));
    } else if let Some(handle) = event.sandbox.as_ref().and_then(|id| containers.find(id).ok())
        // It may be the name of one, too.
        && event.sandbox.as_deref() == Some(handle.id().as_str())
    {
        look(netd, handle, event);
    }
}

fn look(netd: &Arc<Netd>, handle: Handle, event: &Event) {
    if !handle.container().has_sandbox() && event.what == EventKind::Gap {
        return;
    }
    let (netd, event) = (netd.clone(), event.clone());
    tokio::spawn(async move {
        // In the container's turn: what berthd has asked for itself is known by then.
        let looked = handle.run_with(&netd, |netd, owned| {
            Box::pin(async move {
                match is_known(&owned.container, &event) {
                    true => Ok(()),
                    false => refresh(netd, owned).await,
                }
            })
        });
        match looked.await {
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => tracing::warn!(container = %handle.id(), "asking netd what has changed: {}", chain(&error)),
            Ok(()) => {}
        }
    });
}

/// Whether an event tells what is known of a container. Of kinds that this release doesn't know nothing is; of a container
/// that is to have no sandbox nothing is to be known.
fn is_known(container: &Container, event: &Event) -> bool {
    if !container.has_sandbox() {
        return true;
    }
    let Some(sandbox) = &container.sandbox else { return false };
    let has_it = || sandbox.endpoints.iter().any(|endpoint| Some(&endpoint.id) == event.endpoint.as_ref());
    match event.what {
        EventKind::EndpointConnected => has_it(),
        EventKind::EndpointDisconnected => !has_it(),
        EventKind::SandboxCreated => true,
        _ => false,
    }
}

/// Takes over what netd has of a container, and has it made again if that is nothing.
pub(super) async fn refresh(netd: &Arc<Netd>, owned: &mut Owned) -> Result<()> {
    if change::is_owed(&owned.container) {
        // It is berthd's own, which had been given up.
        change::tell(netd, owned).await;
        return Ok(());
    }
    catch_up(netd, owned).await
}

/// What netd has of a container is what is known, from now on.
pub(super) async fn catch_up(netd: &Netd, owned: &mut Owned) -> Result<()> {
    let now = match netd.client().sandbox(owned.container.id.as_str()).await {
        Err(error) if error.kind() == Kind::NotFound => return recover::make_again(netd, owned).await,
        now => now?,
    };
    if owned.container.sandbox.as_ref() == Some(&now) {
        return Ok(());
    }
    take_over(&mut owned.container, &now);
    show(netd, owned, now).await
}

/// The same of a container that a former berthd left, who may not have lived to see what others changed.
pub(super) async fn take_up(netd: &Netd, owned: &mut Owned, now: Sandbox) -> Result<()> {
    let wanted = |container: &Container| (container.endpoints.clone(), container.spec.network.clone());
    let before = wanted(&owned.container);
    if !owned.container.state.network_changes {
        take_over(&mut owned.container, &now);
    }
    owned.container.sandbox = Some(now.clone());
    match wanted(&owned.container) == before {
        true => Ok(()),
        false => show(netd, owned, now).await,
    }
}

/// What others have changed is what the container wants from now on.
fn take_over(container: &mut Container, now: &Sandbox) {
    if now.state == SandboxState::Programmed {
        container.endpoints = wanted_now(container, now);
        ports::take_over(container, now);
    }
}

async fn show(netd: &Netd, owned: &mut Owned, now: Sandbox) -> Result<()> {
    files::refresh_hosts(netd, &owned.containers, &owned.container, &now).await?;
    owned.container.sandbox = Some(now);
    owned.save().await?;
    tracing::info!(container = %owned.container.id, "netd has the container's networks otherwise than berthd knew");
    Ok(())
}

/// The networks that a container is to be on from now on: those that it is on, with what was asked for where it was.
fn wanted_now(container: &Container, sandbox: &Sandbox) -> Vec<WantedEndpoint> {
    let is_live = |wanted: &&WantedEndpoint| sandbox.endpoints.iter().any(|endpoint| is_on(endpoint, &wanted.network));
    let kept: Vec<WantedEndpoint> = container.endpoints.iter().filter(is_live).cloned().collect();
    let is_new = |endpoint: &&Endpoint| !kept.iter().any(|wanted| is_on(endpoint, &wanted.network));
    let new: Vec<WantedEndpoint> = sandbox.endpoints.iter().filter(is_new).map(as_wanted).collect();
    kept.into_iter().chain(new).collect()
}

/// What has to be asked for to have an endpoint again.
fn as_wanted(endpoint: &Endpoint) -> WantedEndpoint {
    let fixed = |is_ipv6: bool| {
        let mut addresses = endpoint.addresses.iter().filter(|held| held.fixed && held.address.is_ipv6() == is_ipv6);
        addresses.next().map(|held| held.address.ip().to_string())
    };
    WantedEndpoint {
        ipv4: fixed(false),
        ipv6: fixed(true),
        aliases: endpoint.aliases.clone(),
        gateway_priority: endpoint.gateway_priority,
        options: endpoint.options.clone(),
        ..WantedEndpoint::on(&endpoint.network_name)
    }
}

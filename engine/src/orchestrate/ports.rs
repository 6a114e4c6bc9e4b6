//! `port add` and `port rm`: ports that a container publishes more or less of, now if it runs, and at its next start.

use std::sync::Arc;

use cnm::api::Sandbox;

use crate::container::network::NetworkSpec;
use crate::container::owned::Owned;
use crate::container::ports::PortChange;
use crate::container::{Container, Published};
use crate::error::Result;
use crate::netd::Netd;
use crate::orchestrate::sandbox;
use crate::translate::ports::port_map;

/// Changes what the container publishes; all of it or nothing.
pub(crate) async fn change(netd: &Arc<Netd>, owned: &mut Owned, change: &PortChange) -> Result<()> {
    sandbox::refuse_lost(&owned.container)?;
    let before = owned.container.clone();
    let live = before.sandbox.as_ref().map(|sandbox| sandbox.ports.as_slice());
    let network = before.spec.network.with_ports(&before.name, change, live)?;
    if live.is_some() {
        let mut wanted = before.clone();
        wanted.spec.network.clone_from(&network);
        owned.container.sandbox = Some(sandbox::change(netd, owned, &wanted).await?);
    }
    set(&mut owned.container, network);
    if let Err(error) = owned.save().await {
        owned.container = before;
        // The record says so as well: it is that of before netd was asked.
        owned.container.state.network_changes = owned.container.sandbox.is_some();
        owned.publish();
        sandbox::unchange_now_or_later(netd, owned, sandbox::TAKEN_BACK).await;
        return Err(error);
    }
    owned.containers.tell(&owned.container, "update", []);
    Ok(())
}

fn set(container: &mut Container, network: NetworkSpec) {
    container.asked.host.set("PortBindings", &port_map(&network.ports));
    container.asked.host.set("PublishAllPorts", &network.publish_all);
    container.spec.network = network;
}

/// What others made of a container's ports in our name is what it publishes from now on, as far as it is known what they were.
pub(super) fn take_over(container: &mut Container, now: &Sandbox) {
    let last = container.last_published.take();
    let Some(known) = container.sandbox.as_ref().map(Published::of).or(last) else { return };
    if let Some(network) = container.spec.network.following(&known, &Published::of(now)) {
        set(container, network);
    }
}

//! `port add` and `port rm`: ports that a container publishes more or less of, now if it runs, and at its next start.

use std::sync::Arc;

use cnm::api::Sandbox;

use crate::container::network::NetworkSpec;
use crate::container::owned::Owned;
use crate::container::ports::PortChange;
use crate::container::{Container, Published};
use crate::error::Result;
use crate::netd::Netd;
use crate::orchestrate::{change, sandbox};
use crate::translate::ports::port_map;

/// Changes what the container publishes; all of it or nothing.
pub(crate) async fn change(netd: &Arc<Netd>, owned: &mut Owned, asked: &PortChange) -> Result<()> {
    sandbox::refuse_lost(&owned.container)?;
    let before = owned.container.clone();
    let live = before.sandbox.as_ref().map(|sandbox| sandbox.ports.as_slice());
    let network = before.spec.network.with_ports(&before.name, asked, live)?;
    if live.is_some() {
        let mut wanted = before.clone();
        wanted.spec.network.clone_from(&network);
        owned.container.sandbox = Some(change::put(netd, owned, &wanted).await?);
    }
    set(&mut owned.container, network);
    change::store(netd, owned, before).await?;
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

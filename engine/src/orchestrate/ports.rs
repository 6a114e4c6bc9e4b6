//! `port add` and `port rm`: ports that a container publishes more or less of, now if it runs, and at its next start.

use std::sync::Arc;

use crate::container::network::NetworkSpec;
use crate::container::owned::Owned;
use crate::container::ports::PortChange;
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
    set(owned, network);
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

fn set(owned: &mut Owned, network: NetworkSpec) {
    owned.container.asked.host.set("PortBindings", &port_map(&network.ports));
    owned.container.asked.host.set("PublishAllPorts", &network.publish_all);
    owned.container.spec.network = network;
}

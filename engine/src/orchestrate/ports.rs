//! `port add` and `port rm`: ports that a container publishes more or less of, now if it runs, and at its next start.

use crate::container::owned::Owned;
use crate::container::ports::PortChange;
use crate::error::Result;
use crate::netd::Netd;
use crate::orchestrate::sandbox;
use crate::translate::ports::port_map;

/// Changes what the container publishes; all of it or nothing.
pub(crate) async fn change(netd: &Netd, owned: &mut Owned, change: &PortChange) -> Result<()> {
    let container = &owned.container;
    let live = container.sandbox.as_ref().map(|sandbox| sandbox.ports.as_slice());
    let network = container.spec.network.with_ports(&container.name, change, live)?;
    if container.sandbox.is_some() {
        let mut wanted = container.clone();
        wanted.spec.network.clone_from(&network);
        owned.container.sandbox = Some(sandbox::change(netd, owned, &wanted).await?);
    }
    owned.container.asked.host.set("PortBindings", &port_map(&network.ports));
    owned.container.asked.host.set("PublishAllPorts", &network.publish_all);
    owned.container.spec.network = network;
    owned.save().await?;
    owned.containers.tell(&owned.container, "update", []);
    Ok(())
}

//! A sandbox's published ports: chosen for its default gateway, and forwarded to another one when that changes.

use super::{Context, State};
use crate::{
    Error,
    endpoint::Endpoint,
    firewall::GatewayMode,
    ports::{PortContext, PortPath, PublishedPort, without},
    sandbox::{Gateways, Sandbox},
    spec::Family,
};

impl State {
    /// Chooses ports for a sandbox and holds them, if it has a default gateway. What is granted already is chosen again.
    pub(super) fn publish(
        &mut self,
        sandbox: &mut Sandbox,
        granted: &[PublishedPort],
        context: &Context<'_>,
    ) -> Result<(), Error> {
        let gateways = sandbox.gateways();
        let Some(way) = gateways.ipv4.or(gateways.ipv6) else { return Ok(()) };
        let leads_to = |endpoint: Option<&Endpoint>, family| {
            let endpoint = endpoint?;
            let mode = self.networks.get(&endpoint.network)?.config.gateway_mode(family)?;
            Some((endpoint.address(family)?.address.ip(), mode))
        };
        let ports = PortContext {
            ephemeral: context.host.ephemeral_ports,
            reserved: &context.host.reserved_ports,
            avoid: context.avoid_ports,
            host_binding: self.networks.get(&way.network).and_then(|network| network.config.host_binding()),
            host_ipv6: context.host.ipv6,
            ipv4: leads_to(gateways.ipv4, Family::Ipv4),
            ipv6: leads_to(gateways.ipv6, Family::Ipv6),
            granted,
        };
        sandbox.ports = self.ports.publish(sandbox.id(), &sandbox.spec.name, &sandbox.spec.ports, ports)?;
        Ok(())
    }

    /// Chooses the ports of a sandbox that is to change: those that are as they were, forwarded to where its gateway is then, and
    /// others where something else is wanted or the gateway is of another mode. All that it has and is to have is held from
    /// here on; nothing changes on an error.
    pub(super) fn change_ports(
        &mut self,
        before: &Sandbox,
        after: &mut Sandbox,
        context: &Context<'_>,
    ) -> Result<(), Error> {
        after.ports.clone_from(&before.ports);
        forward_to_gateway(after);
        if after.spec.ports == before.spec.ports && self.ports_fit(after) {
            return Ok(());
        }
        let granted = std::mem::take(&mut after.ports);
        self.ports.release(&before.ports);
        let published = self.publish(after, &granted, context);
        let rest = if published.is_ok() { without(&before.ports, &after.ports) } else { before.ports.clone() };
        self.ports.restore(before.id(), &before.spec.name, &rest);
        published
    }

    /// A sandbox has these ports alone.
    pub(super) fn set_ports(&mut self, sandbox: &Sandbox, dropped: &[PublishedPort]) {
        self.ports.release(dropped);
        self.ports.release(&sandbox.ports);
        self.ports.restore(sandbox.id(), &sandbox.spec.name, &sandbox.ports);
    }

    /// Whether a sandbox's ports are of the kind that its gateway wants.
    fn ports_fit(&self, sandbox: &Sandbox) -> bool {
        let gateways = sandbox.gateways();
        if sandbox.ports.is_empty() {
            return sandbox.spec.ports.is_empty() || gateways == Gateways::default();
        }
        sandbox.ports.iter().all(|port| {
            let endpoint = gateways.of(Family::of(port.endpoint));
            let network = endpoint.and_then(|endpoint| self.networks.get(&endpoint.network));
            let mode = network.and_then(|network| network.config.gateway_mode(Family::of(port.endpoint)));
            let wanted = match port.path {
                PortPath::Forward | PortPath::Relay => GatewayMode::Nat,
                PortPath::Open => GatewayMode::Routed,
            };
            mode == Some(wanted)
        })
    }
}

/// Forwards each port to the address that its family's gateway endpoint has now.
fn forward_to_gateway(sandbox: &mut Sandbox) {
    let gateways = sandbox.gateways();
    let address = |family| Some(gateways.of(family)?.address(family)?.address.ip());
    let (ipv4, ipv6) = (address(Family::Ipv4), address(Family::Ipv6));
    for port in &mut sandbox.ports {
        let address = match Family::of(port.endpoint) {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        };
        if let Some(address) = address {
            port.forward_to(address);
        }
    }
}

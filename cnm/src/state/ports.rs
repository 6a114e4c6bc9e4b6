//! A sandbox's published ports: chosen for its way out, and led along when that moves.

use super::{Context, State};
use crate::{
    Error,
    endpoint::Endpoint,
    firewall::GatewayMode,
    ports::{PortContext, PortPath},
    sandbox::{Gateways, Sandbox},
    spec::Family,
};

impl State {
    /// Chooses ports for a sandbox and holds them, if it has a way out.
    pub(super) fn publish(&mut self, sandbox: &mut Sandbox, context: &Context<'_>) -> Result<(), Error> {
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
        };
        sandbox.ports = self.ports.publish(sandbox.id(), &sandbox.spec.name, &sandbox.spec.ports, ports)?;
        Ok(())
    }

    /// Leads a sandbox's ports to where its way out is now. The ports on the host stay the same unless the new way wants
    /// others. Nothing changes on an error.
    pub(super) fn rehome_ports(&mut self, sandbox: &mut Sandbox, context: &Context<'_>) -> Result<(), Error> {
        lead_to_way_out(sandbox);
        if self.ports_fit(sandbox) {
            return Ok(());
        }
        let before = std::mem::take(&mut sandbox.ports);
        self.ports.release(&before);
        self.publish(sandbox, context).inspect_err(|_| {
            self.ports.restore(sandbox.id(), &sandbox.spec.name, &before);
        })
    }

    /// Whether a sandbox's ports are of the kind that its way out wants.
    pub(super) fn ports_fit(&self, sandbox: &Sandbox) -> bool {
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

/// Leads each port to the address that its family's way out has now.
pub(super) fn lead_to_way_out(sandbox: &mut Sandbox) {
    let gateways = sandbox.gateways();
    let address = |family| Some(gateways.of(family)?.address(family)?.address.ip());
    let (ipv4, ipv6) = (address(Family::Ipv4), address(Family::Ipv6));
    for port in &mut sandbox.ports {
        let address = match Family::of(port.endpoint) {
            Family::Ipv4 => ipv4,
            Family::Ipv6 => ipv6,
        };
        if let Some(address) = address {
            port.lead_to(address);
        }
    }
}

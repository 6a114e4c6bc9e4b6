//! How a veth pair is made, and put back onto its bridge.

use std::io;

use cnm::{id::LinkName, observed::LinkKind, resource::VethPair};
use nix::errno::Errno;

use super::{About, Message, Reaping, Step, Steps};
use crate::route;

impl Steps for VethPair {
    fn make(&self) -> Vec<Step<'_>> {
        let create = Message::to_host(About::Index(&self.bridge), |given| {
            route::create_veth(self, given.index, given.peer_namespace)
        });
        let create = Message {
            makes: vec![&self.host_end, &self.peer.name],
            peer: Some(&self.peer.namespace),
            reaping: Reaping::WaitFor(self),
            ..create
        };
        let flags = Message::to_host(About::Name(&self.host_end), |given| {
            route::set_port_flags_and_up(self, given.isolated_by_firewall)
        });
        let mac = Message::to_host(About::Index(&self.host_end), |given| route::bind_mac(given.index, self.peer_mac));
        let peer = &self.peer;
        let up = Message::to(&peer.namespace, About::Name(&peer.name), |_| route::set_up(&peer.name));
        vec![create.into(), flags.into(), mac.into(), up.into()]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        let retire = Message::to_host(About::Name(&self.host_end), |_| route::retire(&self.host_end)).removing();
        vec![Message { reaping: Reaping::Delete(self), ..retire }.into()]
    }

    fn restore_link(&self, socket: &mut route::Socket, isolated_by_firewall: bool) -> io::Result<bool> {
        let seen = socket.link(&self.host_end)?.ok_or(Errno::ENODEV)?;
        if seen.up && seen.bridge.as_ref() == Some(&self.bridge) {
            return Ok(false);
        }
        let indexes = socket.indexes(&[self.bridge.clone(), self.host_end.clone()])?;
        let index = |name: &LinkName| indexes.get(name).copied().ok_or(Errno::ENODEV);
        let (bridge, end) = (index(&self.bridge)?, index(&self.host_end)?);
        // Off its bridge a port has forgotten its flags and addresses; down, it doesn't leak until it has them again.
        let up = route::set_port_flags_and_up(self, isolated_by_firewall);
        let port = [route::retire(&self.host_end), route::set_bridge(&self.host_end, bridge), up];
        socket.all(port.into_iter().chain([route::bind_mac(end, self.peer_mac)]).collect()).map(|()| true)
    }

    fn lacking(&self, socket: &mut route::Socket) -> Option<(&'static str, &'static str)> {
        // The same is answered when what should be the bridge isn't one.
        let bridge = socket.link(&self.bridge).ok()??;
        (bridge.kind == LinkKind::Bridge).then_some(("veth pairs", "CONFIG_VETH"))
    }
}

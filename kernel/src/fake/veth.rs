//! A veth pair on the fake host.

use std::collections::BTreeSet;

use cnm::{
    observed::{LinkKind, ObservedLink},
    resource::{LinkAt, VethPair},
};
use nix::errno::Errno;

use super::{State, rules::Rules};

impl Rules for VethPair {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        if state.link(&LinkAt::on_host(&self.bridge))?.kind != LinkKind::Bridge {
            return Err(Errno::EOPNOTSUPP);
        }
        if state.link(&self.peer).is_ok() {
            return Err(Errno::EEXIST);
        }
        if !state.namespaces.contains_key(&self.peer.namespace) {
            return Err(Errno::ENOENT);
        }
        let end = ObservedLink {
            kind: LinkKind::Veth,
            mac: Some(self.peer_mac),
            mtu_bytes: self.mtu_bytes,
            up: true,
            bridge: None,
            addresses: BTreeSet::new(),
        };
        let host_end = LinkAt::on_host(&self.host_end);
        // Its address is the kernel's to choose, and nobody's business.
        state.insert(&host_end, ObservedLink { bridge: Some(self.bridge.clone()), mac: None, ..end.clone() })?;
        state.insert(&self.peer, end)?;
        state.peers.insert(host_end.clone(), self.peer.clone());
        state.peers.insert(self.peer.clone(), host_end);
        Ok(())
    }

    fn remove(&self, state: &mut State) {
        state.delete(&LinkAt::on_host(&self.host_end));
    }

    fn restore_link(&self, state: &mut State) -> Result<bool, Errno> {
        let link = state.link(&LinkAt::on_host(&self.host_end))?;
        let was_right = link.up && link.bridge.as_ref() == Some(&self.bridge);
        (link.up, link.bridge) = (true, Some(self.bridge.clone()));
        Ok(!was_right)
    }
}

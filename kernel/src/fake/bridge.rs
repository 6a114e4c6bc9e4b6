//! A bridge on the fake host.

use std::collections::BTreeSet;

use cnm::{
    observed::{LinkKind, ObservedLink},
    resource::{Bridge, LinkAt},
};
use nix::errno::Errno;

use super::{State, rules::Rules};

impl Rules for Bridge {
    fn make(&self, state: &mut State) -> Result<(), Errno> {
        let link = ObservedLink {
            kind: LinkKind::Bridge,
            mac: Some(self.mac),
            mtu_bytes: self.mtu_bytes,
            up: true,
            bridge: None,
            addresses: BTreeSet::new(),
        };
        state.insert(&LinkAt::on_host(&self.name), link)
    }

    fn remove(&self, state: &mut State) {
        state.delete(&LinkAt::on_host(&self.name));
    }

    fn restore_link(&self, state: &mut State) -> Result<bool, Errno> {
        let link = state.link(&LinkAt::on_host(&self.name))?;
        Ok(!std::mem::replace(&mut link.up, true))
    }
}

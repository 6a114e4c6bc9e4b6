//! How a bridge is made.

use std::io;

use cnm::resource::Bridge;
use nix::errno::Errno;

use super::{About, Message, Step, Steps, Work};
use crate::route;

impl Steps for Bridge {
    fn make(&self) -> Vec<Step<'_>> {
        let create = Message::to_host(About::Nothing, |_| route::create_bridge(self)).making([&self.name]);
        vec![create.into(), Message::to_host(About::Name(&self.name), |_| route::set_bridge_mtu_and_up(self)).into()]
    }

    fn remove(&self) -> Vec<Step<'_>> {
        vec![Step::Work(Work::Retire(&self.name))]
    }

    fn restore_link(&self, socket: &mut route::Socket, _isolated_by_firewall: bool) -> io::Result<bool> {
        let seen = socket.link(&self.name)?.ok_or(Errno::ENODEV)?;
        if seen.up && seen.bridge.is_none() {
            return Ok(false);
        }
        socket.all(vec![route::set_up(&self.name)]).map(|()| true)
    }

    fn lacking(&self, _socket: &mut route::Socket) -> Option<(&'static str, &'static str)> {
        Some(("bridges", "CONFIG_BRIDGE"))
    }
}

//! The rows of docs/engine-api.md, by the minor number of their version and words of their own, and what shows each.

mod containers;
mod host;
mod images;
mod networks;

use super::Check;

/// A row's version and words of it, and what shows it. Those about swarm need none: there is one answer to all of them.
pub(super) type Row = (u8, &'static str, &'static [Check]);

pub(super) fn all() -> impl Iterator<Item = &'static Row> {
    [containers::ROWS, host::ROWS, images::ROWS, networks::ROWS].into_iter().flatten()
}

/// What the host that is asked has: a container on the default network, another on one called `lab`, and an image.
const PLAIN: &str = "/containers/plain/json";
const WEB: &str = "/containers/web/json";
const BUSYBOX: &str = "/images/busybox/json";

//! Name patterns and the route protocol by which links and routes of ours are recognised.

use cnm::id::LinkName;

/// The protocol number (`RTPROT`) of routes that are ours; not used by anything in the kernel's `rtnetlink.h` or
/// iproute2's `rt_protos`.
pub const ROUTE_PROTOCOL: u8 = 98;

/// Whether a link's name follows our patterns: `berth0`, `bb-…` for bridges, `bb-x` and ten digits for those that are
/// being deleted, `bv` and ten digits for host ends.
pub fn is_ours(name: &LinkName) -> bool {
    let bridge = name.as_str().strip_prefix("bb-");
    name.as_str() == "berth0"
        || bridge.is_some_and(|digits| digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        || name.is_host_end()
        || name.is_retired_bridge()
}

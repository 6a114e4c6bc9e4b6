//! The names of things: how what is ours is recognised.

use cnm::id::LinkName;

/// The protocol number (`RTPROT`) of routes that are ours; not used by anything in the kernel's `rtnetlink.h` or
/// iproute2's `rt_protos`.
pub const ROUTE_PROTOCOL: u8 = 98;

/// Whether a link's name follows our patterns: `berth0`, `bb-…` for bridges, `bv` and ten digits for host ends.
pub fn is_ours(name: &LinkName) -> bool {
    let name = name.as_str();
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_hexdigit());
    name == "berth0"
        || name.strip_prefix("bb-").is_some_and(|rest| digits(rest, 12))
        || name.strip_prefix("bv").is_some_and(|rest| digits(rest, 10))
}

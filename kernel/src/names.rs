//! The route protocol by which routes of ours are recognised; links are by their names ([`cnm::id::LinkName::is_ours`]).

/// The protocol number (`RTPROT`) of routes that are ours; not used by anything in the kernel's `rtnetlink.h` or
/// iproute2's `rt_protos`.
pub const ROUTE_PROTOCOL: u8 = 98;

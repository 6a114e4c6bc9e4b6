//! The names of things: how what is ours is recognised, and how errors call what was tried.

use cnm::{
    id::LinkName,
    op::{NamespaceAt, Op},
};

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

/// An operation as it is told in an error, after "cannot".
pub(crate) fn attempt(op: &Op) -> String {
    match op {
        Op::CreateNamespace(sandbox) => format!("create the network namespace of sandbox {sandbox}"),
        Op::DropNamespace(sandbox) => format!("drop the network namespace of sandbox {sandbox}"),
        Op::CreateBridge(bridge) => format!("create bridge {}", bridge.name),
        Op::DeleteBridge(bridge) => format!("delete bridge {}", bridge.name),
        Op::CreateVeth(pair) => {
            format!("create veth {} on bridge {} with {} inside", pair.host_end, pair.bridge, pair.peer)
        }
        Op::RetireVeth(pair) => format!("take veth {} off bridge {}", pair.host_end, pair.bridge),
        Op::AddAddress { link, address } => format!("add address {address} to {link}"),
        Op::RemoveAddress { link, address } => format!("remove address {address} from {link}"),
        Op::AddRoute { namespace, route } => format!("add the route to {} in {}", route.destination, place(namespace)),
        Op::RemoveRoute { namespace, route } => {
            format!("remove the route to {} in {}", route.destination, place(namespace))
        }
        Op::AddNeighbour { namespace, neighbour } => {
            format!("set down neighbour {} on {} in {}", neighbour.address, neighbour.link, place(namespace))
        }
        Op::RemoveNeighbour { namespace, neighbour } => {
            format!("forget neighbour {} on {} in {}", neighbour.address, neighbour.link, place(namespace))
        }
        Op::SetSysctl { namespace, key, value, .. } => format!("set sysctl {key} to {value} in {}", place(namespace)),
        Op::Firewall(_) => "change the firewall".to_owned(),
    }
}

fn place(namespace: &NamespaceAt) -> String {
    match namespace {
        NamespaceAt::Host => "the host's namespace".to_owned(),
        NamespaceAt::Pinned(sandbox) => format!("sandbox {sandbox}"),
        NamespaceAt::Path(path) => path.clone(),
    }
}

//! The table as text for `nft -f`: its sets, chains and rules, which are the same whatever is published. What each part
//! is for is said in `docs/firewall.md`.

use std::fmt::Write;

use super::{element::SetElement, set::Declaration};
use crate::{AdminChains, route::ISOLATED_GROUP};

/// The table. `inet`: one table for both families.
pub(super) const TABLE: &str = "berth";

/// The administrator's chains.
pub(super) const USER_PRE: &str = "user-pre";
/// The administrator's chain for what would be refused.
pub(super) const USER_POST: &str = "user-post";

/// Chains of ours with their hooks and rules, in an order in which each is there before it is jumped to.
const CHAINS: [(&str, &str, &[&str]); 8] = [
    (
        "publish",
        "",
        &[
            "dnat ip to ip daddr . meta l4proto . th dport map @exact4",
            "dnat ip to meta l4proto . th dport map @any4",
            "dnat ip to meta l4proto . th dport map @range4",
            "dnat ip6 to ip6 daddr . meta l4proto . th dport map @exact6",
            "dnat ip6 to meta l4proto . th dport map @any6",
            "dnat ip6 to meta l4proto . th dport map @range6",
        ],
    ),
    (
        "guard",
        "",
        &[
            "ct state established,related accept",
            // With br_netfilter, frames that a bridge of somebody else forwards come by here.
            "meta iifkind \"bridge\" meta oifkind \"bridge\" accept",
            "meta nfproto . iifname @routed_before accept",
            "iifname @others accept",
            "oifname @others accept",
            "drop",
        ],
    ),
    (
        "raw-prerouting",
        "type filter hook prerouting priority raw; policy accept;",
        &[
            "iifname @bridges ip daddr 127.0.0.0/8 drop",
            "iifname @bridges ip saddr 127.0.0.0/8 drop",
            "iifname @bridges meta pkttype != host fib daddr type local drop",
            "iifname \"bv*\" meta pkttype != host fib daddr type local drop",
            // The route back goes first: it is missing only for forged sources and where a bridge has no address.
            "iifname . ether daddr @gateways meta nfproto ipv4 fib saddr . iif oif missing \
             iifname . ip saddr != @home4 drop",
            "iifname . ether daddr @gateways meta nfproto ipv6 ip6 saddr != fe80::/10 fib saddr . iif oif missing \
             iifname . ip6 saddr != @home6 drop",
        ],
    ),
    (
        "nat-prerouting",
        "type nat hook prerouting priority -100; policy accept;",
        &[
            "ip daddr 127.0.0.0/8 return",
            "ip6 daddr ::1 return",
            "meta l4proto { tcp, udp, sctp } fib daddr type local jump publish",
        ],
    ),
    (
        "nat-output",
        "type nat hook output priority -100; policy accept;",
        &["ip6 daddr ::1 return", "meta l4proto { tcp, udp, sctp } fib daddr type local jump publish"],
    ),
    (
        "nat-postrouting",
        "type nat hook postrouting priority 100; policy accept;",
        &[
            "oifname @bridges ct status dnat ip saddr 127.0.0.0/8 masquerade",
            "ct status dnat oifname . ip saddr @home4 masquerade",
            "ct status dnat oifname . ip6 saddr @home6 masquerade",
            "oifname @bridges return",
            "ip saddr @masquerade4 masquerade",
            "ip6 saddr @masquerade6 masquerade",
        ],
    ),
    (
        "input",
        "type filter hook input priority filter; policy accept;",
        &["meta nfproto ipv4 iifname @isolated4 drop", "meta nfproto ipv6 iifname @isolated6 drop"],
    ),
    (
        "forward",
        "type filter hook forward priority filter; policy accept;",
        &[
            "iifname != @bridges oifname != @bridges meta nfproto @guarded goto guard",
            "iifname != @bridges oifname != @bridges accept",
            "jump user-pre",
            "ct state established,related accept",
            "iifname . oifname @inter_container accept",
            "iifname @internal drop",
            "oifname @internal drop",
            "ct status dnat accept",
            "oifname @bridges ip daddr . meta l4proto . th dport @open4 accept",
            "oifname @bridges ip6 daddr . meta l4proto . th dport @open6 accept",
            "oifname @routed4 icmp type echo-request accept",
            "oifname @routed6 icmpv6 type echo-request accept",
            "jump user-post",
            "oifname @bridges drop",
        ],
    ),
];

/// The chain that keeps a bridge's ports apart, in a table of its own: what a bridge forwards passes table `inet` only while
/// `br_netfilter` is on, and nobody is told when that changes.
const BETWEEN_PORTS: &str = "between-ports";

/// Whether the table is to be changed in place or made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Keeps what isn't ours in the table: the administrator's chains and sets.
    InPlace,
    /// Deletes the table first: for one whose sets or chains have another shape than ours.
    Anew,
}

/// What tells whether the kernel has nftables for bridges, when it is checked but not loaded.
pub(super) fn between_ports_alone() -> String {
    let mut text = String::new();
    write_between_ports(&mut text, Load::InPlace).expect("writing to a string can't fail");
    text
}

/// The whole table as one transaction. `administrator` is given if their chains are to be filled too.
pub(super) fn render(
    load: Load,
    sets: &[Declaration],
    elements: &[SetElement],
    administrator: Option<&AdminChains>,
    between_ports: bool,
) -> String {
    let mut text = String::new();
    let mut write = || {
        write_table(&mut text, load, sets, elements, administrator)?;
        if between_ports { write_between_ports(&mut text, load) } else { Ok(()) }
    };
    write().expect("writing to a string can't fail");
    text
}

/// What the host translated was addressed to the bridge itself, and is a packet for the host (`pkttype`) since then, also
/// where `br_netfilter` has the bridge forward it. Its verdict is table `inet`'s.
fn write_between_ports(text: &mut String, load: Load) -> std::fmt::Result {
    if load == Load::Anew {
        writeln!(text, "table bridge {TABLE}\ndelete table bridge {TABLE}")?;
    }
    writeln!(text, "table bridge {TABLE} {{")?;
    writeln!(text, "\tchain {BETWEEN_PORTS} {{ type filter hook forward priority -200; policy accept; }}")?;
    writeln!(text, "}}\nflush chain bridge {TABLE} {BETWEEN_PORTS}")?;
    let both = format!("iifgroup {ISOLATED_GROUP} oifgroup {ISOLATED_GROUP}");
    writeln!(text, "add rule bridge {TABLE} {BETWEEN_PORTS} {both} meta pkttype != host drop")
}

fn write_table(
    text: &mut String,
    load: Load,
    sets: &[Declaration],
    elements: &[SetElement],
    administrator: Option<&AdminChains>,
) -> std::fmt::Result {
    if load == Load::Anew {
        // So that deleting it succeeds if it isn't there.
        writeln!(text, "table inet {TABLE}\ndelete table inet {TABLE}")?;
    }
    writeln!(text, "table inet {TABLE} {{")?;
    for set in sets {
        writeln!(text, "\t{set}")?;
    }
    writeln!(text, "\tchain {USER_PRE} {{ }}\n\tchain {USER_POST} {{ }}")?;
    for (name, hook, _) in CHAINS {
        writeln!(text, "\tchain {name} {{ {hook} }}")?;
    }
    writeln!(text, "}}")?;
    for (name, _, _) in CHAINS {
        writeln!(text, "flush chain inet {TABLE} {name}")?;
    }
    // What expires stays: only the kernel knows for how long.
    for set in sets.iter().filter(|set| !set.timeout) {
        writeln!(text, "flush {} inet {TABLE} {}", set.kind(), set.name)?;
    }
    if let Some(AdminChains { pre, post }) = administrator {
        for (chain, rules) in [(USER_PRE, pre), (USER_POST, post)] {
            writeln!(text, "flush chain inet {TABLE} {chain}")?;
            for rule in rules {
                writeln!(text, "add rule inet {TABLE} {chain} {rule}")?;
            }
        }
    }
    for (name, _, rules) in CHAINS {
        for rule in rules {
            writeln!(text, "add rule inet {TABLE} {name} {rule}")?;
        }
    }
    write_elements(text, sets, elements)
}

fn write_elements(text: &mut String, sets: &[Declaration], elements: &[SetElement]) -> std::fmt::Result {
    for Declaration { name, .. } in sets {
        let mut separator = "";
        for element in elements.iter().filter(|element| element.set == *name) {
            if separator.is_empty() {
                write!(text, "add element inet {TABLE} {name} {{ ")?;
            }
            write!(text, "{separator}{element}")?;
            separator = ", ";
        }
        if !separator.is_empty() {
            writeln!(text, " }}")?;
        }
    }
    Ok(())
}

//! What is taken for the network namespace of a sandbox that nobody keeps any more: one rule for the real host and the fake.

use cnm::observed::{LinkKind, ObservedLink, ObservedNamespace};

/// What is known of a namespace that is said to be a sandbox's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'c> {
    /// It is the host's own.
    pub(crate) is_hosts: bool,
    /// It is kept for a sandbox.
    pub(crate) is_kept: bool,
    /// Whether one of the sandbox's host ends has its other end there, as the host's kernel says; none of a sandbox without
    /// links. What is inside proves nothing: who lives there gives links names, numbers and MAC addresses.
    pub(crate) has_an_end: Option<bool>,
    /// What is inside.
    pub(crate) inside: &'c ObservedNamespace,
}

impl Candidate<'_> {
    /// Why it can't be the sandbox's, if something speaks against it.
    pub(crate) fn objection(&self) -> Option<&'static str> {
        if self.is_hosts {
            return Some("it is the host's");
        }
        if self.is_kept {
            return Some("it is another sandbox's");
        }
        match self.has_an_end {
            Some(true) => None,
            Some(false) => Some("it has none of the sandbox's links"),
            None if self.inside.links.values().any(is_of_somebody) => Some("it has links, and the sandbox has none"),
            None => None,
        }
    }
}

/// Whether somebody has made or set up a link: beside the loopback device a namespace begins with one of each kind of tunnel
/// that the kernel has a module of (`fb_tunnels_only_for_init_net`), and those are down.
fn is_of_somebody(link: &ObservedLink) -> bool {
    match link.kind {
        LinkKind::Loopback => false,
        LinkKind::Bridge | LinkKind::Veth => true,
        LinkKind::Other => link.up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(links: &[(LinkKind, bool)]) -> ObservedNamespace {
        let links = links.iter().enumerate().map(|(number, (kind, up))| {
            let (mac, bridge, addresses) = (None, None, Default::default());
            let link = ObservedLink { kind: *kind, mac, mtu_bytes: 1500, up: *up, bridge, addresses };
            (format!("eth{number}").parse().expect("a name"), link)
        });
        ObservedNamespace { links: links.collect(), ..ObservedNamespace::default() }
    }

    #[test]
    fn what_is_inside_says_whose_it_is_only_where_the_sandbox_has_no_links() {
        use LinkKind::{Bridge, Loopback, Other, Veth};
        let lone = [(Loopback, true)];
        let tunnels = [(Loopback, true), (Other, false)];
        let links = [(Loopback, true), (Veth, false)];
        for (is_hosts, is_kept, has_an_end, inside, refused) in [
            (false, false, None, &lone[..], None),
            (false, false, None, &[(Loopback, false)], None),
            (false, false, None, &tunnels, None),
            (false, false, None, &links, Some("it has links, and the sandbox has none")),
            (false, false, None, &[(Bridge, false)], Some("it has links, and the sandbox has none")),
            (false, false, None, &[(Other, true)], Some("it has links, and the sandbox has none")),
            (false, false, Some(true), &links, None),
            (false, false, Some(false), &links, Some("it has none of the sandbox's links")),
            (false, false, Some(false), &lone, Some("it has none of the sandbox's links")),
            (true, false, None, &lone, Some("it is the host's")),
            (true, false, Some(true), &links, Some("it is the host's")),
            (false, true, None, &lone, Some("it is another sandbox's")),
            (false, true, Some(true), &links, Some("it is another sandbox's")),
        ] {
            let inside = with(inside);
            let candidate = Candidate { is_hosts, is_kept, has_an_end, inside: &inside };
            assert_eq!(candidate.objection(), refused, "{candidate:?}");
        }
    }
}

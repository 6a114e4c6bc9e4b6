//! What a sandbox has been granted, to be looked up: a request may hold thousands of ports, and all of them are gone through where
//! netd decides.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use super::{HostAddress, PortPath, PublishedPort};
use crate::{firewall::Protocol, spec::PortSpec};

/// Ports that lead to the same place in the same way, by how far the port on the host is from that in the container.
type Way = (Protocol, HostAddress, PortPath, IpAddr, i32);

/// A granted run of ports: its place among those that were granted, and its last port on the host.
#[derive(Debug, Clone, Copy)]
struct Run {
    index: usize,
    last: u16,
}

/// The ports that a sandbox has been granted.
#[derive(Debug, Default)]
pub(super) struct GrantedPorts {
    /// Where the choice was ours: the ports on the host that lead to one in the container, in the order in which they were granted.
    by_container: BTreeMap<(Protocol, u16), Vec<(HostAddress, u16)>>,
    /// Those ports on the host.
    ours: BTreeSet<(Protocol, u16)>,
    /// All, by their first port on the host. No run is within another of its way: the later one to begin is the later one to end.
    runs: HashMap<Way, BTreeMap<u16, Run>>,
}

impl GrantedPorts {
    pub(super) fn new(granted: &[PublishedPort]) -> Self {
        let mut all = Self::default();
        for port in granted.iter().filter(|port| !port.fixed && port.path != PortPath::Open) {
            for offset in 0..port.count {
                let (on_host, container) = (port.host_first + offset, port.container_first + offset);
                all.by_container.entry((port.protocol, container)).or_default().push((port.host, on_host));
                all.ours.insert((port.protocol, on_host));
            }
        }
        let mut longest_first: Vec<(usize, &PublishedPort)> = granted.iter().enumerate().collect();
        longest_first.sort_by_key(|(_, port)| (port.host_first, Reverse(port.host_last())));
        for (index, port) in longest_first {
            let runs = all.runs.entry(way(port)).or_default();
            let is_within_another = runs.last_key_value().is_some_and(|(_, run)| run.last >= port.host_last());
            if !is_within_another {
                runs.insert(port.host_first, Run { index, last: port.host_last() });
            }
        }
        all
    }

    /// Whether one of a spec's ports has a port of our choice.
    pub(super) fn has_some_of(&self, spec: &PortSpec) -> bool {
        let last = spec.container_first + (spec.count - 1);
        self.by_container.range((spec.protocol, spec.container_first)..=(spec.protocol, last)).next().is_some()
    }

    /// Whether a port on the host was our choice.
    pub(super) fn has_chosen(&self, protocol: Protocol, port: u16) -> bool {
        self.ours.contains(&(protocol, port))
    }

    /// The ports of one of the host's addresses that were our choice and lead to a port of the container.
    pub(super) fn chosen_for(
        &self,
        protocol: Protocol,
        container: u16,
        host: HostAddress,
    ) -> impl Iterator<Item = u16> + '_ {
        let all = self.by_container.get(&(protocol, container)).into_iter().flatten();
        all.filter(move |(on, _)| *on == host).map(|(_, port)| *port)
    }

    /// Joins what follows on each other on both sides: ports chosen one by one become one range again. What has been granted
    /// stays as it is beside what comes: the run that it is in the firewall isn't touched.
    pub(super) fn join_runs(&self, ports: Vec<PublishedPort>) -> Vec<PublishedPort> {
        let mut joined: Vec<PublishedPort> = Vec::with_capacity(ports.len());
        // Where the last run of each kind is.
        let mut last = HashMap::new();
        for (port, run_of) in ports.into_iter().flat_map(|port| self.cut(port)) {
            let kind = (port.protocol, port.host, port.path, port.endpoint, port.fixed, run_of);
            match last.get(&kind).and_then(|index: &usize| joined.get_mut(*index)) {
                Some(run)
                    if run.host_last().checked_add(1) == Some(port.host_first)
                        && run.container_first.checked_add(run.count) == Some(port.container_first) =>
                {
                    run.count += port.count;
                }
                _ => {
                    last.insert(kind, joined.len());
                    joined.push(port);
                }
            }
        }
        joined
    }

    /// The parts of a run that have been granted, each with the granted run that it is of, and those that haven't.
    fn cut(&self, port: PublishedPort) -> Vec<(PublishedPort, Option<usize>)> {
        let Some(runs) = self.runs.get(&way(&port)) else { return vec![(port, None)] };
        let mut parts = Vec::new();
        let mut rest = Some(port);
        while let Some(port) = rest.take() {
            let first = port.host_first;
            let begun = runs.range(..=first).next_back().filter(|(_, run)| run.last >= first);
            let (run_of, edge) = match begun {
                Some((_, run)) => (Some(run.index), run.last),
                None => (None, runs.range(first..).next().map_or(u16::MAX, |(start, _)| start - 1)),
            };
            let (part, after) = port.split_after(edge);
            parts.push((part, run_of));
            rest = after;
        }
        parts
    }
}

fn way(port: &PublishedPort) -> Way {
    let shift = i32::from(port.host_first) - i32::from(port.container_first);
    (port.protocol, port.host, port.path, port.endpoint, shift)
}

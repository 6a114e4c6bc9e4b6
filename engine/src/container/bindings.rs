//! Bindings of a container's ports, found by what they publish on the host. Pure values.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use cnm::api::PublishedPort;

use super::network::{Port, PortBinding, Protocol};
use super::ports::HostPortRange;
use crate::error::{Error, Result};

/// How well a binding explains a port of the host that is published: by its very number, as one of a range, or as any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Any,
    OneOf,
    Exact,
}

impl Fit {
    /// How well it does at the best.
    pub(super) fn of(binding: &PortBinding) -> Self {
        match binding.host {
            None => Self::Any,
            Some(range) if range.first == range.last => Self::Exact,
            Some(_) => Self::OneOf,
        }
    }
}

/// What is known of a container's ports: those that it has, or those that it is to have.
#[derive(Clone, Copy)]
pub(super) enum Known {
    Live,
    Named,
}

/// Ports of the host that lead to a container: the address there, and the port that each leads to.
pub(super) struct LivePorts(HashMap<(Protocol, u16), Vec<(IpAddr, u16)>>);

impl LivePorts {
    pub(super) fn of(live: &[PublishedPort]) -> Self {
        let mut ports: HashMap<_, Vec<_>> = HashMap::new();
        for range in live {
            let Some(protocol) = Protocol::from_name(&range.protocol) else { continue };
            for (host, container) in
                (range.host_first..=u16::MAX).zip(range.container_first..=u16::MAX).take(range.count.into())
            {
                ports.entry((protocol, host)).or_default().push((range.host_ip, container));
            }
        }
        Self(ports)
    }

    fn leading_from(&self, protocol: Protocol, host: u16) -> &[(IpAddr, u16)] {
        self.0.get(&(protocol, host)).map_or(&[], Vec::as_slice)
    }
}

/// Bindings, found by the port that they name: there may be as many of them as ports, and as many to be removed.
#[derive(Default)]
pub(super) struct Bindings {
    /// None where one was removed.
    all: Vec<Option<PortBinding>>,
    /// Those that name one port of the host, by that.
    exact: HashMap<(Protocol, u16), Vec<usize>>,
    /// The others, by the container's port.
    loose: HashMap<Port, Vec<usize>>,
}

impl Bindings {
    pub(super) fn of(bindings: Vec<PortBinding>) -> Self {
        let mut all = Self::default();
        bindings.into_iter().for_each(|binding| all.push(binding));
        all
    }

    pub(super) fn push(&mut self, binding: PortBinding) {
        let places = match (Fit::of(&binding), binding.host) {
            (Fit::Exact, Some(host)) => self.exact.entry((binding.container.protocol, host.first)).or_default(),
            _ => self.loose.entry(binding.container).or_default(),
        };
        places.push(self.all.len());
        self.all.push(Some(binding));
    }

    /// Those that are left.
    pub(super) fn left(self) -> Vec<PortBinding> {
        self.all.into_iter().flatten().collect()
    }

    /// Takes away what publishes a port of the host.
    pub(super) fn remove(
        &mut self,
        name: &str,
        asked: HostPortRange,
        number: u16,
        live: &LivePorts,
        known: Known,
    ) -> Result<()> {
        let protocol = asked.protocol.as_str();
        let on = asked.host_ip.map_or_else(String::new, |ip| format!(" on {ip}"));
        let places = self.explaining(asked, number, live);
        let mut gone: Vec<PortBinding> = places.iter().filter_map(|place| self.all[*place]).collect();
        gone.sort_unstable();
        let Some(first) = gone.first() else {
            let by = match known {
                Known::Live => format!("published by container {name}"),
                Known::Named => format!("among those that container {name} names for its next start"),
            };
            return Err(Error::not_found(format!("port {number}/{protocol}{on} of the host is not {by}")));
        };
        if gone.windows(2).any(|two| two[0] == two[1]) {
            return Err(Error::conflict(format!(
                "port {number}/{protocol}{on} can't be removed alone: container port {} is published more than once on ports \
                 that berth chose",
                first.container
            )));
        }
        places.into_iter().for_each(|place| self.all[place] = None);
        Ok(())
    }

    /// Where those are that explain a port of the host best.
    fn explaining(&self, asked: HostPortRange, number: u16, live: &LivePorts) -> BTreeSet<usize> {
        let protocol = asked.protocol;
        let is_asked = |place: &usize| {
            self.all[*place].is_some_and(|binding| asked.host_ip.is_none_or(|ip| binding.host_ip == Some(ip)))
        };
        let exact = self.exact.get(&(protocol, number)).into_iter().flatten().copied().filter(is_asked);
        let exact: BTreeSet<usize> = exact.collect();
        if !exact.is_empty() {
            return exact;
        }
        let mut fits = Vec::new();
        for (ip, container) in live.leading_from(protocol, number) {
            let loose = self.loose.get(&Port { protocol, number: *container }).into_iter().flatten().copied();
            fits.extend(loose.filter(is_asked).filter_map(|place| {
                let binding = self.all[place]?;
                let leads = binding.host_ip.is_none_or(|wanted| wanted == *ip) && includes(&binding, number);
                leads.then_some((Fit::of(&binding), place))
            }));
        }
        let best = fits.iter().map(|(fit, _)| *fit).max();
        fits.into_iter().filter(|(fit, _)| Some(*fit) == best).map(|(_, place)| place).collect()
    }

    /// Refuses a port of the host that another binding of the container names.
    pub(super) fn check_free(&self, name: &str, wanted: &PortBinding, number: u16) -> Result<()> {
        let protocol = wanted.container.protocol;
        let mut others = self.exact.get(&(protocol, number)).into_iter().flatten().filter_map(|place| self.all[*place]);
        if others.any(|other| addresses_meet(other.host_ip, wanted.host_ip)) {
            let on = wanted.host_ip.map_or_else(String::new, |ip| format!(" on {ip}"));
            return Err(Error::conflict(format!(
                "port {number}/{}{on} is already published by container {name}: port is already allocated",
                protocol.as_str()
            )));
        }
        Ok(())
    }
}

/// Whether a binding may be on a port of the host.
fn includes(binding: &PortBinding, number: u16) -> bool {
    binding.host.is_none_or(|range| (range.first..=range.last).contains(&number))
}

/// Whether one address is or includes the other.
fn addresses_meet(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()))
}

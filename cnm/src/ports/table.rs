//! The allocation of host ports: who has which, and the choice of free ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use super::{HostAddress, PortPath, PublishedPort, granted::GrantedPorts};
use crate::{
    Error, Kind,
    api::PortRange,
    firewall::{GatewayMode, Protocol},
    id::SandboxId,
    spec::{Family, HostPorts, PortSpec},
};

/// What ports may be chosen from, and in front of what.
#[derive(Debug, Clone, Copy)]
pub struct PortContext<'a> {
    /// Host ports for callers who name none.
    pub ephemeral: PortRange,
    /// Never chosen: reserved by the administrator.
    pub reserved: &'a BTreeSet<u16>,
    /// Never chosen: found in use by somebody else.
    pub avoid: &'a BTreeSet<(Protocol, u16)>,
    /// The host's address where the caller names none.
    pub host_binding: Option<IpAddr>,
    /// The host speaks IPv6.
    pub host_ipv6: bool,
    /// The endpoint's IPv4 address with the mode of its network's gateway.
    pub ipv4: Option<(IpAddr, GatewayMode)>,
    /// The endpoint's IPv6 address with the mode of its network's gateway.
    pub ipv6: Option<(IpAddr, GatewayMode)>,
    /// What the same sandbox has been granted: chosen again for the same ports of the container, and its runs stay runs.
    pub granted: &'a [PublishedPort],
}

/// What all specs of a request have in common.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    holder: &'a SandboxId,
    name: &'a str,
    context: PortContext<'a>,
    granted: &'a GrantedPorts,
}

/// Who holds which ports of the host.
#[derive(Debug, Clone, Default)]
pub struct PortTable {
    /// By the first port of each run.
    allocated: BTreeMap<(Protocol, HostAddress), BTreeMap<u16, Allocation>>,
    /// The ephemeral port chosen last: freed ones rest for a round.
    last_ephemeral: u16,
}

/// A run of ports of one address and the sandbox that has them.
#[derive(Debug, Clone)]
struct Allocation {
    last: u16,
    holder: SandboxId,
    name: String,
}

/// Where a spec's ports lead: the host's side and the way from there.
#[derive(Debug, Clone, Copy)]
struct Target {
    host: HostAddress,
    path: PortPath,
    endpoint: IpAddr,
}

impl PortTable {
    /// Chooses host ports for all specs and holds them for the sandbox, or refuses and holds nothing.
    ///
    /// # Errors
    /// When a port is published already (the holder is named), none is free, or the endpoint can't be reached by it.
    pub fn publish(
        &mut self,
        holder: &SandboxId,
        name: &str,
        specs: &[PortSpec],
        context: PortContext<'_>,
    ) -> Result<Vec<PublishedPort>, Error> {
        let granted = GrantedPorts::new(context.granted);
        let request = Request { holder, name, context, granted: &granted };
        let mut by_spec = vec![Vec::new(); specs.len()];
        for index in most_particular_first(specs, &granted) {
            match self.publish_one(&specs[index], request) {
                Ok(ports) => by_spec[index] = ports,
                Err(error) => {
                    self.release(&by_spec.concat());
                    return Err(error);
                }
            }
        }
        Ok(granted.join_runs(by_spec.concat()))
    }

    fn publish_one(&mut self, spec: &PortSpec, request: Request<'_>) -> Result<Vec<PublishedPort>, Error> {
        let targets = targets(spec, request.context)?;
        let listening: Vec<HostAddress> =
            targets.iter().filter(|target| target.path != PortPath::Open).map(|target| target.host).collect();
        let runs: Vec<(u16, u16, u16)> = if listening.is_empty() {
            vec![(spec.container_first, spec.container_first, spec.count)]
        } else {
            self.choose(spec, &listening, request)?
        };
        let mut published = Vec::with_capacity(runs.len() * targets.len());
        for (host_first, container_first, count) in runs {
            for Target { host, path, endpoint } in targets.iter().copied() {
                let host_first = if path == PortPath::Open { container_first } else { host_first };
                let fixed = spec.is_fixed();
                let protocol = spec.protocol;
                published.push(PublishedPort {
                    protocol,
                    host,
                    host_first,
                    container_first,
                    count,
                    path,
                    endpoint,
                    fixed,
                });
            }
        }
        self.restore(request.holder, request.name, &published);
        Ok(published)
    }

    /// The runs (host's first, container's first, count) for a spec; nothing is held yet.
    fn choose(
        &mut self,
        spec: &PortSpec,
        addresses: &[HostAddress],
        request: Request<'_>,
    ) -> Result<Vec<(u16, u16, u16)>, Error> {
        let protocol = spec.protocol;
        match spec.host {
            HostPorts::From(first) => {
                let last = first + (spec.count - 1);
                match addresses.iter().find_map(|host| Some((host, self.conflict(protocol, *host, first, last)?))) {
                    Some((host, conflict)) => Err(conflict.refusal(request.holder, protocol, *host)),
                    None => Ok(vec![(first, spec.container_first, spec.count)]),
                }
            }
            HostPorts::OneOf(range) => {
                let again = self.again(spec, spec.container_first, addresses, request);
                let again = again.filter(|port| (range.first..=range.last).contains(port));
                let is_free = |port: &u16| self.is_free(protocol, addresses, *port, request.context);
                let free = again.or_else(|| (range.first..=range.last).find(is_free));
                let free = free.ok_or_else(|| {
                    Error::new(
                        Kind::Conflict,
                        format!(
                            "no free port is left on {} among {}-{}/{protocol}: all are published or in use",
                            addresses[0], range.first, range.last
                        ),
                    )
                })?;
                Ok(vec![(free, spec.container_first, 1)])
            }
            HostPorts::Ephemeral => self.choose_ephemeral(spec, addresses, request),
        }
    }

    fn choose_ephemeral(
        &mut self,
        spec: &PortSpec,
        addresses: &[HostAddress],
        request: Request<'_>,
    ) -> Result<Vec<(u16, u16, u16)>, Error> {
        let Request { context, granted, .. } = request;
        let PortRange { first, last } = context.ephemeral;
        let mut runs = Vec::with_capacity(usize::from(spec.count));
        let start = if (first..last).contains(&self.last_ephemeral) { self.last_ephemeral + 1 } else { first };
        let mut candidates = (start..=last).chain(first..start);
        for offset in 0..spec.count {
            let container = spec.container_first + offset;
            if let Some(again) = self.again(spec, container, addresses, request) {
                runs.push((again, container, 1));
                continue;
            }
            let is_free = |port: &u16| {
                self.is_free(spec.protocol, addresses, *port, context) && !granted.has_chosen(spec.protocol, *port)
            };
            let free = candidates.find(is_free);
            let free = free.ok_or_else(|| {
                Error::new(
                    Kind::Conflict,
                    format!("no free port is left in the host's ephemeral range {first}-{last}/{}", spec.protocol),
                )
            })?;
            self.last_ephemeral = free;
            runs.push((free, container, 1));
        }
        Ok(runs)
    }

    /// The host's port that leads to a container's port already, if it was our choice and is still to be had.
    fn again(&self, spec: &PortSpec, container: u16, addresses: &[HostAddress], request: Request<'_>) -> Option<u16> {
        let is_free = |port: &u16| {
            let others = addresses.iter().find_map(|host| self.conflict(spec.protocol, *host, *port, *port));
            others.is_none() && !request.context.avoid.contains(&(spec.protocol, *port))
        };
        request.granted.chosen_for(spec.protocol, container, *addresses.first()?).find(is_free)
    }

    fn is_free(&self, protocol: Protocol, addresses: &[HostAddress], port: u16, context: PortContext<'_>) -> bool {
        !context.reserved.contains(&port)
            && !context.avoid.contains(&(protocol, port))
            && addresses.iter().all(|host| self.conflict(protocol, *host, port, port).is_none())
    }

    /// A run held on an address that has a port of `first..=last` in common with `host`. Every address of a family
    /// stands in the way of each single one, and the other way round.
    fn conflict(&self, protocol: Protocol, host: HostAddress, first: u16, last: u16) -> Option<Conflict<'_>> {
        let any = match host.family() {
            Family::Ipv4 => HostAddress::AnyIpv4,
            Family::Ipv6 => HostAddress::AnyIpv6,
        };
        let exact = match host {
            HostAddress::Exact(address) => address..=address,
            HostAddress::AnyIpv4 => exact_range(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into()),
            HostAddress::AnyIpv6 => exact_range(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from(u128::MAX).into()),
        };
        let singles = (protocol, HostAddress::Exact(*exact.start()))..=(protocol, HostAddress::Exact(*exact.end()));
        let whole = (protocol, any)..=(protocol, any);
        self.allocated.range(whole).chain(self.allocated.range(singles)).find_map(|((_, on), runs)| {
            let (start, allocated) =
                runs.range(..=last).next_back().filter(|(_, allocated)| allocated.last >= first)?;
            Some(Conflict { port: first.max(*start), on: *on, allocated })
        })
    }

    /// Holds ports chosen before.
    pub fn restore(&mut self, holder: &SandboxId, name: &str, ports: &[PublishedPort]) {
        for port in ports.iter().filter(|port| port.path != PortPath::Open) {
            let allocated = Allocation { last: port.host_last(), holder: holder.clone(), name: name.to_owned() };
            self.allocated.entry((port.protocol, port.host)).or_default().insert(port.host_first, allocated);
        }
    }

    /// Gives ports back.
    pub fn release(&mut self, ports: &[PublishedPort]) {
        for port in ports.iter().filter(|port| port.path != PortPath::Open) {
            let key = (port.protocol, port.host);
            let Some(runs) = self.allocated.get_mut(&key) else { continue };
            // A published run may be made of several held ones, or be a part of one, see `GrantedPorts::join_runs`.
            let (first, last) = (port.host_first, port.host_last());
            let met = runs.range(..=last).rev().take_while(|(_, allocated)| allocated.last >= first);
            let met: Vec<(u16, Allocation)> = met.map(|(start, allocated)| (*start, allocated.clone())).collect();
            for (start, allocated) in met {
                runs.remove(&start);
                if allocated.last > last {
                    runs.insert(last + 1, allocated.clone());
                }
                if start < first {
                    runs.insert(start, Allocation { last: first - 1, ..allocated });
                }
            }
            if runs.is_empty() {
                self.allocated.remove(&key);
            }
        }
    }
}

/// The order in which ports are given: whoever leaves the choice to us takes no port that another spec names, but for those
/// that it has.
fn most_particular_first(specs: &[PortSpec], granted: &GrantedPorts) -> Vec<usize> {
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_cached_key(|index| match specs[*index].host {
        HostPorts::OneOf(_) | HostPorts::Ephemeral if granted.has_some_of(&specs[*index]) => 0,
        HostPorts::From(_) => 1,
        HostPorts::OneOf(_) => 2,
        HostPorts::Ephemeral => 3,
    });
    order
}

fn exact_range(first: IpAddr, last: IpAddr) -> RangeInclusive<IpAddr> {
    first..=last
}

/// A port that somebody has.
struct Conflict<'a> {
    port: u16,
    on: HostAddress,
    allocated: &'a Allocation,
}

impl Conflict<'_> {
    fn refusal(&self, asking: &SandboxId, protocol: Protocol, host: HostAddress) -> Error {
        let port = self.port;
        let elsewhere = if self.on == host { String::new() } else { format!(" on {}", self.on) };
        if self.allocated.holder == *asking {
            return Error::invalid(format!("port {port}/{protocol} on {host} is published twice by this request"));
        }
        Error::new(
            Kind::Conflict,
            // The end is what Docker says, and scripts look for.
            format!(
                "port {port}/{protocol} on {host} is already published{elsewhere} by sandbox {}: port is already allocated",
                self.allocated.name
            ),
        )
    }
}

/// Where the ports of a spec are published and by which way each leads to the endpoint.
fn targets(spec: &PortSpec, context: PortContext<'_>) -> Result<Vec<Target>, Error> {
    let Some(address) = spec.host_address.or(context.host_binding) else {
        let open_ipv6 = context.ipv6.is_some_and(|(_, mode)| mode == GatewayMode::Routed);
        let ipv4 = target(spec, HostAddress::AnyIpv4, context).ok();
        // Without being asked for, IPv6 is used where it can be had.
        let ipv6 = (context.host_ipv6 || open_ipv6).then(|| target(spec, HostAddress::AnyIpv6, context).ok()).flatten();
        let targets: Vec<Target> = ipv4.into_iter().chain(ipv6).collect();
        if targets.is_empty() {
            return Err(unreachable(spec, HostAddress::AnyIpv4, "the endpoint has no address that it could lead to"));
        }
        return Ok(targets);
    };
    let host = HostAddress::new(address);
    if host.family() == Family::Ipv6 && !context.host_ipv6 {
        return Err(unreachable(spec, host, "this host has no IPv6"));
    }
    Ok(vec![target(spec, host, context)?])
}

fn target(spec: &PortSpec, host: HostAddress, context: PortContext<'_>) -> Result<Target, Error> {
    let same_family = match host.family() {
        Family::Ipv4 => context.ipv4,
        Family::Ipv6 => context.ipv6,
    };
    match (same_family, context.ipv4) {
        (Some((_, GatewayMode::Isolated)), _) => {
            Err(unreachable(spec, host, "the endpoint's network is isolated from the host"))
        }
        (Some((endpoint, GatewayMode::Nat)), _) => Ok(Target { host, path: PortPath::Forward, endpoint }),
        (Some((endpoint, GatewayMode::Routed)), _) if host.exact().is_none() => {
            Ok(Target { host: HostAddress::Exact(endpoint), path: PortPath::Open, endpoint })
        }
        (Some((endpoint, GatewayMode::Routed)), _) => Err(unreachable(
            spec,
            host,
            &format!("in gateway mode routed ports are open on the endpoint's own address {endpoint}"),
        )),
        (None, Some((endpoint, GatewayMode::Nat))) if spec.protocol != Protocol::Sctp => {
            Ok(Target { host, path: PortPath::Relay, endpoint })
        }
        (None, Some((_, GatewayMode::Nat))) => {
            Err(unreachable(spec, host, "SCTP can't be relayed to an endpoint without IPv6 address"))
        }
        (None, _) => Err(unreachable(spec, host, &format!("the endpoint has no {} address", host.family()))),
    }
}

fn unreachable(spec: &PortSpec, host: HostAddress, why: &str) -> Error {
    Error::invalid(format!(
        "container port {}/{} can't be published on {host}: {why}",
        spec.container_first, spec.protocol
    ))
}

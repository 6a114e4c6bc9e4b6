//! Which containers a list shows: Docker's filters of `ps` and of `container prune`.

use std::sync::Arc;

use images::ImageId;
use jiff::Timestamp;

use crate::container::mount::MountPointKind;
use crate::container::network::Protocol;
use crate::container::{Container, Phase};
use crate::error::{Error, Result};
use crate::filters::{Filters, Patterns};
use crate::moment;
use crate::translate::endpoints;

const KNOWN: [&str; 17] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
    "label!",
    "until",
];
const STATUSES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Filters of a list, understood, with everything that they name found.
pub(crate) struct Selection {
    filters: Filters,
    names: Patterns,
    exit_codes: Vec<u8>,
    ports: PortFilter,
    /// Of images that the `ancestor` filter names.
    ancestors: Option<Vec<ImageId>>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What a filter may name and only the engine can find.
pub(crate) struct Lookup<'a> {
    /// When a container was created.
    pub(crate) created: &'a dyn Fn(&str) -> Result<Timestamp>,
    /// An image and all images that stand on it; none if there is no such image.
    pub(crate) image: &'a dyn Fn(&str) -> Result<Vec<ImageId>>,
    /// For `until=10m`.
    pub(crate) now: Timestamp,
}

/// Ports that must be published or exposed.
#[derive(Default)]
struct PortFilter {
    published: Vec<Range>,
    exposed: Vec<Range>,
}

struct Range {
    first: u16,
    last: u16,
    protocol: Protocol,
}

impl Selection {
    /// Understands the filters, or refuses them by name.
    pub(crate) fn parse(filters: Filters, lookup: &Lookup<'_>) -> Result<Self> {
        let filters = filters.only(&KNOWN)?;
        one_of(&filters, "status", &STATUSES)?;
        one_of(&filters, "health", &HEALTHS)?;
        filters.flag("is-task")?;
        let when = |name| filters.single(name).map(|value| value.map(lookup.created).transpose());
        let ancestors: Option<Vec<Vec<ImageId>>> =
            filters.has("ancestor").then(|| filters.values("ancestor").map(lookup.image).collect()).transpose()?;
        Ok(Self {
            names: filters.patterns("name")?,
            exit_codes: filters.values("exited").map(exit_code).collect::<Result<_>>()?,
            ports: PortFilter {
                published: filters.values("publish").map(range).collect::<Result<_>>()?,
                exposed: filters.values("expose").map(range).collect::<Result<_>>()?,
            },
            ancestors: ancestors.map(|images| images.concat()),
            before: when("before")??,
            since: when("since")??,
            until: moment::parse_optional(filters.single("until")?, lookup.now)?,
            filters,
        })
    }

    /// Whether only containers that aren't running could be meant: then they are listed without `--all`.
    pub(crate) fn names_a_state(&self) -> bool {
        self.filters.has("status") || self.filters.has("exited")
    }

    /// Whether the list shows this container.
    pub(crate) fn shows(&self, container: &Container) -> bool {
        self.by_identity(container) && self.by_state(container) && self.by_network(container)
    }

    fn by_identity(&self, container: &Container) -> bool {
        let label = |key: &str| container.spec.labels.get(key).map(String::as_str);
        // Docker matches names with and without their slash.
        let named = self.names.allow(&container.name) || self.names.allow(&format!("/{}", container.name));
        named
            && self.filters.allows_prefix("id", container.id.as_str())
            && self.filters.allows_labels(label)
            && self.filters.allows_absent_labels(label)
            && self.ancestors.as_ref().is_none_or(|images| images.contains(&container.image.id))
            && self.before.is_none_or(|before| container.created < before)
            && self.since.is_none_or(|since| container.created > since)
            && self.until.is_none_or(|until| container.created < until)
    }

    fn by_state(&self, container: &Container) -> bool {
        let state = &container.state;
        let ended =
            self.exit_codes.is_empty() || (state.phase == Phase::Exited && self.exit_codes.contains(&state.exit_code));
        ended
            && self.filters.allows("status", state.phase.as_str())
            && self.filters.allows("health", state.health.as_ref().map_or("none", |health| health.status.as_str()))
            // No container is a task of a swarm, or is isolated as only Windows can.
            && self.filters.flag("is-task").ok().flatten().is_none_or(|task| !task)
            && self.filters.allows("isolation", "default")
    }

    fn by_network(&self, container: &Container) -> bool {
        let on_network = |wanted: &str| {
            let asked = container.endpoints.iter().any(|endpoint| endpoint.network == wanted);
            let live = container.sandbox.iter().flat_map(|sandbox| &sandbox.endpoints);
            asked || live.into_iter().any(|endpoint| endpoints::is_on(endpoint, wanted))
        };
        let mounts = |wanted: &str| {
            container.spec.mounts.iter().any(|mount| {
                mount.destination.as_os_str() == wanted
                    || match &mount.kind {
                        MountPointKind::Volume { name, .. } => name.as_str() == wanted,
                        MountPointKind::Bind { source, .. } => source.as_os_str() == wanted,
                        MountPointKind::Tmpfs { .. } => false,
                    }
            })
        };
        (!self.filters.has("network") || self.filters.values("network").any(on_network))
            && (!self.filters.has("volume") || self.filters.values("volume").any(mounts))
            && self.ports.allows(container)
    }
}

impl PortFilter {
    fn allows(&self, container: &Container) -> bool {
        let shown = endpoints::ports(container);
        let published = |range: &Range| {
            shown.iter().any(|port| port.public_port.is_some_and(|public| range.has(public, &port.protocol)))
        };
        let exposed = |range: &Range| {
            container.spec.network.exposed.iter().any(|port| range.has(port.number, port.protocol.as_str()))
        };
        (self.published.is_empty() || self.published.iter().any(published))
            && (self.exposed.is_empty() || self.exposed.iter().any(exposed))
    }
}

impl Range {
    fn has(&self, port: u16, protocol: &str) -> bool {
        (self.first..=self.last).contains(&port) && self.protocol.as_str() == protocol
    }
}

/// `80`, `80/udp`, `80-90/tcp`.
fn range(text: &str) -> Result<Range> {
    let invalid =
        || Error::invalid(format!("invalid port filter {text:?}: a port or range is expected, as in 80-90/tcp"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    Ok(Range {
        first: first.parse().map_err(|_| invalid())?,
        last: last.parse().map_err(|_| invalid())?,
        protocol: Protocol::from_name(protocol).ok_or_else(invalid)?,
    })
}

fn exit_code(text: &str) -> Result<u8> {
    text.parse().map_err(|_| Error::invalid(format!("invalid filter 'exited={text}': an exit code is expected")))
}

fn one_of(filters: &Filters, name: &str, allowed: &[&str]) -> Result<()> {
    match filters.values(name).find(|value| !allowed.contains(value)) {
        Some(value) => {
            Err(Error::invalid(format!("invalid filter '{name}={value}': one of {} is expected", allowed.join(", "))))
        }
        None => Ok(()),
    }
}

/// The containers in the order of lists: the newest first.
pub(crate) fn newest_first(containers: &mut [Arc<Container>]) {
    containers.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
}

//! A request to create a container, and the image's configuration, as a validated container.

mod devices;
mod endpoints;
pub(crate) mod limits;
mod links;
mod log;
mod mounts;
mod namespaces;
mod ports;
mod process;
mod security;
mod tmpfs;
mod unsupported;
mod versions;
mod volumes;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

pub(crate) use endpoints::endpoint;
use images::{Image, ImageConfig};
use jiff::Timestamp;
pub(crate) use ports::bindings as port_bindings;
pub(crate) use process::merge_environment;
use runtime::spec::Id;
pub(crate) use unsupported::RUNTIMES;
pub(crate) use versions::adapt;

use crate::container::mount::MountPoint;
use crate::container::network::NetworkMode;
use crate::container::restart::RestartPolicy;
use crate::container::spec::{AttachDefaults, StopSpec};
use crate::container::state::State;
use crate::container::{ApiObject, Container, CreateRequest, ImageUse, Spec};
use crate::error::{Error, Result};
use crate::signal;
use crate::translate::{health, restart};
use crate::volume::VolumeRequest;
use crate::wire::create::CreateBody;

/// The context of a translation: what it has to know of this host, and can't find out by itself.
pub(crate) struct CreateContext<'a> {
    /// What limits are about.
    pub(crate) machine: Machine<'a>,
    /// Containers see only their own part of the cgroup tree unless told otherwise (cgroup v2).
    pub(crate) private_cgroups: bool,
    /// The host's own name.
    pub(crate) host_name: &'a str,
    /// Another container, whose namespaces are to be joined or to which a link leads.
    pub(crate) container: &'a dyn Fn(&str) -> Result<Joined>,
    /// What is mounted into another container.
    pub(crate) mounts: &'a dyn Fn(&str) -> Result<Vec<MountPoint>>,
    /// 64 hexadecimal digits, for an anonymous volume.
    pub(crate) random_id: &'a dyn Fn() -> String,
}

/// The processors, memory and devices of this host.
pub(crate) struct Machine<'a> {
    /// CPUs online.
    pub(crate) cpus: u32,
    /// Memory nodes online.
    pub(crate) memory_nodes: u32,
    /// A device node of the host.
    pub(crate) device: &'a dyn Fn(&str) -> Result<DeviceNode>,
}

/// A device node of the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeviceNode {
    pub(crate) kind: runtime::spec::DeviceKind,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Another container, whose namespaces are to be joined or to which a link leads.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) hostname: String,
    pub(crate) domainname: String,
}

/// Who the new container is.
pub(crate) struct Identity {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
}

/// A container to be made, and what its maker should know.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) container: Container,
    /// Volumes that it needs.
    pub(crate) volumes: Vec<VolumeRequest>,
    pub(crate) warnings: Vec<String>,
}

/// The container that a request asks for.
pub(crate) fn container(
    identity: Identity,
    mut body: CreateBody,
    image: &Image,
    context: &CreateContext<'_>,
) -> Result<Translated> {
    unsupported::check(&body)?;
    if body.config.network_disabled.unwrap_or_default() {
        body.host.network_mode = Some("none".to_owned());
        body.networking.endpoints_config = None;
    }
    ports::refuse_shared(&body.config, &body.host)?;
    merge_image(&mut body, &image.config)?;
    let mut warnings = Vec::new();
    let joined = namespaces::resolve(&identity.name, &body.host, context)?;
    let names = namespaces::host_names(&identity.id, &body.config, &body.host, &joined, context)?;
    let sysctls = namespaces::sysctls(&body.host, &joined)?;
    let links = links::wanted(&body.host, &joined.network, context)?;
    let network = ports::network_spec(&body.config, &body.host, &joined.network, links, &mut warnings)?;
    let endpoints = endpoints::wanted(&body, &network.mode)?;
    let security = security::security(&body.host)?;
    let process = process::process(&body.config, &body.host, &names.hostname, &security)?;
    let restart = restart::policy(body.host.restart_policy.as_ref())?;
    let health = health::spec(body.config.healthcheck.as_ref(), body.config.shell.as_deref())?;
    let auto_remove = body.host.auto_remove.unwrap_or_default();
    if auto_remove && restart != RestartPolicy::No {
        return Err(Error::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    let mounts = mounts::mounts(&body.config, &body.host, context)?;
    let devices = devices::devices(&body.host, &mounts.points, &context.machine)?;
    let resources = limits::resources(&body.host, &context.machine, &mut warnings)?;
    let spec = Spec {
        process,
        attach: AttachDefaults {
            stdin: body.config.attach_stdin.unwrap_or_default(),
            stdout: body.config.attach_stdout.unwrap_or_default(),
            stderr: body.config.attach_stderr.unwrap_or_default(),
        },
        hostname: names.hostname.clone(),
        domainname: names.domainname.clone(),
        mounts: mounts.points,
        readonly_rootfs: body.host.readonly_rootfs.unwrap_or_default(),
        shm_size_bytes: limits::shm_size(&body.host)?,
        namespaces: joined.namespaces,
        resources,
        devices,
        privileged: security.privileged,
        sysctls,
        masked_paths: security.masked_paths,
        readonly_paths: security.readonly_paths,
        oom_score_adj: limits::oom_score_adj(&body.host)?,
        init: body.host.init.unwrap_or_default(),
        cgroup_parent: limits::cgroup_parent(&body.host)?,
        log: log::log(body.host.log_config.clone().unwrap_or_default())?,
        stop: stop(&body.config)?,
        labels: body.config.labels.clone().unwrap_or_default().into_iter().collect(),
        auto_remove,
        restart,
        health,
        network,
    };
    let reference = body.config.image.clone().unwrap_or_default();
    show_as_understood(&mut body, &identity.name, &spec);
    let container = Container {
        id: identity.id,
        name: identity.name,
        created: identity.created,
        image: ImageUse { id: image.id, reference },
        spec,
        endpoints,
        state: State::default(),
        asked: Box::new(CreateRequest { config: ApiObject::of(&body.config), host: ApiObject::of(&body.host) }),
        sandbox: None,
        last_published: None,
    };
    Ok(Translated { container, volumes: mounts.volumes, warnings })
}

/// Fills in what the image says and the request doesn't.
fn merge_image(body: &mut CreateBody, image: &ImageConfig) -> Result<()> {
    let (config, image) = (&mut body.config, &image.config);
    process::merge_command(config, image);
    config.env = Some(merge_environment(&image.env, config.env.take().unwrap_or_default())?);
    let mut labels: BTreeMap<String, String> = image.labels.clone();
    labels.extend(config.labels.take().unwrap_or_default());
    config.labels = Some(labels.into_iter().collect());
    fill(&mut config.user, &image.user);
    fill(&mut config.working_dir, &image.working_dir);
    config.working_dir = config.working_dir.as_deref().map(process::plain_working_directory);
    fill(&mut config.stop_signal, image.stop_signal.as_deref().unwrap_or_default());
    union(&mut config.exposed_ports, image.exposed_ports.keys());
    union(&mut config.volumes, image.volumes.keys());
    config.healthcheck = health::merge(config.healthcheck.take(), image.healthcheck.as_ref());
    if config.shell.as_ref().is_none_or(Vec::is_empty) {
        config.shell.clone_from(&image.shell);
    }
    if config.on_build.is_none() {
        config.on_build.clone_from(&image.on_build);
    }
    Ok(())
}

fn fill(field: &mut Option<String>, default: &str) {
    if field.as_deref().unwrap_or_default().is_empty() && !default.is_empty() {
        *field = Some(default.to_owned());
    }
}

fn union<'a>(field: &mut Option<Vec<String>>, more: impl Iterator<Item = &'a String>) {
    let mut all = field.take().unwrap_or_default();
    all.extend(more.cloned());
    all.sort_unstable();
    all.dedup();
    *field = Some(all);
}

/// What inspect shows in other words than the request: the host name if that left it open, the network mode by the name that
/// it stands for, links with the names of both sides, and no limits where it wanted none.
fn show_as_understood(body: &mut CreateBody, own: &str, spec: &Spec) {
    let links = spec.network.links.iter();
    let links: Vec<String> = links.map(|link| format!("/{}:/{own}/{}", link.container_name, link.alias)).collect();
    body.host.links = (!links.is_empty()).then_some(links);
    body.config.hostname = Some(spec.hostname.clone());
    body.config.domainname = Some(spec.domainname.clone());
    // Clients write numbers for having none, too.
    body.host.pids_limit = body.host.pids_limit.filter(|limit| *limit > 0);
    body.host.memory_swappiness = body.host.memory_swappiness.filter(|share| *share >= 0);
    body.host.network_mode = Some(match &spec.network.mode {
        NetworkMode::Network(name) => name.clone(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Container(id) => format!("container:{id}"),
    });
}

/// `10m`, `1g`, `512`; `-1` is no limit.
fn size(text: &str) -> Result<Option<u64>> {
    bytes(text, 1024)
}

/// The same where a `k` is that many.
fn bytes(text: &str, kilo: u64) -> Result<Option<u64>> {
    let invalid = || Error::invalid(format!("invalid size: '{text}'"));
    if text == "-1" {
        return Ok(None);
    }
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, power) = match bare.chars().last() {
        Some('k') => (&bare[..bare.len() - 1], 1),
        Some('m') => (&bare[..bare.len() - 1], 2),
        Some('g') => (&bare[..bare.len() - 1], 3),
        _ => (bare, 0),
    };
    let number: u64 = digits.parse().ok().filter(|_| !digits.starts_with('+')).ok_or_else(invalid)?;
    number.checked_mul(kilo.pow(power)).filter(|bytes| *bytes > 0).map(Some).ok_or_else(invalid)
}

fn stop(config: &crate::wire::models::ContainerConfig) -> Result<StopSpec> {
    let default = StopSpec::default();
    Ok(StopSpec {
        signal: match config.stop_signal.as_deref().unwrap_or_default() {
            "" => default.signal,
            text => signal::parse(text)?,
        },
        timeout_seconds: config.stop_timeout.unwrap_or(default.timeout_seconds),
    })
}

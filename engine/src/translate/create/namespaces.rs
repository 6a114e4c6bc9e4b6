//! Which namespaces a container has of its own and which it shares, and what it is called.

use std::collections::BTreeMap;

use runtime::spec::{Id, IpcNamespace, Namespaces, OwnOrHost, PidNamespace};

use super::{CreateContext, Joined};
use crate::container::network::NetworkMode;
use crate::error::{Error, Result};
use crate::wire::models::{ContainerConfig, HostConfig, HostConfigCgroupnsModeEnum as CgroupMode};

/// The namespaces of a request, with the containers that it names found.
pub(super) struct Resolved {
    pub(super) namespaces: Namespaces,
    pub(super) network: NetworkMode,
    /// Whose network is shared: also its names are.
    network_of: Option<Joined>,
}

pub(super) fn resolve(own: &str, host: &HostConfig, context: &CreateContext<'_>) -> Result<Resolved> {
    let join = |what: &'static str| move |reference: &str| other(own, what, reference, context);
    let mut network_of = None;
    let network = match host.network_mode.as_deref().unwrap_or_default() {
        "" | "default" | "bridge" => NetworkMode::Network("bridge".to_owned()),
        "host" => NetworkMode::Host,
        "none" => NetworkMode::None,
        mode => match mode.strip_prefix("container:") {
            None => NetworkMode::Network(mode.to_owned()),
            Some("") => {
                return Err(Error::invalid("invalid network mode: invalid container format container:<name|id>"));
            }
            Some(reference) => {
                let other = join("network")(reference)?;
                let id = other.id.clone();
                network_of = Some(other);
                NetworkMode::Container(id)
            }
        },
    };
    let namespaces = Namespaces {
        pid: pid(host.pid_mode.as_deref().unwrap_or_default(), join("PID namespace"))?,
        ipc: ipc(host.ipc_mode.as_deref().unwrap_or_default(), join("IPC namespace"))?,
        uts: match host.uts_mode.as_deref().unwrap_or_default() {
            "" => OwnOrHost::Own,
            "host" => OwnOrHost::Host,
            other => return Err(Error::invalid(format!("invalid UTS mode: {other}"))),
        },
        cgroup: match host.cgroupns_mode.unwrap_or(CgroupMode::EMPTY) {
            CgroupMode::PRIVATE => OwnOrHost::Own,
            CgroupMode::HOST => OwnOrHost::Host,
            CgroupMode::EMPTY if host.privileged.unwrap_or_default() => OwnOrHost::Host,
            CgroupMode::EMPTY if context.private_cgroups => OwnOrHost::Own,
            CgroupMode::EMPTY => OwnOrHost::Host,
        },
    };
    Ok(Resolved { namespaces, network, network_of })
}

/// The container whose namespace is to be joined by the one that will be called `own`.
fn other(own: &str, what: &str, reference: &str, context: &CreateContext<'_>) -> Result<Joined> {
    if reference.strip_prefix('/').unwrap_or(reference) == own {
        return Err(Error::invalid(format!(
            "cannot join own {what}: container {own} can't have from itself what it has not"
        )));
    }
    (context.container)(reference)
        .map_err(|error| Error::invalid(format!("cannot join a namespace of container: {}", error.message())))
}

fn pid(mode: &str, join: impl Fn(&str) -> Result<Joined>) -> Result<PidNamespace> {
    match (mode, mode.strip_prefix("container:")) {
        ("", _) => Ok(PidNamespace::Own),
        ("host", _) => Ok(PidNamespace::Host),
        (_, Some(reference)) => Ok(PidNamespace::Container(join(reference)?.id)),
        (other, None) => Err(Error::invalid(format!("invalid PID mode: {other}"))),
    }
}

fn ipc(mode: &str, join: impl Fn(&str) -> Result<Joined>) -> Result<IpcNamespace> {
    match (mode, mode.strip_prefix("container:")) {
        ("" | "private", _) => Ok(IpcNamespace::Private),
        ("shareable", _) => Ok(IpcNamespace::Shareable),
        ("host", _) => Ok(IpcNamespace::Host),
        (_, Some(reference)) => Ok(IpcNamespace::Container(join(reference)?.id)),
        (other, None) => Err(Error::invalid(format!("invalid IPC mode: {other}"))),
    }
}

/// What a container is called.
pub(super) struct HostNames {
    pub(super) hostname: String,
    pub(super) domainname: String,
}

/// The names asked for; else those of whoever the network or the UTS namespace belongs to, else the short id.
pub(super) fn host_names(
    id: &Id,
    config: &ContainerConfig,
    host: &HostConfig,
    resolved: &Resolved,
    context: &CreateContext<'_>,
) -> Result<HostNames> {
    let asked = config.hostname.clone().unwrap_or_default();
    let domainname = match config.domainname.as_deref().unwrap_or_default() {
        "" => String::new(),
        name if is_host_name(name) => name.to_owned(),
        name => return Err(Error::invalid(format!("invalid domainname format: {name}"))),
    };
    if !asked.is_empty() && host.uts_mode.as_deref() == Some("host") {
        return Err(Error::invalid("conflicting options: hostname and the UTS mode"));
    }
    if let Some(other) = &resolved.network_of {
        if !asked.is_empty() {
            return Err(Error::invalid("conflicting options: hostname and the network mode"));
        }
        return Ok(HostNames { hostname: other.hostname.clone(), domainname: other.domainname.clone() });
    }
    let shares_host = resolved.network == NetworkMode::Host || host.uts_mode.as_deref() == Some("host");
    let hostname = match asked.as_str() {
        "" if shares_host => context.host_name.to_owned(),
        "" => crate::container::short(id).to_owned(),
        name if is_host_name(name) => name.to_owned(),
        name => return Err(Error::invalid(format!("invalid hostname format: {name}"))),
    };
    Ok(HostNames { hostname, domainname })
}

/// The kernel's limit is 64 bytes; more than letters would let a line of `/etc/hosts` be forged.
fn is_host_name(name: &str) -> bool {
    name.len() <= 63
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && !name.starts_with(['-', '.'])
}

/// Settings of System V IPC; those of message queues are below `fs.mqueue`.
const OF_IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// More than any setting of a namespace takes.
const SYSCTL_MAX_BYTES: usize = 4096;

/// Only settings that belong to a namespace of the container's own, by names with dots.
pub(super) fn sysctls(host: &HostConfig, resolved: &Resolved) -> Result<BTreeMap<String, String>> {
    let shares_ipc = matches!(resolved.namespaces.ipc, IpcNamespace::Host | IpcNamespace::Container(_));
    // Whoever has the host's network from another container is refused when it starts.
    let shares_network = resolved.network == NetworkMode::Host;
    let mut wanted = BTreeMap::new();
    for (name, value) in host.sysctls.iter().flatten() {
        let dotted = name.replace('/', ".");
        let refuse = |why: &str| Err(Error::invalid(format!("sysctl {name:?} {why}")));
        if !dotted.split('.').all(is_part_of_sysctl) {
            return refuse("is not the name of one: write words with a dot between each two");
        }
        if value.len() > SYSCTL_MAX_BYTES {
            return refuse(&format!("has a value of {} bytes: {SYSCTL_MAX_BYTES} is the most", value.len()));
        }
        if value.contains(|letter: char| letter.is_control() && letter != '\t') {
            return refuse(&format!("can't be {value:?}: a value is one line"));
        }
        let of_ipc = OF_IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.");
        let of_network = dotted.starts_with("net.");
        if !of_ipc && !of_network {
            return refuse("is not allowed: it belongs to no namespace of the container's own");
        }
        if of_network && shares_network {
            return refuse("not allowed in host network namespace");
        }
        if of_ipc && shares_ipc {
            return refuse("not allowed in an IPC namespace that is not the container's own");
        }
        if wanted.insert(dotted, value.clone()).is_some() {
            return refuse("is given twice: its parts may have dots or slashes between them, which is the same");
        }
    }
    Ok(wanted)
}

/// Parts become names of files below `/proc/sys`.
fn is_part_of_sysctl(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic())
}

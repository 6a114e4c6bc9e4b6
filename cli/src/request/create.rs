//! `run` and `create` flags → the container that the engine is asked for.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard_stubs::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum as CgroupNamespace,
    HostConfigIsolationEnum as Isolation, HostConfigLogConfig, RestartPolicy, RestartPolicyNameEnum as Restart,
};

use crate::flags::ContainerLimitFlags;
use crate::flags::create::{CreateFlags, IsolationFlags, LimitFlags, ManagementFlags, ProcessFlags, StorageFlags};

use super::attachment::{Attachments, some};
use super::error::{RequestError, flag};
use super::mount::{Volumes, parse_mount};
use super::port::Ports;
use super::security::{CGROUP, IPC, PID, SecurityOptions, USER, UTS};
use super::{LocalContext, device, disk, gpus, health, host, pairs, quantity, ulimit};

/// A container to be.
#[derive(Debug)]
pub(crate) struct CreateRequest {
    /// Its name; the engine draws one when absent.
    pub(crate) name: Option<String>,
    /// Platform of the image, as the engine takes it.
    pub(crate) platform: Option<String>,
    /// When the image is pulled.
    pub(crate) pull: PullPolicy,
    /// A pull shows nothing.
    pub(crate) quiet: bool,
    /// Where to write the id.
    pub(crate) cidfile: Option<PathBuf>,
    /// Which of its streams are attached to ours.
    pub(crate) streams: Streams,
    /// It has a terminal.
    pub(crate) tty: bool,
    /// It is removed when it has ended.
    pub(crate) auto_remove: bool,
    /// What the engine is told.
    pub(crate) body: ContainerCreateBody,
}

/// Streams of a container that are attached to ours.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Streams {
    /// Whether any is.
    pub(crate) fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// Makes the request of the flags; with `detach`, nothing is attached.
///
/// # Errors
/// Names the flag that is wrong.
pub(crate) fn create_request(
    flags: &CreateFlags,
    detach: bool,
    local: &LocalContext<'_>,
) -> Result<CreateRequest, RequestError> {
    let streams = streams(&flags.process, detach)?;
    let ports = Ports::parse(&flags.network.publish, &flags.network.expose)?;
    let volumes = Volumes::parse(&flags.storage.volume, &local.directory)?;
    let attachments = Attachments::parse(&flags.network)?;
    let host_config = host_config(flags, &ports, volumes.binds, attachments.mode, local)?;
    let (image, command) = flags
        .image_and_command
        .split_first()
        .filter(|(image, _)| !image.is_empty())
        .ok_or_else(|| RequestError::Invalid("invalid reference format: the image's name is empty".to_owned()))?;
    let (process, management) = (&flags.process, &flags.management);
    let body = ContainerCreateBody {
        hostname: flags.network.hostname.clone(),
        domainname: flags.network.domainname.clone(),
        user: process.user.clone(),
        attach_stdin: Some(streams.stdin),
        attach_stdout: Some(streams.stdout),
        attach_stderr: Some(streams.stderr),
        exposed_ports: some(ports.exposed()),
        tty: Some(process.tty),
        open_stdin: Some(process.interactive),
        stdin_once: Some(process.interactive && streams.stdin),
        env: some(pairs::environment(&process.env, &process.env_file, local)?),
        cmd: some(command.to_vec()),
        image: Some(image.clone()),
        volumes: some(volumes.anonymous),
        working_dir: process.workdir.clone(),
        // One empty word is how the API says "none, not even the image's".
        entrypoint: process.entrypoint.clone().map(|word| vec![word]),
        labels: Some(pairs::labels(&management.label, &management.label_file, local)?),
        healthcheck: health::parse(&flags.health)?,
        stop_signal: process.stop_signal.clone(),
        stop_timeout: process.stop_timeout,
        host_config: Some(host_config),
        networking_config: attachments.networking,
        ..ContainerCreateBody::default()
    };
    Ok(CreateRequest {
        name: management.name.clone().filter(|name| !name.is_empty()),
        platform: platform(management.platform.as_deref())?,
        pull: pull_policy(&management.pull)?,
        quiet: management.quiet,
        cidfile: management.cidfile.clone().filter(|file| !file.is_empty()).map(PathBuf::from),
        streams,
        tty: process.tty,
        auto_remove: management.rm,
        body,
    })
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullPolicy {
    /// Each time.
    Always,
    /// When it isn't there.
    Missing,
    Never,
}

fn pull_policy(text: &str) -> Result<PullPolicy, RequestError> {
    match text {
        "always" => Ok(PullPolicy::Always),
        "missing" | "" => Ok(PullPolicy::Missing),
        "never" => Ok(PullPolicy::Never),
        other => Err(RequestError::Invalid(format!(
            "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
        ))),
    }
}

fn streams(flags: &ProcessFlags, detach: bool) -> Result<Streams, RequestError> {
    if detach && !flags.attach.is_empty() {
        return Err(RequestError::Conflict("cannot specify both --attach and --detach".to_owned()));
    }
    if detach {
        return Ok(Streams::default());
    }
    if flags.attach.is_empty() {
        return Ok(Streams { stdin: flags.interactive, stdout: true, stderr: true });
    }
    let mut streams = Streams::default();
    for stream in &flags.attach {
        match stream.to_lowercase().as_str() {
            "stdin" => streams.stdin = true,
            "stdout" => streams.stdout = true,
            "stderr" => streams.stderr = true,
            _ => return Err(flag("-a, --attach", stream, "valid streams are STDIN, STDOUT and STDERR")),
        }
    }
    Ok(streams)
}

fn host_config(
    flags: &CreateFlags,
    ports: &Ports,
    binds: Vec<String>,
    network_mode: String,
    local: &LocalContext<'_>,
) -> Result<HostConfig, RequestError> {
    let mut config = HostConfig {
        network_mode: Some(network_mode),
        port_bindings: Some(ports.bindings()).filter(|bindings| !bindings.is_empty()),
        publish_all_ports: Some(flags.network.publish_all),
        dns: some(collect(&flags.network.dns, host::dns_server)?),
        dns_search: some(collect(&flags.network.dns_search, host::search_domain)?),
        dns_options: some(flags.network.dns_option.clone()),
        extra_hosts: some(collect(&flags.network.add_host, host::extra_host)?),
        links: some(collect(&flags.network.link, host::link)?),
        binds: some(binds),
        init: flags.process.init.then_some(true),
        group_add: some(flags.process.group_add.clone()),
        console_size: local
            .terminal_size
            .filter(|_| flags.process.tty)
            .map(|(rows, columns)| vec![rows.into(), columns.into()]),
        ..HostConfig::default()
    };
    set_storage(&mut config, &flags.storage, local)?;
    set_limits(&mut config, &flags.limits)?;
    set_isolation(&mut config, &flags.isolation, local)?;
    set_management(&mut config, &flags.management)?;
    Ok(config)
}

fn set_storage(config: &mut HostConfig, flags: &StorageFlags, local: &LocalContext<'_>) -> Result<(), RequestError> {
    config.mounts = some(collect(&flags.mount, |spec| parse_mount(spec, &local.directory))?);
    let tmpfs = flags.tmpfs.iter().map(|spec| spec.split_once(':').unwrap_or((spec, "")));
    let tmpfs = tmpfs.map(|(path, options)| match path.starts_with('/') {
        true => Ok((path.to_owned(), options.to_owned())),
        false => Err(flag("--tmpfs", path, format_args!("'{path}' is not an absolute path"))),
    });
    config.tmpfs = some_map(tmpfs.collect::<Result<_, _>>()?);
    config.volumes_from = some(flags.volumes_from.clone());
    config.volume_driver = flags.volume_driver.clone();
    config.readonly_rootfs = Some(flags.read_only);
    config.shm_size = bytes("--shm-size", flags.shm_size.as_deref())?;
    config.devices = some(collect(&flags.device, device::parse)?);
    config.device_cgroup_rules = some(flags.device_cgroup_rule.clone());
    config.device_requests = flags.gpus.as_deref().map(gpus::parse).transpose()?.map(|request| vec![request]);
    config.storage_opt = some_map(storage_options(&flags.storage_opt)?);
    Ok(())
}

fn set_limits(config: &mut HostConfig, flags: &LimitFlags) -> Result<(), RequestError> {
    let ContainerLimitFlags { cgroup, memory_reservation, cpus, pids_limit } = &flags.container;
    config.memory = bytes("-m, --memory", cgroup.memory.as_deref())?;
    config.memory_reservation = bytes("--memory-reservation", memory_reservation.as_deref())?;
    config.memory_swap = memory_swap(cgroup.memory_swap.as_deref())?;
    config.nano_cpus = nano_cpus(cpus.as_deref())?;
    if cpus.is_some() && (cgroup.cpu_period.is_some() || cgroup.cpu_quota.is_some()) {
        return Err(RequestError::Conflict(
            "cannot specify --cpus together with --cpu-period or --cpu-quota".to_owned(),
        ));
    }
    config.cpu_shares = cgroup.cpu_shares;
    config.cpu_period = cgroup.cpu_period;
    config.cpu_quota = cgroup.cpu_quota;
    config.cpuset_cpus = cgroup.cpuset_cpus.clone();
    config.cpuset_mems = cgroup.cpuset_mems.clone();
    config.pids_limit = *pids_limit;
    config.memory_swappiness = Some(flags.memory_swappiness).filter(|swappiness| *swappiness != DEFAULT_SWAPPINESS);
    config.oom_kill_disable = flags.oom_kill_disable.then_some(true);
    config.cpu_realtime_period = flags.real_time.cpu_rt_period;
    config.cpu_realtime_runtime = flags.real_time.cpu_rt_runtime;
    disk::set(config, &flags.blkio)?;
    config.ulimits = some(collect(&flags.ulimit, ulimit::parse)?);
    config.oom_score_adj = flags.oom_score_adj;
    config.cgroup_parent = flags.cgroup_parent.clone();
    Ok(())
}

/// That of the host.
const DEFAULT_SWAPPINESS: i64 = -1;

fn storage_options(pairs: &[String]) -> Result<HashMap<String, String>, RequestError> {
    match pairs.iter().find(|pair| !pair.contains('=')) {
        Some(pair) => Err(RequestError::Invalid(format!("invalid storage option: {pair}: give NAME=VALUE"))),
        None => Ok(pairs::map(pairs)),
    }
}

/// The value of `--cpus`.
pub(crate) fn nano_cpus(text: Option<&str>) -> Result<Option<i64>, RequestError> {
    text.map(|text| quantity::nano_cpus(text).map_err(|reason| flag("--cpus", text, reason))).transpose()
}

fn set_isolation(
    config: &mut HostConfig,
    flags: &IsolationFlags,
    local: &LocalContext<'_>,
) -> Result<(), RequestError> {
    let security = SecurityOptions::parse(&flags.security_opt, local)?;
    if security.system_paths_unconfined {
        config.masked_paths = Some(Vec::new());
        config.readonly_paths = Some(Vec::new());
    }
    config.security_opt = some(security.options);
    config.privileged = Some(flags.privileged);
    config.cap_add = some(flags.cap_add.clone());
    config.cap_drop = some(flags.cap_drop.clone());
    config.ipc_mode = IPC.parse(flags.ipc.as_deref())?;
    config.pid_mode = PID.parse(flags.pid.as_deref())?;
    config.uts_mode = UTS.parse(flags.uts.as_deref())?;
    config.userns_mode = USER.parse(flags.userns.as_deref())?;
    config.cgroupns_mode = CGROUP.parse(flags.cgroupns.as_deref())?.map(|mode| match mode.as_str() {
        "host" => CgroupNamespace::HOST,
        _ => CgroupNamespace::PRIVATE,
    });
    config.isolation = flags.isolation.as_deref().map(isolation).transpose()?;
    config.sysctls = some_map(host::sysctls(&flags.sysctl)?);
    Ok(())
}

fn isolation(name: &str) -> Result<Isolation, RequestError> {
    name.parse().map_err(|_| flag("--isolation", name, "on Linux there is only 'default'"))
}

fn set_management(config: &mut HostConfig, flags: &ManagementFlags) -> Result<(), RequestError> {
    let restart = restart_policy(flags.restart.as_deref().unwrap_or("no"))?;
    if flags.rm && restart.name != Some(Restart::NO) {
        return Err(RequestError::Conflict("cannot specify both --restart and --rm".to_owned()));
    }
    let log_options = pairs::map(&flags.log_opt);
    if flags.log_driver.as_deref() == Some("none") && !log_options.is_empty() {
        return Err(RequestError::Invalid("invalid logging opts for driver none".to_owned()));
    }
    config.restart_policy = Some(restart);
    config.auto_remove = Some(flags.rm);
    config.log_config = (flags.log_driver.is_some() || !log_options.is_empty())
        .then(|| HostConfigLogConfig { typ: flags.log_driver.clone(), config: some_map(log_options) });
    config.annotations = some_map(pairs::map(&flags.annotation));
    config.runtime = flags.runtime.clone();
    config.container_id_file = flags.cidfile.clone();
    Ok(())
}

/// Reads the value of `--restart`.
///
/// # Errors
/// There is no such policy.
pub(crate) fn restart_policy(text: &str) -> Result<RestartPolicy, RequestError> {
    let (name, times) = text.split_once(':').unwrap_or((text, ""));
    let wrong =
        || RequestError::Invalid("invalid restart policy format: maximum retry count must be an integer".to_owned());
    let maximum = if times.is_empty() { None } else { Some(times.parse().map_err(|_| wrong())?) };
    let name = match name {
        "no" | "" => Restart::NO,
        "always" => Restart::ALWAYS,
        "on-failure" => Restart::ON_FAILURE,
        "unless-stopped" => Restart::UNLESS_STOPPED,
        other => {
            let reason = "use no, on-failure[:TIMES], always or unless-stopped";
            return Err(RequestError::Invalid(format!("invalid restart policy: unknown policy '{other}'; {reason}")));
        }
    };
    Ok(RestartPolicy { name: Some(name), maximum_retry_count: maximum })
}

fn platform(text: Option<&str>) -> Result<Option<String>, RequestError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let parts: Vec<&str> = text.split('/').collect();
    if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) {
        return Err(RequestError::Invalid(format!(
            "error parsing specified platform: \"{text}\": give OS[/ARCH[/VARIANT]], as in linux/amd64"
        )));
    }
    Ok(Some(text.to_owned()))
}

/// Reads the value of `--memory-swap`, which may be without limit.
///
/// # Errors
/// It is neither a size nor -1.
pub(crate) fn memory_swap(text: Option<&str>) -> Result<Option<i64>, RequestError> {
    match text {
        Some("-1") => Ok(Some(-1)),
        other => bytes("--memory-swap", other),
    }
}

/// Reads a size, if there is one.
///
/// # Errors
/// It isn't one.
pub(crate) fn bytes(name: &'static str, text: Option<&str>) -> Result<Option<i64>, RequestError> {
    text.map(|text| quantity::bytes(text).map_err(|reason| flag(name, text, reason))).transpose()
}

fn collect<T>(specs: &[String], parse: impl Fn(&str) -> Result<T, RequestError>) -> Result<Vec<T>, RequestError> {
    specs.iter().map(|spec| parse(spec)).collect()
}

fn some_map<K, V>(map: HashMap<K, V>) -> Option<HashMap<K, V>> {
    (!map.is_empty()).then_some(map)
}

#[cfg(test)]
mod tests;

//! `docker inspect` of a container: Docker's whole JSON, nulls where Docker has nulls.

use std::path::{Path, PathBuf};

use images::Rootfs;
use jiff::Timestamp;
use runtime::spec::{BindPropagation, Id, OwnOrHost};
use serde_json::{Map, Value, json};

use crate::container::health::{Health, Probe};
use crate::container::mount::{MountPoint, MountPointKind};
use crate::container::network::NetworkMode;
use crate::container::runtime_spec::etc_files;
use crate::container::spec::LogSpec;
use crate::container::{Container, Phase, Usage};
use crate::translate::create::RUNTIMES;
use crate::translate::endpoints;
use crate::version::ApiVersion;
use crate::volume;

/// What Go's zero time looks like: a container that never ran.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// What Docker shows of a container that asks for nothing.
const CONFIG_DEFAULTS: &str = include_str!("../wire/config.json");
const HOST_CONFIG_DEFAULTS: &str = include_str!("../wire/host_config.json");

/// Where things of a container are on this host.
pub(crate) struct Where {
    /// The directory whose files stand in for those of `/etc`.
    pub(crate) etc: PathBuf,
    /// Its log.
    pub(crate) log: PathBuf,
    /// The volumes there are.
    pub(crate) volumes: volume::Registry,
    /// Its execs that have not ended.
    pub(crate) execs: Vec<Id>,
    /// Its layers; unknown only while it is being removed.
    pub(crate) rootfs: Option<Rootfs>,
}

/// Whose files stand in for those of `/etc`.
pub(crate) fn etc_owner(container: &Container) -> &Id {
    match &container.spec.network.mode {
        NetworkMode::Container(id) => id,
        _ => &container.id,
    }
}

/// Since this version triggers are shown only where there are any.
const WITHOUT_EMPTY_TRIGGERS: ApiVersion = ApiVersion::new(1, 52);

/// The reply of `GET /containers/{id}/json`.
pub(crate) fn container(container: &Container, place: &Where, usage: Option<Usage>, version: ApiVersion) -> Value {
    let etc = etc_files(&place.etc);
    let (path, args) = container.spec.process.args.split_first().map_or(("", &[][..]), |(path, args)| (path, args));
    let mut reply = json!({
        "Id": container.id.as_str(),
        "Created": time(Some(container.created)),
        "Path": path,
        "Args": args,
        "State": state(container),
        "Image": container.image.id.to_string(),
        "ResolvConfPath": etc.resolv_conf,
        "HostnamePath": etc.hostname,
        "HostsPath": etc.hosts,
        "LogPath": if container.spec.log == LogSpec::None { Path::new("") } else { &place.log },
        "Name": format!("/{}", container.name),
        "RestartCount": container.state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": (!place.execs.is_empty()).then(|| place.execs.iter().map(Id::as_str).collect::<Vec<_>>()),
        "HostConfig": host_config(container),
        "GraphDriver": graph_driver(container, place),
        "Mounts": container.spec.mounts.iter().filter_map(|mount| mount_point(mount, &place.volumes)).collect::<Vec<_>>(),
        "Config": config(container, version),
        "NetworkSettings": endpoints::settings(container, version),
    });
    if let Some(usage) = usage {
        reply["SizeRw"] = usage.written_bytes.into();
        reply["SizeRootFs"] = usage.total_bytes.into();
    }
    reply
}

/// RFC 3339 with nanoseconds, or Go's zero time.
pub(crate) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), |at| at.to_string())
}

fn state(container: &Container) -> Value {
    let state = &container.state;
    let mut shown = json!({
        "Status": state.phase.as_str(),
        // Docker counts a container as running that is frozen, or waits for its next start.
        "Running": state.phase.is_active(),
        "Paused": matches!(state.phase, Phase::Paused { .. }),
        "Restarting": state.phase == Phase::Restarting,
        "OOMKilled": state.oom_killed,
        "Dead": false,
        "Pid": state.phase.pid().unwrap_or_default(),
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": time(state.started_at),
        "FinishedAt": time(state.finished_at),
    });
    if let Some(health) = &state.health {
        shown["Health"] = health_view(health);
    }
    shown
}

fn health_view(health: &Health) -> Value {
    let probe = |probe: &Probe| {
        json!({
            "Start": time(Some(probe.start)),
            "End": time(Some(probe.end)),
            "ExitCode": probe.exit_code,
            "Output": probe.output,
        })
    };
    json!({
        "Status": health.status.as_str(),
        "FailingStreak": health.failing_streak,
        "Log": health.log.iter().map(probe).collect::<Vec<_>>(),
    })
}

fn graph_driver(container: &Container, place: &Where) -> Value {
    let data = place.rootfs.as_ref().map(|rootfs| {
        let lowers: Vec<_> = rootfs.lowers.iter().map(|lower| lower.to_string_lossy()).collect();
        json!({
            "ID": container.id.as_str(),
            "LowerDir": lowers.join(":"),
            // Mounted in the container's own mount namespace only; this is where its processes see it.
            "MergedDir": container.state.phase.pid().map_or(String::new(), |pid| format!("/proc/{pid}/root")),
            "UpperDir": rootfs.upper,
            "WorkDir": rootfs.work,
        })
    });
    json!({ "Data": data, "Name": "overlay2" })
}

/// One of `Mounts`, in lists too. What `--tmpfs` mounts isn't among them in Docker either: it is in `HostConfig.Tmpfs`.
pub(crate) fn mount_point(mount: &MountPoint, volumes: &volume::Registry) -> Option<Value> {
    let mut shown = match &mount.kind {
        MountPointKind::Bind { source, propagation, .. } => json!({
            "Type": "bind",
            "Source": source,
            "Propagation": propagation_name(*propagation),
        }),
        MountPointKind::Volume { name, .. } => {
            let volume = volumes.find(name);
            json!({
                "Type": "volume",
                "Name": name,
                "Source": volume.as_ref().map_or_else(|| volumes.data(name), |volume| volumes.mountpoint(volume)),
                "Driver": volume.as_ref().map_or(volume::LOCAL, |volume| volume.driver()),
                "Propagation": "",
            })
        }
        MountPointKind::Tmpfs { .. } if mount.is_of_tmpfs_flag() => return None,
        MountPointKind::Tmpfs { .. } => json!({ "Type": "tmpfs", "Source": "", "Propagation": "" }),
    };
    shown["Destination"] = json!(mount.destination);
    shown["Mode"] = json!(mount.mode);
    shown["RW"] = json!(!mount.readonly);
    Some(shown)
}

fn propagation_name(propagation: BindPropagation) -> &'static str {
    match propagation {
        BindPropagation::Rprivate => "rprivate",
        BindPropagation::Private => "private",
        BindPropagation::Rslave => "rslave",
        BindPropagation::Slave => "slave",
    }
}

/// `Config`: what was asked for over what Docker shows of a container that asks for nothing.
fn config(container: &Container, version: ApiVersion) -> Value {
    let mut shown = over(CONFIG_DEFAULTS, &container.asked.config);
    for words in ["Cmd", "Entrypoint", "OnBuild"] {
        // Go's lists without elements are of two kinds; what an image or a client leaves empty is of that with `null`.
        if shown.get(words).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            shown.insert(words.into(), Value::Null);
        }
    }
    if version >= WITHOUT_EMPTY_TRIGGERS && shown.get("OnBuild").is_some_and(Value::is_null) {
        shown.remove("OnBuild");
    }
    let empty = |value: Option<&Value>| value.and_then(Value::as_object).is_some_and(Map::is_empty);
    if empty(shown.get("ExposedPorts")) {
        shown.remove("ExposedPorts");
    }
    if empty(shown.get("Volumes")) {
        shown.insert("Volumes".into(), Value::Null);
    }
    Value::Object(shown)
}

/// `HostConfig`, likewise, and with what was chosen where the request left it open.
fn host_config(container: &Container) -> Value {
    let mut shown = over(HOST_CONFIG_DEFAULTS, &container.asked.host);
    let spec = &container.spec;
    let set = |shown: &mut Map<String, Value>, key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    set(&mut shown, "ShmSize", spec.shm_size_bytes.into());
    set(&mut shown, "MaskedPaths", json!(spec.masked_paths));
    set(&mut shown, "ReadonlyPaths", json!(spec.readonly_paths));
    set(&mut shown, "MemorySwap", spec.resources.memory_and_swap_bytes.unwrap_or_default().into());
    let cgroup = if spec.namespaces.cgroup == OwnOrHost::Own { "private" } else { "host" };
    set(&mut shown, "CgroupnsMode", cgroup.into());
    let defaults = [("IpcMode", "private"), ("Runtime", RUNTIMES[0])];
    for (key, default) in defaults {
        if shown.get(key).and_then(Value::as_str).is_none_or(str::is_empty) {
            set(&mut shown, key, default.into());
        }
    }
    if shown["LogConfig"]["Type"].as_str().is_none_or(str::is_empty) {
        shown["LogConfig"]["Type"] = "json-file".into();
    }
    if shown["RestartPolicy"]["Name"].as_str().is_none_or(str::is_empty) {
        shown["RestartPolicy"] = json!({ "Name": "no", "MaximumRetryCount": 0 });
    }
    Value::Object(shown)
}

/// `asked` over `defaults`: what wasn't asked for keeps its default.
fn over(defaults: &str, asked: &impl serde::Serialize) -> Map<String, Value> {
    let mut shown: Map<String, Value> = serde_json::from_str(defaults).expect("a file of ours, read by a test");
    if let Ok(Value::Object(asked)) = serde_json::to_value(asked) {
        shown.extend(asked.into_iter().filter(|(_, value)| !value.is_null()));
    }
    shown
}

#[cfg(test)]
mod tests;

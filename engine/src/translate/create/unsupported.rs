//! What Docker has and berth doesn't have yet: refused by name, never silently ignored.

use crate::error::{Error, Result};
use crate::wire::create::CreateBody;
use crate::wire::models::{HostConfig, HostConfigIsolationEnum};

/// Names of what runs containers: its own, then those of what Docker has in its place. Clients that make a container anew as it
/// was shown to them by a Docker ask for those.
pub(crate) const RUNTIMES: [&str; 3] = ["berth", "runc", "io.containerd.runc.v2"];

/// Refuses a request that asks for something that isn't there yet.
pub(super) fn check(body: &CreateBody) -> Result<()> {
    for (asked, what) in features(&body.host) {
        if asked {
            return Err(Error::not_implemented(format!("{what}: not supported by berth yet")));
        }
    }
    Ok(())
}

fn features(host: &HostConfig) -> [(bool, &'static str); 14] {
    let set = |text: &Option<String>, allowed: &[&str]| {
        text.as_deref().is_some_and(|text| !text.is_empty() && !allowed.contains(&text))
    };
    let above_zero = |number: Option<i64>| number.is_some_and(|number| number != 0);
    [
        (set(&host.runtime, &RUNTIMES), "choosing an OCI runtime (--runtime)"),
        (set(&host.userns_mode, &["host"]), "user namespaces (--userns)"),
        (set(&host.cgroup, &[]), "joining another container's cgroup (HostConfig.Cgroup)"),
        (filled(&host.device_requests), "device requests (--gpus)"),
        (host.storage_opt.as_ref().is_some_and(|options| !options.is_empty()), "storage options (--storage-opt)"),
        (host.annotations.as_ref().is_some_and(|notes| !notes.is_empty()), "annotations (--annotation): use labels"),
        (above_zero(host.cpu_realtime_period), "real-time CPU periods (--cpu-rt-period)"),
        (above_zero(host.cpu_realtime_runtime), "real-time CPU runtime (--cpu-rt-runtime)"),
        (above_zero(host.cpu_count), "CPU counts (--cpu-count), which only Windows has"),
        (above_zero(host.cpu_percent), "CPU percentages (--cpu-percent), which only Windows has"),
        (above_zero(host.io_maximum_iops), "I/O maxima (--io-maxiops), which only Windows has"),
        (above_zero(host.io_maximum_bandwidth), "I/O maxima (--io-maxbandwidth), which only Windows has"),
        (isolation(host), "isolation technologies (--isolation), which only Windows has"),
        (host.ipc_mode.as_deref() == Some("none"), "containers without /dev/shm (--ipc none)"),
    ]
}

fn filled<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn isolation(host: &HostConfig) -> bool {
    !matches!(host.isolation, None | Some(HostConfigIsolationEnum::EMPTY | HostConfigIsolationEnum::DEFAULT))
}

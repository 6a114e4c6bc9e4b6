//! `GET /info`

use axum::Json;
use axum::extract::State;
use bollard_stubs::models::{
    LocalNodeState, PluginsInfo, Runtime, SwarmInfo, SystemInfo, SystemInfoCgroupDriverEnum,
    SystemInfoCgroupVersionEnum,
};
use jiff::Timestamp;

use crate::container::Phase;
use crate::engine::Engine;
use crate::error::Result;
use crate::host::Host;
use crate::version::RELEASE;

/// The name under which containers' own runtime is listed.
const RUNTIME: &str = "berth";

pub(super) async fn info(State(engine): State<Engine>) -> Result<Json<SystemInfo>> {
    let (images, host) = engine.blocking(|engine| Ok((engine.images.list()?.len(), Host::read()))).await?;
    let network = engine.netd.running().await?.info().await?;
    let counts = Counts::of(&engine);
    let count = |number: usize| i64::try_from(number).ok();
    let names = |list: &[&str]| Some(list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let shim = engine.config.bin_dir.join("berth-shim").display().to_string();
    Ok(Json(SystemInfo {
        id: Some(engine.id.clone()),
        containers: count(counts.running + counts.paused + counts.stopped),
        containers_running: count(counts.running),
        containers_paused: count(counts.paused),
        containers_stopped: count(counts.stopped),
        images: count(images),
        driver: Some("overlay2".to_owned()),
        driver_status: Some(Vec::new()),
        docker_root_dir: Some(engine.config.root.display().to_string()),
        plugins: Some(PluginsInfo {
            volume: names(&["local"]),
            network: Some(network.drivers),
            authorization: None,
            log: names(&["json-file", "none"]),
        }),
        memory_limit: Some(true),
        swap_limit: Some(true),
        cpu_cfs_period: Some(true),
        cpu_cfs_quota: Some(true),
        cpu_shares: Some(true),
        cpu_set: Some(true),
        pids_limit: Some(true),
        ipv4_forwarding: Some(host.ipv4_forwarding),
        debug: Some(false),
        system_time: Some(Timestamp::now().to_string()),
        logging_driver: Some("json-file".to_owned()),
        cgroup_driver: Some(SystemInfoCgroupDriverEnum::CGROUPFS),
        cgroup_version: Some(match host.unified_cgroups {
            true => SystemInfoCgroupVersionEnum::_2,
            false => SystemInfoCgroupVersionEnum::_1,
        }),
        n_events_listener: count(engine.events.listeners()),
        kernel_version: Some(host.kernel_version),
        operating_system: Some(host.operating_system),
        os_version: Some(host.os_version),
        os_type: Some("linux".to_owned()),
        architecture: Some(std::env::consts::ARCH.to_owned()),
        ncpu: count(host.cpus),
        mem_total: i64::try_from(host.memory_bytes).ok(),
        name: Some(host.name),
        labels: Some(Vec::new()),
        experimental_build: Some(false),
        server_version: Some(RELEASE.to_owned()),
        runtimes: Some([(RUNTIME.to_owned(), Runtime { path: Some(shim), ..Runtime::default() })].into()),
        default_runtime: Some(RUNTIME.to_owned()),
        swarm: Some(SwarmInfo {
            local_node_state: Some(LocalNodeState::INACTIVE),
            control_available: Some(false),
            ..SwarmInfo::default()
        }),
        live_restore_enabled: Some(true),
        init_binary: Some("berth-init".to_owned()),
        security_options: names(&["name=seccomp,profile=builtin"]),
        warnings: Some(network.warnings),
        ..SystemInfo::default()
    }))
}

/// How many containers there are.
#[derive(Debug, Default)]
struct Counts {
    running: usize,
    paused: usize,
    stopped: usize,
}

impl Counts {
    fn of(engine: &Engine) -> Self {
        let mut counts = Self::default();
        for handle in engine.containers.all() {
            match handle.container().state.phase {
                Phase::Running { .. } | Phase::Restarting => counts.running += 1,
                Phase::Paused { .. } => counts.paused += 1,
                Phase::Created | Phase::Exited | Phase::Removing => counts.stopped += 1,
                Phase::Removed => {}
            }
        }
        counts
    }
}

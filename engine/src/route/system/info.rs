//! `GET /info`

use axum::Json;
use axum::extract::State;
use cnm::Kind;
use cnm::api::Info as NetworkInfo;
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Handle as Runtime;

use crate::blocking::Blocking as _;
use crate::container::Phase;
use crate::container::registry::Registry;
use crate::engine::Engine;
use crate::error::Result;
use crate::host::Host;
use crate::netd::Netd;
use crate::orchestrate::files::warn_of_public_servers;
use crate::translate::info::{self, Counts, Facts};
use crate::version::ApiVersion;
use crate::volume;

pub(super) async fn info(State(engine): State<Engine>, version: ApiVersion) -> Result<Json<Value>> {
    let read = |engine: &Engine| Ok((engine.images.store.list()?.len(), Host::read(), warn_of_public_servers()?));
    let (images, host, public_servers) = engine.blocking(read).await?;
    let mut network = match network(&engine.netd).await {
        // A netd that is away is no reason to say nothing of the engine.
        Err(error) if error.kind() == Kind::Unavailable => {
            NetworkInfo { warnings: vec![error.message()], ..NetworkInfo::default() }
        }
        network => network?,
    };
    network.warnings.extend(public_servers.into_iter().chain(engine.netd.owed_warning()));
    network.warnings.extend(engine.set_aside());
    let facts = Facts {
        id: &engine.id,
        root: &engine.config.root,
        shim: &engine.config.bin_dir.join("berth-shim"),
        counts: counts(&engine.containers.registry),
        images,
        listeners: engine.events.listeners(),
        tasks: Runtime::current().metrics().num_alive_tasks(),
        host,
        network,
        registries: &engine.config.registries,
        proxies: &engine.config.proxies,
        volume_drivers: vec![volume::LOCAL.to_owned()],
    };
    Ok(Json(info::info(&facts, Timestamp::now(), version)))
}

async fn network(netd: &Netd) -> Result<NetworkInfo> {
    Ok(netd.running().await?.info().await?)
}

fn counts(containers: &Registry) -> Counts {
    let mut counts = Counts::default();
    for handle in containers.all() {
        match handle.container().state.phase {
            Phase::Running { .. } | Phase::Restarting => counts.running += 1,
            Phase::Paused { .. } => counts.paused += 1,
            Phase::Created | Phase::Exited | Phase::Removing => counts.stopped += 1,
            Phase::Removed => {}
        }
    }
    counts
}

//! netd as a whole: claim the directories, open the store, bring the host in line, serve until told to stop.

use std::{future::Future, os::unix::net::UnixListener, path::Path, pin::pin, sync::Arc, time::Duration};

use cnm::ipam::DefaultPools;
use drivers::Registry;
use kernel::{Host, Kernel};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    api::{self, ApiState},
    config::Config,
    controller::{self, ClockAndRandom, Start, StateThreadEnd},
    listen::{self, Directories, NetworkNamespace},
    namespaces::Namespaces,
    networkd, ports,
    store::{self, Store},
};

/// How long requests may take to end once netd is told to stop. A client that sends half a request, or doesn't read its
/// reply, must not keep netd from ending; what is cut off is as after a kill.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// How long netd goes on deleting links of networks and sandboxes that are gone: there may be no next one.
const LAST_DELETIONS: Duration = Duration::from_secs(5);

/// Runs netd until it is told to stop by SIGTERM or SIGINT. Networks and sandboxes stay as they are. It serves the socket
/// that is handed in, if one is, else one of its own.
///
/// # Errors
/// When it can't start, or can't go on.
pub async fn run(config: Config, inherited: Option<UnixListener>) -> Result<(), Error> {
    ignore_hangups()?;
    let pools = match config.default_pools.is_empty() {
        true => DefaultPools::default(),
        false => DefaultPools::new(config.default_pools.clone())?,
    };
    let _directories = Directories::claim(&config.root, &config.run_dir)?;
    let _network = NetworkNamespace::claim()?;
    ports::raise_file_limit();
    let (store, loaded) = Store::open(&config.root, &config.run_dir, &store::boot_id()?)?;
    let store = Arc::new(store);
    let namespaces = Namespaces::new(&config.run_dir).map_err(Error::file("find netd-keeper beside", "netd"))?;
    let keeper = Arc::new(namespaces.clone());
    let host = Kernel::new(&config.run_dir, keeper).map_err(Error::host("set up the host's networking"))?;
    let host: Arc<dyn Host> = Arc::new(host);
    // Before the firewall and the links are looked at: a change that comes in between is not missed.
    let watch = host.watch_firewall().map_err(Error::host("follow changes of the firewall"))?;
    let links = host.watch_links().map_err(Error::host("follow changes of the host's links"))?;
    let (controller, state_thread) = controller::start(Start {
        host: host.clone(),
        planners: Arc::new(Registry),
        pools,
        store: store.clone(),
        loaded,
        forwarding_drop: config.forwarding_drop,
        namespaces: config.run_dir.join("netns"),
        clock_and_random: ClockAndRandom::default(),
    })
    .await?;
    controller::watch_firewall(&controller, watch, store)?;
    controller::watch_links(&controller, links)?;
    if let Some(message) = networkd::warning(Path::new("/")) {
        controller.warn(message).await;
    }
    let state = ApiState { controller, stopping: CancellationToken::new() };
    serve(state, state_thread, &config, inherited).await?;
    let leaving = tokio::task::spawn_blocking(move || {
        if !host.finish_deletions(LAST_DELETIONS) {
            tracing::warn!("links that nobody has are not deleted yet: the next netd goes on with it");
        }
        namespaces.outlive().map_err(Error::file("have a netd-keeper hold", "the namespaces of sandboxes"))
    });
    leaving.await.map_err(|_| Error::Panicked)?
}

async fn serve(
    state: ApiState,
    state_thread: StateThreadEnd,
    config: &Config,
    inherited: Option<UnixListener>,
) -> Result<(), Error> {
    let told_to_stop = stop_signal()?;
    let socket = config.socket.as_path();
    let (listener, _socket_file) = match inherited {
        // Whoever handed it in keeps it, and its file.
        Some(listener) => (listen::adopt(listener, socket)?, None),
        None => listen::bind(socket, &config.group).map(|(listener, file)| (listener, Some(file)))?,
    };
    tracing::info!(socket = %socket.display(), "ready");
    // It fails only where a service manager gave a broken address; without one it does nothing.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let stopping = state.stopping.clone();
    let service = api::router(state).into_make_service_with_connect_info::<api::Connection>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let mut server = pin!(server.into_future());
    let mut state_thread = pin!(state_thread);
    tokio::select! {
        served = &mut server => return served.map_err(Error::file("serve", socket)),
        // The state's thread has no end but a panic: who starts netd again finds everything in the store.
        _ = &mut state_thread => return Err(Error::Panicked),
        () = told_to_stop => {}
    }
    tracing::info!("stopping; networks and sandboxes stay");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stopping.cancel();
    match tokio::time::timeout(SHUTDOWN_GRACE, server).await {
        Ok(served) => served.map_err(Error::file("serve", socket)),
        Err(_) => {
            tracing::warn!("clients keep their connections busy: they are cut off");
            Ok(())
        }
    }
}

/// Takes SIGHUP, which ends a process that doesn't: whoever closes the terminal that netd was started from doesn't mean it.
fn ignore_hangups() -> Result<(), Error> {
    let mut hangups = signal(SignalKind::hangup()).map_err(Error::file("listen for", "signals"))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::warn!("SIGHUP: netd reads its configuration when it starts; restart it for that, networks stay");
        }
    });
    Ok(())
}

fn stop_signal() -> Result<impl Future<Output = ()>, Error> {
    let on = |kind| signal(kind).map_err(Error::file("listen for", "signals"));
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

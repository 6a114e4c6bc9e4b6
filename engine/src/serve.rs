//! The API's socket: who may connect, serving until a signal, and draining then.

use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::app;
use crate::config::{Config, Group};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// How long requests under way may take once berthd is told to stop. Followers of logs and events never end by
/// themselves, and containers don't need berthd to go on.
const DRAIN: Duration = Duration::from_secs(3);

/// A berthd that was killed while it started a program leaves its listener open in that child until the child's exec:
/// nothing tells when.
const FORMER_DAEMON_LINGERS: Duration = Duration::from_secs(1);

/// Makes the directories and the socket; refuses when another berthd answers on it.
pub fn listen(config: &Config) -> Result<UnixListener> {
    for dir in [&config.root, &config.run_dir] {
        make_private_directory(dir)?;
    }
    let path = &config.socket;
    let deadline = Instant::now() + FORMER_DAEMON_LINGERS;
    while UnixStream::connect(path).is_ok() {
        if Instant::now() >= deadline {
            return Err(Error::conflict(format!(
                "another daemon serves {} already; stop it, or give this one its own --root and --run-dir",
                path.display()
            )));
        }
        std::thread::sleep(FORMER_DAEMON_LINGERS / 50);
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io(format!("removing the stale socket {}", path.display()))(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(Error::io(format!("listening on {}", path.display())))?;
    admit(path, &config.group)?;
    Ok(listener)
}

/// Containers' files lie below: others may pass through to their sockets, not list.
fn make_private_directory(dir: &Path) -> Result<()> {
    let doing = || format!("making the directory {}", dir.display());
    if !dir.is_dir() {
        std::fs::create_dir_all(dir).map_err(Error::io(doing()))?;
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o711)).map_err(Error::io(doing()))?;
    }
    Ok(())
}

/// Gives the socket to the group that may use the API, or to root alone.
fn admit(path: &Path, group: &Group) -> Result<()> {
    let name = match group {
        Group::Named(name) => name,
        Group::Default => "berth",
    };
    let found = nix::unistd::Group::from_name(name)
        .map_err(|errno| Error::io(format!("looking up the group {name}"))(errno.into()))?;
    let mode = match (found, group) {
        (Some(found), _) => {
            chown(path, Some(0), Some(found.gid.as_raw()))
                .map_err(Error::io(format!("giving {} to the group {name}", path.display())))?;
            0o660
        }
        (None, Group::Default) => 0o600,
        (None, Group::Named(_)) => {
            return Err(Error::invalid(format!("there is no group {name:?}; make it or give another --group")));
        }
    };
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode))
        .map_err(Error::io(format!("setting the mode of {}", path.display())))
}

/// Serves until SIGTERM or SIGINT, then lets requests under way finish for a moment. Containers go on.
pub async fn until_told_to_stop(listener: UnixListener, engine: Engine) -> Result<()> {
    let watch = |kind| signal(kind).map_err(Error::io("watching for signals"));
    let (mut terminate, mut interrupt) = (watch(SignalKind::terminate())?, watch(SignalKind::interrupt())?);
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let told = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // The receiver lives until this function returns.
        let _ = stop.send(true);
    };
    tracing::info!(socket = %engine.config.socket.display(), "berthd serves the Docker Engine API");
    let serving = axum::serve(listener, app(engine)).with_graceful_shutdown(told);
    let mut deadline = stopping;
    tokio::select! {
        result = serving => result.map_err(Error::io("serving the API")),
        () = async {
            let _ = deadline.wait_for(|stop| *stop).await;
            tokio::time::sleep(DRAIN).await;
        } => Ok(()),
    }
}

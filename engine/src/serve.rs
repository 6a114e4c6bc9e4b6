//! Serving the API until a signal, and draining then.

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::app;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::listen::{DRAIN, Listening};
use crate::stream::serve;

/// Takes SIGHUP, which ends a process that doesn't: whoever closes the terminal that berthd was started from doesn't mean it.
pub fn outlive_hangups() -> Result<()> {
    let mut hangups = signal(SignalKind::hangup()).map_err(Error::io("watching for signals"))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::warn!(
                "SIGHUP: berthd reads its configuration when it starts; restart it for that, containers run on"
            );
        }
    });
    Ok(())
}

/// Serves until SIGTERM or SIGINT, then lets requests under way finish for a moment. Containers go on.
pub async fn until_told_to_stop(listening: Listening, engine: Engine) -> Result<()> {
    let Listening { listener, keeping, _claims } = listening;
    keeping.map(|keeping| keeping.begin(&listener)).transpose()?;
    let listener = UnixListener::from_std(listener).map_err(Error::io("serving the API's socket"))?;
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
    let serving = serve(listener, app(engine), told);
    let mut deadline = stopping;
    tokio::select! {
        () = serving => Ok(()),
        () = async {
            let _ = deadline.wait_for(|stop| *stop).await;
            tokio::time::sleep(DRAIN).await;
        } => Ok(()),
    }
}

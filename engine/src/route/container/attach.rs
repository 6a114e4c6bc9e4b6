//! `POST /containers/{id}/attach`: the streams of the first process, of now or of the next start.

use axum::extract::State;
use axum::response::Response;
use futures::TryStreamExt as _;
use runtime::protocol::Streams;
use tokio::io::AsyncWriteExt as _;

use super::logs::readable;
use super::named::Named;
use crate::container::handle::Attached;
use crate::container::{Container, Phase};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::logs::{self, Follow, Rendering, Selection};
use crate::route::query::Query;
use crate::stream::detach::DetachKeys;
use crate::stream::{Client, ClientStream, End, Session, content_type};
use crate::version::ApiVersion;
use crate::wire::stream::AttachQuery;

pub(super) async fn attach(
    State(engine): State<Engine>,
    version: ApiVersion,
    Named(handle): Named,
    Query(query): Query<AttachQuery>,
    client: Client,
) -> Result<Response> {
    let keys = DetachKeys::parse(&query.detach_keys)?;
    let container = handle.container();
    attachable(&container)?;
    if query.logs {
        readable(&container)?;
    }
    let terminal = container.spec.process.terminal.is_some();
    let streams = Streams { stdin: query.stdin, stdout: query.stdout, stderr: query.stderr };
    // Connected before the log is read: what is written in between comes twice rather than not at all.
    let attached = if query.stream { Some(handle.attach(streams).await?) } else { None };
    engine.container_event(&container, "attach", []);
    let session = Session { stdin: query.stdin, detach: terminal.then_some(keys) };
    Ok(client.stream(content_type(terminal, version), move |mut client| async move {
        if query.logs && !replay(&engine, &container, streams, &mut client).await {
            return;
        }
        let process = match attached {
            Some(Attached::Now(process)) => Some(process),
            // The other side is dropped when the container couldn't be started, or is removed instead.
            Some(Attached::AtStart(process)) => process.await.ok(),
            None => None,
        };
        if let Some(process) = process
            && session.run(&mut client, process).await == End::Detached
        {
            engine.container_event(&container, "detach", []);
        }
        // Nobody is left to tell if it fails.
        let _ = client.output.shutdown().await;
    }))
}

fn attachable(container: &Container) -> Result<()> {
    match container.state.phase {
        Phase::Paused { .. } => {
            Err(Error::conflict(format!("container {} is paused, unpause the container before attach", container.id)))
        }
        Phase::Removing | Phase::Removed => {
            Err(Error::conflict(format!("container {} is marked for removal", container.id)))
        }
        Phase::Restarting => container.state.running_pid(container.id.as_str()).map(drop),
        Phase::Created | Phase::Running { .. } | Phase::Exited => Ok(()),
    }
}

/// Sends the log so far; false when the client has gone or the log can't be read.
async fn replay(engine: &Engine, container: &Container, streams: Streams, client: &mut ClientStream) -> bool {
    let selection = Selection { stdout: streams.stdout, stderr: streams.stderr, tail: None, since: None, until: None };
    let multiplexed = container.spec.process.terminal.is_none();
    let rendering = Rendering { timestamps: false, details: false, multiplexed };
    let follow: Follow<std::future::Ready<()>> = Follow::No;
    let sent = async {
        let mut log = std::pin::pin!(logs::stream(&engine.log_path(&container.id), selection, rendering, follow)?);
        while let Some(piece) = log.try_next().await? {
            client.output.write_all(&piece).await?;
        }
        client.output.flush().await
    };
    sent.await.inspect_err(|error| tracing::debug!("replaying the log of container {}: {error}", container.id)).is_ok()
}

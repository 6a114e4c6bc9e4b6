//! `POST /containers/{id}/attach`, and `GET /containers/{id}/attach/ws` over a WebSocket: the streams of the first process, of
//! now or of the next start.

use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use runtime::protocol::Streams;
use runtime::{Status, Target};
use tokio::io::AsyncWriteExt as _;

use super::logs::readable;
use super::named::Named;
use crate::blocking::Blocking as _;
use crate::container::handle::Attached;
use crate::container::{Container, Containers, Handle, Phase};
use crate::detach::DetachKeys;
use crate::error::{Error, Result};
use crate::logs::{self, Follow, Rendering as LogRendering, Selection};
use crate::route::query::Query;
use crate::stream::{Client, ClientStream, End, Rendering, Session, WebSocket, content_type};
use crate::version::ApiVersion;
use crate::wire::stream::AttachQuery;

pub(super) async fn attach(
    State(containers): State<Arc<Containers>>,
    version: ApiVersion,
    Named(handle): Named,
    Query(query): Query<AttachQuery>,
    client: Client,
) -> Result<Response> {
    let terminal = has_terminal(&handle);
    let attachment = Attachment::begin(containers, handle, &query, terminal).await?;
    Ok(client.stream(content_type(terminal, version), |client| attachment.run(client)))
}

/// Since this version a WebSocket is for the streams that the request names; before, it was for all of them.
const WEBSOCKET_NAMES_STREAMS: ApiVersion = ApiVersion::new(1, 42);

/// Messages have no frames in them: what is written to standard output and to standard error comes as one.
pub(super) async fn over_websocket(
    State(containers): State<Arc<Containers>>,
    version: ApiVersion,
    Named(handle): Named,
    Query(mut query): Query<AttachQuery>,
    socket: WebSocket,
) -> Result<Response> {
    if version < WEBSOCKET_NAMES_STREAMS {
        (query.stdin, query.stdout, query.stderr) = (true, true, true);
    }
    let attachment = Attachment::begin(containers, handle, &query, true).await?;
    Ok(socket.stream(|client| attachment.run(client)))
}

fn has_terminal(handle: &Handle) -> bool {
    handle.container().spec.process.terminal.is_some()
}

/// A client that is attached, or waits for the start.
struct Attachment {
    containers: Arc<Containers>,
    handle: Handle,
    container: Arc<Container>,
    /// The log so far, for a client that wants it.
    log: Option<BoxStream<'static, io::Result<Bytes>>>,
    /// Where the process's streams are, and how many runs had ended before.
    attached: Option<(Attached, u64)>,
    session: Session,
}

impl Attachment {
    /// `plain` is for clients that want no frames.
    async fn begin(containers: Arc<Containers>, handle: Handle, query: &AttachQuery, plain: bool) -> Result<Self> {
        let detach_keys = DetachKeys::parse(&query.detach_keys)?;
        let container = handle.container();
        attachable(&container)?;
        if query.logs {
            readable(&container)?;
        }
        let streams = Streams { stdin: query.stdin, stdout: query.stdout, stderr: query.stderr };
        // Connected before the log is read: what is written in between comes twice rather than not at all.
        let attached = if query.stream { Some(handle.attach(streams).await?) } else { None };
        let log = if query.logs { Some(log(&containers, &container, streams, plain).await?) } else { None };
        containers.tell(&container, "attach", []);
        let terminal = container.spec.process.terminal.is_some();
        let detach = terminal.then_some(detach_keys);
        let session = Session { stdin: query.stdin, detach, rendering: Rendering::of(terminal, plain) };
        Ok(Self { containers, handle, container, log, attached, session })
    }

    /// Gives the client all that it asked for. The stream is at its end only when the end of the process is recorded: who asks
    /// for the exit code then gets it.
    async fn run(self, mut client: ClientStream) -> ClientStream {
        let Self { containers, handle, container, log, attached, session } = self;
        if let Some(log) = log
            && let Err(error) = replay(log, &mut client).await
        {
            tracing::debug!("replaying the log of container {}: {error}", container.id);
            return client;
        }
        let Some((attached, exits)) = attached else { return client };
        let process = match attached {
            Attached::Now(process) => Some(process),
            Attached::AtStart(process) => tokio::select! {
                process = process => process.ok(),
                () = &mut client.gone => return client,
            },
        };
        let Some(process) = process else {
            // It couldn't be started, or is removed instead.
            handle.at_rest().await;
            return client;
        };
        match session.run(&mut client, process).await {
            End::Output => await_record(&containers, &handle, exits).await,
            End::Detached => containers.tell(&container, "detach", []),
            End::ClientGone => {}
        }
        client
    }
}

/// Waits until the end of the process is recorded, if that is why its output has: a client that was too slow is cut off.
async fn await_record(containers: &Arc<Containers>, handle: &Handle, exits: u64) {
    let id = handle.id().clone();
    let status = containers.blocking(move |containers| Ok(containers.runtime.status(Target::Container(&id))?)).await;
    if !matches!(status, Ok(Status::Running(_) | Status::Paused(_))) || handle.container().state.exits > exits {
        handle.end_recorded(exits).await;
    }
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

async fn log(
    containers: &Arc<Containers>,
    container: &Container,
    streams: Streams,
    plain: bool,
) -> Result<BoxStream<'static, io::Result<Bytes>>> {
    let selection = Selection { stdout: streams.stdout, stderr: streams.stderr, tail: None, since: None, until: None };
    let rendering = LogRendering { timestamps: false, details: false, multiplexed: !plain };
    let follow: Follow<std::future::Ready<()>> = Follow::No;
    let log = logs::stream(&containers.log_path(&container.id), selection, rendering, follow).await;
    Ok(log.map_err(Error::io(format!("reading the log of container {}", container.id)))?.boxed())
}

/// Sends the log so far.
async fn replay(mut log: BoxStream<'static, io::Result<Bytes>>, client: &mut ClientStream) -> io::Result<()> {
    while let Some(piece) = log.try_next().await? {
        client.output.write_all(&piece).await?;
    }
    client.output.flush().await
}

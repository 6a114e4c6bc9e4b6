//! `POST /containers/{id}/wait`: the status line at once, the exit code when it is known.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::watch;

use super::named::Named;
use crate::container::{Container, Phase, State};
use crate::error::{Error, Result};
use crate::route::query::Query;
use crate::wire::lifecycle::{WaitQuery, WaitReply};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// It doesn't run, so it may be over at once; or its run ends, whatever follows.
    NotRunning,
    /// A run ends from now on; a container that is to be started can be waited for.
    NextExit,
    /// It is gone.
    Removed,
}

pub(super) async fn wait(Named(handle): Named, Query(query): Query<WaitQuery>) -> Result<Response> {
    let condition = match query.condition.as_str() {
        "" | "not-running" => Condition::NotRunning,
        "next-exit" => Condition::NextExit,
        "removed" => Condition::Removed,
        other => return Err(Error::invalid(format!("invalid condition: {other:?}"))),
    };
    // From here on nothing is missed, and the client may know: it starts the container when it has seen our headers.
    let (changes, before) = (handle.changes(), handle.container());
    let body = stream::once(async move {
        let container = until(condition, changes, before.state.exits).await;
        serde_json::to_vec(&WaitReply { status_code: code(&container.state, before.state.exits) }).map(Bytes::from)
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response())
}

/// The exit code of the end that was waited for: the next run may have begun since.
fn code(state: &State, exits_before: u64) -> u8 {
    if state.exits > exits_before { state.last_exit_code } else { state.exit_code }
}

async fn until(
    condition: Condition,
    mut changes: watch::Receiver<Arc<Container>>,
    exits_before: u64,
) -> Arc<Container> {
    let met = |container: &Arc<Container>| match condition {
        Condition::NotRunning => container.state.exits > exits_before || !container.state.phase.is_active(),
        Condition::NextExit => container.state.exits > exits_before || container.state.phase == Phase::Removed,
        Condition::Removed => container.state.phase == Phase::Removed,
    };
    // An error means that the task is gone; the last snapshot is all that there will be.
    let _ = changes.wait_for(met).await;
    changes.borrow().clone()
}

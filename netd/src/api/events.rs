//! Events, a JSON object a line, until the client or netd goes.

use std::{collections::VecDeque, convert::Infallible};

use axum::{
    body::Body,
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use cnm::api::{ErrorReply, Event};
use futures::{Stream, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{ApiState, body::Asked, refusal::Refusal};
use crate::events::{Subscription, gap};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    since: Option<u64>,
}

/// What happens, as it happens.
///
/// With `since`, events after that revision come first; an event `gap` among them says that some are no longer kept.
#[utoipa::path(get, operation_id = "follow_events", path = "/v1/events", tag = "events",
    params(("since" = Option<u64>, Query, description = "The last revision seen")),
    responses(
        (status = 200, body = Event, content_type = "application/x-ndjson", description = "An event a line"),
        (status = 400, body = ErrorReply),
    ))]
pub(super) async fn stream(
    State(state): State<ApiState>,
    Asked(query): Asked<EventsQuery>,
) -> Result<Response, Refusal> {
    let subscription = state.controller.subscribe(query.since).await?;
    let body = Body::from_stream(lines(subscription, state.stopping));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

struct Listener {
    missed: VecDeque<Event>,
    upcoming: Receiver<Event>,
    stopping: CancellationToken,
    newest: u64,
}

fn lines(subscription: Subscription, stopping: CancellationToken) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let Subscription { missed, upcoming } = subscription;
    let listener = Listener { missed: missed.into(), upcoming, stopping, newest: 0 };
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        // Its fields are strings and numbers: there is nothing that JSON can't say.
        let mut line = serde_json::to_vec(&event).ok()?;
        line.push(b'\n');
        Some((Ok(Bytes::from(line)), listener))
    })
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.missed.pop_front() {
            self.newest = event.revision;
            return Some(event);
        }
        let received = tokio::select! {
            received = self.upcoming.recv() => received,
            () = self.stopping.cancelled() => return None,
        };
        match received {
            Ok(event) => {
                self.newest = event.revision;
                Some(event)
            }
            // The listener was slower than the events: it has to look at everything anew.
            Err(RecvError::Lagged(lost)) => Some(gap(self.newest + lost, Timestamp::now())),
            Err(RecvError::Closed) => None,
        }
    }
}

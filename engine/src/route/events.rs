//! `GET /events`: what happened, and what happens for as long as the client listens.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::{Stream, StreamExt as _, stream};
use jiff::Timestamp;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::events::{Bus, Event};
use crate::filters::Filters;
use crate::moment;
use crate::route::query::Query;
use crate::translate::event::{Selection, view};
use crate::wire::event::{EventsQuery, Framing};

pub(crate) fn routes() -> Router<Engine> {
    Router::new().route("/events", get(events))
}

async fn events(State(bus): State<Arc<Bus>>, headers: HeaderMap, Query(query): Query<EventsQuery>) -> Result<Response> {
    let framing = Framing::negotiate(&headers);
    let now = Timestamp::now();
    let selection = Selection::new(Filters::parse(query.filters.as_deref())?)?;
    // Unlike elsewhere, 0 is a time: it asks for all of the past.
    let since = query.since.as_deref().filter(|text| !text.is_empty());
    let since = since.map(|text| moment::parse(text, now)).transpose()?;
    let until = moment::parse_optional(query.until.as_deref(), now)?;
    if let (Some(from), Some(to)) = (since, until)
        && from > to
    {
        return Err(Error::invalid(format!("`since` time ({from}) cannot be after `until` time ({to})")));
    }
    let (past, coming) = bus.subscribe();
    // Who names neither end wants only what comes.
    let wants_past = since.is_some() || until.is_some();
    let past = past.into_iter().filter(move |event| wants_past && since.is_none_or(|since| event.at >= since));
    let lines = stream::iter(past)
        .chain(following(coming).take_until(moment::reached(until)))
        .filter(move |event| std::future::ready(selection.takes(event) && until.is_none_or(|until| event.at <= until)))
        .map(move |event| Ok::<Bytes, std::convert::Infallible>(framing.frame(&view(&event)).into()));
    Ok(([(CONTENT_TYPE, framing.content_type())], Body::from_stream(lines)).into_response())
}

/// Events as they come. A listener that falls far behind misses the oldest.
fn following(receiver: Receiver<Event>) -> impl Stream<Item = Event> {
    stream::unfold(receiver, |mut receiver| async {
        loop {
            match receiver.recv().await {
                Ok(event) => return Some((event, receiver)),
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "a listener reads events too slowly"),
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

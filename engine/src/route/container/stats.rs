//! `GET /containers/{id}/stats`: a sample, or one a second for as long as the client listens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use jiff::Timestamp;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::named::Named;
use crate::blocking::Blocking as _;
use crate::container::{Container, Containers, Handle, Phase};
use crate::error::Result;
use crate::route::query::Query;
use crate::translate::stats::{Sample, view};
use crate::wire::stats::StatsView;
use crate::wire::stream::StatsQuery;

/// Between two samples. Only while somebody listens is anything sampled.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn stats(
    State(containers): State<Arc<Containers>>,
    Named(handle): Named,
    Query(query): Query<StatsQuery>,
) -> Result<Response> {
    let mut sampling = Sampling::new(containers, handle);
    if query.stream.unwrap_or(true) {
        let samples = stream::unfold(sampling, |mut sampling| async {
            let view = sampling.next().await.transpose()?;
            Some((view.map(|view| line(&view)), sampling))
        });
        return Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(samples)).into_response());
    }
    let mut sample = sampling.next().await?;
    // A rate needs two samples; who doesn't want to wait for the second says so.
    if !query.one_shot && sampling.alive() {
        sample = sampling.next().await?.or(sample);
    }
    Ok(Json(sample).into_response())
}

fn line(view: &StatsView) -> Bytes {
    let mut line = serde_json::to_vec(view).expect("a sample consists of numbers and text");
    line.push(b'\n');
    line.into()
}

/// A container being sampled.
struct Sampling {
    containers: Arc<Containers>,
    handle: Handle,
    ticks: Interval,
    before: Option<Sample>,
}

impl Sampling {
    fn new(containers: Arc<Containers>, handle: Handle) -> Self {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { containers, handle, ticks, before: None }
    }

    fn alive(&self) -> bool {
        self.handle.container().state.phase.is_alive()
    }

    /// The next sample when it is time, an empty one while the container doesn't run, nothing once it is removed.
    async fn next(&mut self) -> Result<Option<StatsView>> {
        self.ticks.tick().await;
        let container = self.handle.container();
        if container.state.phase == Phase::Removed {
            return Ok(None);
        }
        let now = if container.state.phase.is_alive() { self.sample(&container).await? } else { None };
        let view = view(container.id.as_str(), &container.name, now.as_ref(), self.before.as_ref());
        self.before = now;
        Ok(Some(view))
    }

    async fn sample(&self, container: &Container) -> Result<Option<Sample>> {
        let id = container.id.clone();
        let at = Timestamp::now();
        self.containers
            .blocking(move |containers| match containers.runtime.stats(&id) {
                Ok(stats) => Ok(Some(Sample { at, stats })),
                // It ended this very moment.
                Err(runtime::Error::Conflict { .. } | runtime::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            })
            .await
    }
}

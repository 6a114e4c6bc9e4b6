//! `POST /build` and `POST /build/prune`: the classic builder's API.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use build::{BuildEnvironment, BuildRequest, Built, Context, Error as BuildError};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use images::CachedStep;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::{StreamReader, SyncIoBridge};
use tokio_util::sync::CancellationToken;

use crate::blocking::Blocking as _;
use crate::build::{BuildClient, Limits, Runner};
use crate::engine::Engine;
use crate::error::{Result, chain};
use crate::events::ObjectKind;
use crate::filters::Filters;
use crate::image::Images;
use crate::moment;
use crate::route::query::Query;
use crate::translate::image as translate;
use crate::wire::build::{self as wire, BuildLine, BuildQuery, PruneQuery, PrunedView, RegistryPasswords};

/// How many lines may wait for a client that reads slowly; then the build waits, for none may be lost.
const LINES: usize = 256;

pub(crate) fn routes() -> Router<Engine> {
    Router::new().route("/build", post(build)).route("/build/prune", post(prune))
}

async fn build(
    State(engine): State<Engine>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let parsed = ParsedRequest::parse(query.as_deref().unwrap_or_default(), &headers)?;
    parsed.limits.check(&engine.containers.registry)?;
    let mut tar = SyncIoBridge::new(StreamReader::new(body.into_data_stream().map_err(std::io::Error::other)));
    let context = engine.blocking(move |engine| Ok(Context::receive(&engine.images.store, &mut tar)?)).await?;
    let (lines, mut reply) = mpsc::channel(LINES);
    let stop = parsed.request.called_off.clone();
    let (gone, over) = (lines.clone(), stop.clone());
    tokio::spawn(async move {
        tokio::select! {
            // Nobody reads any more: nobody wants the image.
            () = gone.closed() => over.cancel(),
            () = over.cancelled() => {}
        }
    });
    let runner = Runner::new(engine.clone(), parsed.limits.clone(), stop.clone());
    let (outcome, failure) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        // Then the one who watches the client is done as well, however it ends.
        let _over = stop.clone().drop_guard();
        if let Err(error) = work(&engine, &parsed, &context, &runner, lines, stop) {
            // A client that has gone misses nothing.
            let _ = outcome.send(error);
        }
    });
    let Some(first) = reply.recv().await else {
        // Over without a word: the reply can still be an error.
        return match failure.await {
            Ok(error) if !matches!(error, BuildError::Step { .. }) => Err(error.into()),
            failure => Ok(respond(stream::iter(failure.ok().map(|error| failed(&error))))),
        };
    };
    let lines = stream::once(async { first })
        .chain(stream::unfold(reply, |mut reply| async { Some((reply.recv().await?, reply)) }));
    let end = stream::once(failure).filter_map(|failure| async { failure.ok().map(|error| failed(&error)) });
    Ok(respond(lines.chain(end)))
}

fn respond(lines: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(lines.map(Ok::<Bytes, Infallible>));
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The last line of a build that went wrong.
fn failed(error: &BuildError) -> Bytes {
    BuildLine::failed(chain(error), error.exit_code()).to_bytes()
}

/// A request, understood.
struct ParsedRequest {
    request: BuildRequest,
    limits: Limits,
    is_quiet: bool,
    passwords: RegistryPasswords,
}

impl ParsedRequest {
    fn parse(query: &str, headers: &HeaderMap) -> Result<Self> {
        let query = BuildQuery::parse(query)?;
        let platform = translate::platform(&query.platform)?;
        let tags = query.tags.iter().map(|tag| translate::reference(tag, "")).collect::<Result<_>>()?;
        let request = BuildRequest {
            dockerfile: query.dockerfile,
            dockerfile_name: query.dockerfile_name,
            tags,
            target: Some(query.target).filter(|target| !target.is_empty()),
            build_args: query.build_args.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            labels: query.labels,
            platform,
            no_cache: query.no_cache,
            pull: query.pull,
            cache_from: query.cache_from,
            secrets: wire::secrets(headers)?,
            called_off: CancellationToken::new(),
        };
        let limits = Limits::new(query.host);
        let passwords = RegistryPasswords::of_headers(headers);
        Ok(Self { request, limits, is_quiet: query.is_quiet, passwords })
    }
}

fn work(
    engine: &Engine,
    parsed: &ParsedRequest,
    context: &Context,
    runner: &Runner,
    lines: mpsc::Sender<Bytes>,
    stop: CancellationToken,
) -> Result<(), BuildError> {
    let passwords = parsed.passwords.clone();
    let client = BuildClient::new(engine.clone(), lines.clone(), passwords, parsed.is_quiet, stop);
    let environment =
        BuildEnvironment { runner, images: &client, progress: &client, registries: &engine.images.registries };
    let built = build::build(&engine.images.store, context, &parsed.request, &environment);
    let built = built.inspect_err(|error| tracing::debug!("a build failed: {}", chain(error)))?;
    for line in report(&engine.images, parsed, &built) {
        // A client that has gone misses nothing.
        let _ = lines.blocking_send(line.to_bytes());
    }
    Ok(())
}

fn report(images: &Images, parsed: &ParsedRequest, built: &Built) -> Vec<BuildLine> {
    let id = built.id.to_string();
    let mut lines = vec![BuildLine::built(id.clone())];
    if parsed.is_quiet {
        lines.push(BuildLine::text(format!("{id}\n")));
    } else {
        if !built.unused_args.is_empty() {
            let names = built.unused_args.join(" ");
            lines.push(BuildLine::text(format!("[Warning] One or more build-args [{names}] were not consumed\n")));
        }
        lines.push(BuildLine::text(format!("Successfully built {}\n", built.id.short())));
    }
    images.tell("build", built.id, &*id);
    for tag in &parsed.request.tags {
        let name = tag.clone().or_latest().familiar();
        images.tell("tag", built.id, &*name);
        if !parsed.is_quiet {
            lines.push(BuildLine::text(format!("Successfully tagged {name}\n")));
        }
    }
    lines
}

/// Forgets steps that no image needs, or all of them, and what steps kept for each other.
async fn prune(State(images): State<Arc<Images>>, Query(query): Query<PruneQuery>) -> Result<Json<PrunedView>> {
    query.check()?;
    let filters = Filters::parse(query.filters.as_deref())?.only(&["label", "label!", "until"])?;
    // Nothing of the cache has labels.
    let may_go = filters.allows_labels(|_| None) && filters.allows_absent_labels(|_| None);
    let before = filters.single("until")?.map(|text| moment::parse(text, Timestamp::now())).transpose()?;
    let pruned = images.blocking(move |images| {
        let select = |step: &CachedStep| {
            may_go && (query.all || !step.is_shared) && before.is_none_or(|before| step.used < before)
        };
        let (keys, pruned) = images.store.prune_steps(select)?;
        let caches_deleted = keys.iter().map(|key| key.short()).collect();
        let mut view = PrunedView { caches_deleted, space_reclaimed: pruned.reclaimed_bytes };
        if may_go && before.is_none() {
            let gone = images.store.prune_caches()?;
            view.space_reclaimed += gone.iter().map(|cache| cache.size_bytes).sum::<u64>();
            view.caches_deleted.extend(gone.into_iter().map(|cache| cache.id));
        }
        images.events.tell_pruned(ObjectKind::Builder, view.space_reclaimed);
        Ok(Json(view))
    });
    pruned.await
}

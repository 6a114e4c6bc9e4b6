//! `POST /auth` and `GET /images/search`: what registries are asked besides images.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use images::{RegistryError, SearchTerm, Server};
use tokio_util::sync::CancellationToken;

use crate::blocking::Blocking as _;
use crate::engine::Engine;
use crate::error::{Error, ErrorBody, Result, chain};
use crate::filters::{FilterError, Filters};
use crate::image::Images;
use crate::route::query::Query;
use crate::stream::JsonBody;
use crate::wire::body;
use crate::wire::registry::{LoginView, SearchQuery, SearchView};
use crate::wire::registry_auth::{self, AuthConfig};

/// As many as Docker asks for when nobody says how many, and at most.
const FOUND: usize = 25;
const FOUND_MAX: usize = 100;

pub(crate) fn routes() -> Router<Engine> {
    Router::new().route("/auth", post(log_in)).route("/images/search", get(search))
}

async fn log_in(State(images): State<Arc<Images>>, JsonBody(body): JsonBody) -> Result<Response> {
    let auth: AuthConfig = body::parse(&body)?;
    let server: Server =
        auth.serveraddress.parse().map_err(|error: images::ConfigError| Error::invalid(error.to_string()))?;
    let credentials =
        auth.credentials().ok_or_else(|| Error::invalid("invalid auth: it isn't base64 of user:password"))?;
    let called_off = CancellationToken::new();
    let _listening = called_off.clone().drop_guard();
    let outcome =
        images.blocking(move |images| Ok(images.registries.log_in(&server, &credentials, &called_off))).await?;
    match outcome {
        Ok(identity_token) => {
            Ok(Json(LoginView { status: "Login Succeeded", identity_token: identity_token.unwrap_or_default() })
                .into_response())
        }
        // By this status clients know that a kept password has become wrong.
        Err(refusal @ RegistryError::LoginRefused { .. }) => {
            Ok((StatusCode::UNAUTHORIZED, Json(ErrorBody { message: chain(&refusal) })).into_response())
        }
        Err(error) => Err(images::Error::from(error).into()),
    }
}

async fn search(
    State(images): State<Arc<Images>>,
    Query(query): Query<SearchQuery>,
    headers: HeaderMap,
) -> Result<Json<Vec<SearchView>>> {
    if query.term.is_empty() {
        return Err(Error::invalid("no term is given: say in term what to look for"));
    }
    let limit = match query.limit {
        None | Some(0) => FOUND,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| *limit <= FOUND_MAX)
            .ok_or_else(|| Error::invalid(format!("limit {limit} is outside the range of [1, {FOUND_MAX}]")))?,
    };
    let filters = Filters::parse(query.filters.as_deref())?.only(&["is-automated", "is-official", "stars"])?;
    let (automated, official, stars) = (filters.flag("is-automated")?, filters.flag("is-official")?, stars(&filters)?);
    let credentials = registry_auth::credentials(&headers);
    let called_off = CancellationToken::new();
    let _listening = called_off.clone().drop_guard();
    let search = move |images: &Arc<Images>| {
        let term = SearchTerm::new(&query.term);
        let found = images.registries.search(&term, limit, &credentials, &called_off);
        Ok(found.map_err(images::Error::from)?)
    };
    let mut found = images.blocking(search).await?;
    // Nothing is automated any more.
    found.retain(|found| {
        automated != Some(true)
            && official.is_none_or(|official| found.is_official == official)
            && found.star_count >= stars
    });
    Ok(Json(found.into_iter().map(SearchView::from).collect()))
}

/// The most of the numbers of stars that are asked for.
fn stars(filters: &Filters) -> Result<u64, FilterError> {
    let number = |value: &str| {
        value.parse().map_err(|_| FilterError::Value {
            name: "stars".to_owned(),
            value: value.to_owned(),
            expected: "a number is expected",
        })
    };
    filters.values("stars").map(number).try_fold(0, |most, stars| Ok(most.max(stars?)))
}

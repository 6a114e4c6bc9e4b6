//! Bodies and queries, with refusals in one sentence.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::QueryRejection},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// A body of JSON, whatever its content type is called.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| cnm::Error::invalid(format!("the request's body can't be read: {}", error.body_text())))?;
        if bytes.is_empty() {
            return Err(cnm::Error::invalid("the request has no body: a JSON object is expected").into());
        }
        serde_json::from_slice(&bytes)
            .map(Body)
            .map_err(|error| cnm::Error::invalid(format!("the request's body is not what is expected: {error}")).into())
    }
}

/// A query string.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(error) => Err(refuse(&error)),
        }
    }
}

fn refuse(error: &QueryRejection) -> Refusal {
    cnm::Error::invalid(format!("the request's query is not what is expected: {}", error.body_text())).into()
}

//! Bodies and queries, with refusals in one sentence.

use axum::{
    body::Body as Stream,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::QueryRejection},
    http::request::Parts,
};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// The longest body; the claim of an owner with 30,000 sandboxes is shorter.
pub(super) const MOST_BYTES: usize = 2 * 1024 * 1024;

/// How much of a body that is too long is read and thrown away: a client that is still sending when the connection is
/// closed never reads why.
const MOST_BYTES_DISCARDED: usize = 64 * 1024 * 1024;

/// A body of JSON, whatever its content type is called.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() {
            return Err(cnm::Error::invalid("the request has no body: a JSON object is expected").into());
        }
        serde_json::from_slice(&bytes)
            .map(Body)
            .map_err(|error| cnm::Error::invalid(format!("the request's body is not what is expected: {error}")).into())
    }
}

async fn read(body: Stream) -> Result<Vec<u8>, Refusal> {
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let data = part.map_err(|error| cnm::Error::invalid(format!("the request's body can't be read: {error}")))?;
        length += data.len();
        if length <= MOST_BYTES {
            bytes.extend_from_slice(&data);
        } else if length > MOST_BYTES_DISCARDED {
            break;
        }
    }
    if length > MOST_BYTES { Err(Refusal::too_long(MOST_BYTES)) } else { Ok(bytes) }
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

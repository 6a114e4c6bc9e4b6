//! A request's JSON body as a whole, within bounds, and refused in Docker's words beyond them.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use bytes::BytesMut;
use futures::StreamExt as _;

use crate::error::{Error, Result};
use crate::wire::body;

/// The longest body; a container with the largest seccomp profile and thousands of ports is far shorter.
const MOST_BYTES: usize = 8 << 20;

/// The body of a request, which is JSON if its headers are right.
#[derive(Debug)]
pub(crate) struct JsonBody(pub(crate) Bytes);

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = Error;

    async fn from_request(request: Request, _state: &S) -> Result<Self> {
        body::check_is_json(request.headers())?;
        read(request.into_body()).await.map(Self)
    }
}

/// Reads a body to its end.
pub(super) async fn read(body: Body) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Error::invalid(format!("the request's body can't be read: {error}")))?;
        if bytes.len() + piece.len() > MOST_BYTES {
            return Err(Error::invalid(format!(
                "the request's body is too long: at most {MOST_BYTES} bytes are taken"
            )));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_taken_up_to_its_bound() {
        let body = |length: usize| Body::from(vec![b'x'; length]);
        assert_eq!(read(body(0)).await.unwrap().len(), 0);
        assert_eq!(read(body(MOST_BYTES)).await.unwrap().len(), MOST_BYTES);
        let message = read(body(MOST_BYTES + 1)).await.unwrap_err().message();
        assert_eq!(message, "the request's body is too long: at most 8388608 bytes are taken");
    }
}

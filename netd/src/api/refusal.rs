//! Errors as replies: the kind decides the status, in one place.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cnm::{Kind, api::ErrorReply};

use crate::Error;

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    kind: Kind,
    message: String,
}

impl Refusal {
    fn new(kind: Kind, message: String) -> Self {
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, kind, message }
    }

    /// A body longer than so many bytes.
    pub(crate) fn too_long(most_bytes: usize) -> Self {
        let message = format!("the request's body is too long: at most {most_bytes} bytes are read");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, ..Self::new(Kind::InvalidParameter, message) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.chain())
    }
}

impl From<cnm::Error> for Refusal {
    fn from(error: cnm::Error) -> Self {
        Self::new(error.kind, error.message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, kind, message } = self;
        match kind {
            Kind::Internal => tracing::error!(%message, "request failed"),
            Kind::Unavailable => tracing::warn!(%message, "request failed"),
            _ => tracing::debug!(%message, "request refused"),
        }
        (status, Json(ErrorReply { kind, message })).into_response()
    }
}

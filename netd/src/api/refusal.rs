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
    kind: Kind,
    message: String,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { kind: error.kind(), message: error.chain() }
    }
}

impl From<cnm::Error> for Refusal {
    fn from(error: cnm::Error) -> Self {
        Self { kind: error.kind, message: error.message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { kind, message } = self;
        match kind {
            Kind::Internal | Kind::Unavailable => tracing::error!(%message, "request failed"),
            _ => tracing::debug!(%message, "request refused"),
        }
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorReply { kind, message })).into_response()
    }
}

//! What went wrong, in one sentence, and of which kind: the kind becomes an HTTP status or an exit code at the edge.

use serde::{Deserialize, Serialize};

/// How a caller should treat an error; decided where the error is made, mapped to a status in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request itself is wrong; sending it again can't help (HTTP 400).
    InvalidParameter,
    /// The thing named does not exist (HTTP 404).
    NotFound,
    /// The thing exists already, or its state forbids the request for now (HTTP 409).
    Conflict,
    /// The request is understood and never allowed: predefined networks, networks in use (HTTP 403).
    Forbidden,
    /// Neither this version nor this kernel can do it (HTTP 501).
    NotImplemented,
    /// It may work later: something that netd depends on is away (HTTP 503).
    Unavailable,
    /// netd or the kernel failed (HTTP 500); so does a kind count that only a newer netd knows.
    #[serde(other)]
    Internal,
}

impl Kind {
    /// The HTTP status code that stands for this kind on every one of berth's sockets.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidParameter => 400,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Forbidden => 403,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// A refusal by the model: one sentence that names the value, says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// How the caller should treat it.
    pub kind: Kind,
    /// The sentence for the user, without a full stop.
    pub message: String,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Shorthand for [`Kind::InvalidParameter`], by far the commonest kind in the model.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidParameter, message)
    }
}

//! The id that follows one user's request from the engine through netd into the logs.

use std::{fmt, str::FromStr};

use hyper::header::HeaderValue;

/// An id chosen by whoever first got a request, sent as [`cnm::api::TRACE_HEADER`]: 1 to 64 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceId(String);

/// The text isn't a trace id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid trace id {0:?}: 1 to 64 letters, digits, '-' and '_' are expected")]
pub struct InvalidTraceId(String);

impl TraceId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("letters, digits, '-' and '_' may stand in a header")
    }
}

impl FromStr for TraceId {
    type Err = InvalidTraceId;

    fn from_str(text: &str) -> Result<Self, InvalidTraceId> {
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if plain && (1..=64).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTraceId(text.to_owned()))
        }
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

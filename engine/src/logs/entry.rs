//! One line of a json-file log.

use jiff::Timestamp;
use serde::Deserialize;

use crate::frame::OutputStream;

/// What a container wrote: a line with its end, or a part of a line that was too long for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was read from the container.
    pub at: Timestamp,
    /// Where it was written to.
    pub stream: OutputStream,
    /// What was written.
    pub text: String,
}

/// Why a record can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    /// Not a JSON object with the three fields.
    #[error("a log record isn't JSON as expected")]
    Json(#[source] serde_json::Error),
    /// The stream isn't one of the two.
    #[error("a log record names an unknown stream")]
    Stream(#[source] crate::frame::UnknownStream),
}

/// The record on disk, in Docker's words; other fields (`attrs`) are a log driver's own.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    log: String,
    stream: String,
    time: Timestamp,
}

impl Entry {
    /// Reads one record.
    pub fn parse(record: &[u8]) -> Result<Self, BadRecord> {
        let Record { log, stream, time } = serde_json::from_slice(record).map_err(BadRecord::Json)?;
        Ok(Self { at: time, stream: stream.parse().map_err(BadRecord::Stream)?, text: log })
    }
}

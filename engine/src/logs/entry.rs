//! One record of a json-file log.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;

use crate::frame::OutputStream;

/// What a container wrote: a line with its end, or a piece of a line that was too long for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was read from the container.
    pub at: Timestamp,
    /// Where it was written to.
    pub stream: OutputStream,
    /// What was written.
    pub text: Vec<u8>,
    /// It goes on with the line of the record before it, of the same stream.
    pub continues: bool,
    /// What the log is to say of the container.
    pub attributes: BTreeMap<String, String>,
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
    /// What is no text isn't in base64.
    #[error("a log record has bytes that aren't base64")]
    Bytes(#[source] base64::DecodeError),
}

/// The record on disk, in Docker's words but for `continues` and `bytes`, which the runtime's monitor adds.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    log: String,
    stream: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    #[serde(default)]
    continues: bool,
    bytes: Option<String>,
    time: Timestamp,
}

impl Entry {
    /// Reads one record.
    pub fn parse(record: &[u8]) -> Result<Self, BadRecord> {
        let record: Record = serde_json::from_slice(record).map_err(BadRecord::Json)?;
        let text = match record.bytes {
            Some(bytes) => STANDARD.decode(bytes).map_err(BadRecord::Bytes)?,
            None => record.log.into_bytes(),
        };
        Ok(Self {
            at: record.time,
            stream: record.stream.parse().map_err(BadRecord::Stream)?,
            text,
            continues: record.continues,
            attributes: record.attrs,
        })
    }

    /// Whether its line ends with it.
    pub fn ends_line(&self) -> bool {
        self.text.ends_with(b"\n")
    }
}

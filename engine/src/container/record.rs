//! A container as the database keeps it: JSON with a version.

use serde::{Deserialize, Serialize};

use super::{Container, Published};
use crate::store::StoredContainer;

/// The version of records written by this build.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Outgoing<'a> {
    v: u32,
    container: &'a Container,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<Published>,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Incoming {
    container: Container,
    #[serde(default)]
    published: Option<Published>,
}

/// Why a record can't be understood.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another release wrote it.
    #[error(
        "the record of container {id} has version {found}, this berthd knows {VERSION}: use the berthd that wrote it"
    )]
    Version {
        /// The container.
        id: String,
        /// The version found.
        found: u32,
    },
    /// It isn't what a record looks like.
    #[error("the record of container {id} is damaged")]
    Damaged {
        /// The container.
        id: String,
        /// Where.
        source: serde_json::Error,
    },
}

/// The record of a container.
pub fn to_record(container: &Container) -> StoredContainer {
    let published = container.sandbox.as_ref().map(Published::of).or_else(|| container.last_published.clone());
    let record = serde_json::to_string(&Outgoing { v: VERSION, container, published })
        .expect("a container's keys are strings and its values have JSON forms");
    StoredContainer { id: container.id.to_string(), name: container.name.clone(), record }
}

/// The container of a record.
pub fn from_record(stored: &StoredContainer) -> Result<Container, RecordError> {
    let damaged = |source| RecordError::Damaged { id: stored.id.clone(), source };
    let Version { v } = serde_json::from_str(&stored.record).map_err(damaged)?;
    if v != VERSION {
        return Err(RecordError::Version { id: stored.id.clone(), found: v });
    }
    let Incoming { container, published } = serde_json::from_str(&stored.record).map_err(damaged)?;
    Ok(Container { last_published: published, ..container })
}

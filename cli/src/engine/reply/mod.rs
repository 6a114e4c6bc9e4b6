//! Replies of the engine, as far as berth reads them. A field that is absent or null is empty: engines differ.

mod container;
mod disk;
mod event;
mod image;
mod stats;

use serde::{Deserialize, Deserializer};

pub(crate) use container::*;
pub(crate) use disk::*;
pub(crate) use event::*;
pub(crate) use image::*;
pub(crate) use stats::*;

/// Null is as good as absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Replies that only name something new.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Identified {
    pub(crate) id: String,
}

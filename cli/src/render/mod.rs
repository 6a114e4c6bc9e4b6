//! Values → text. Pure: what the time and the zone are comes in as arguments.

pub(crate) mod attachment;
pub(crate) mod container;
pub(crate) mod disk;
pub(crate) mod event;
pub(crate) mod format;
pub(crate) mod human;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod network;
mod ports;
pub(crate) mod search;
pub(crate) mod stats;
pub(crate) mod template;
pub(crate) mod version;
pub(crate) mod volume;

/// Characters of an id that are enough for people.
const SHORT_ID: usize = 12;

/// The beginning of an id, without the name of its digest.
pub(crate) fn short_id(id: &str) -> String {
    let bare = id.split_once(':').map_or(id, |(_, digits)| digits);
    bare.chars().take(SHORT_ID).collect()
}

/// An id as it is shown: whole, or its beginning.
pub(crate) fn shown_id(id: &str, whole: bool) -> String {
    if whole { id.to_owned() } else { short_id(id) }
}

/// At most `length` characters, with an ellipsis for what is left out.
pub(crate) fn ellipsis(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    text.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

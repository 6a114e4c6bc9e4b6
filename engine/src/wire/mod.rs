//! Requests and replies as Docker's clients write and read them.

pub(crate) mod body;
pub(crate) mod create;

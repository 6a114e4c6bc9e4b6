//! What a build needs of this side: the context as a tar, and secrets.

pub(crate) mod context;
pub(crate) mod secret;

//! One file a resource: thin handlers that parse, ask, and render.

pub(crate) mod ping;

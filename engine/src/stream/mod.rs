//! Streams of processes as clients take them: over the connection itself or as a reply, with keys that detach.

pub(crate) mod detach;

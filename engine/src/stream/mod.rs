//! Streams of processes as clients take them: over the connection itself or as a reply, with keys that detach.

mod client;
pub(crate) mod detach;
pub(crate) mod download;
mod heard_out;
mod session;
mod whole;

pub(crate) use client::{Client, ClientStream, content_type};
pub(crate) use heard_out::hear_out;
pub(crate) use session::{End, Session};
pub(crate) use whole::Whole;

//! Streams of processes as clients take them: over the connection itself or as a reply, with keys that detach.

mod client;
mod connection;
pub(crate) mod download;
mod heard_out;
mod session;
mod websocket;
mod whole;

pub(crate) use client::{Client, ClientStream, content_type};
pub(crate) use connection::serve;
pub(crate) use heard_out::hear_out;
pub(crate) use session::{End, Rendering, Session};
pub(crate) use websocket::WebSocket;
pub(crate) use whole::Whole;

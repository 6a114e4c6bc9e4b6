//! Streams of processes as clients take them: over the connection itself or as a reply, with keys that detach.

mod client;
mod connection;
pub(crate) mod download;
mod drained_body;
mod json_body;
mod session;
mod websocket;

pub(crate) use client::{Client, ClientStream, content_type};
pub(crate) use connection::serve;
pub(crate) use drained_body::drain_body;
pub(crate) use json_body::JsonBody;
pub(crate) use session::{End, Rendering, Session};
pub(crate) use websocket::WebSocket;

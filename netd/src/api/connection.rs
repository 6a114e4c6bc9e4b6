//! Clients' connections, told of when they end.

use std::sync::Arc;

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::net::UnixListener;

/// A client's connection, for as long as it lasts.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    _on_close: Arc<OnClose>,
}

#[derive(Debug)]
struct OnClose;

impl Drop for OnClose {
    fn drop(&mut self) {
        heap::connection_closed();
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Connection {
    fn connect_info(_: IncomingStream<'_, UnixListener>) -> Self {
        Self { _on_close: Arc::new(OnClose) }
    }
}

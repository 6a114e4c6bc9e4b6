//! Clients' connections, told of when they end.

use std::sync::Arc;

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::net::UnixListener;

/// A client's connection, for as long as it lasts.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    _leaves: Arc<Leaves>,
}

#[derive(Debug)]
struct Leaves;

impl Drop for Leaves {
    fn drop(&mut self) {
        heap::one_has_left();
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Guest {
    fn connect_info(_: IncomingStream<'_, UnixListener>) -> Self {
        Self { _leaves: Arc::new(Leaves) }
    }
}

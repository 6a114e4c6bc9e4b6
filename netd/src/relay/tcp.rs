//! TCP: a task for each connection, from its acceptance until both sides are done or the port is no longer served.

use std::{
    io,
    net::{SocketAddr, TcpStream as StdTcpStream},
};

use socket2::Socket;
use tokio::{net::TcpStream, runtime::Handle};
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::ports::BACKLOG;

/// The held socket listens already, unless its port has moved behind the relay only now.
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    socket.listen(BACKLOG)
}

/// Accepts until no connection waits.
pub(super) fn accept_all(service: &Service, runtime: &Handle) {
    loop {
        match service.socket.accept() {
            Ok((connection, _)) => {
                runtime.spawn(carry(connection, service.to, service.stop.clone()));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(port = service.spec.port, %error, "cannot accept a connection to relay");
                return;
            }
        }
    }
}

async fn carry(connection: Socket, to: SocketAddr, stop: CancellationToken) {
    let passed = async {
        connection.set_nonblocking(true)?;
        let mut client = TcpStream::from_std(StdTcpStream::from(connection))?;
        let mut endpoint = TcpStream::connect(to).await?;
        client.set_nodelay(true)?;
        endpoint.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut client, &mut endpoint).await
    };
    tokio::select! {
        result = passed => {
            if let Err(error) = result {
                tracing::debug!(%to, %error, "a relayed connection broke");
            }
        }
        () = stop.cancelled() => {}
    }
}

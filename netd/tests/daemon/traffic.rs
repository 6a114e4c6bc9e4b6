//! Small servers and clients over TCP and UDP.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use crate::host_thread::HostThread;

/// Longer than anything here takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves a port over TCP and UDP for as long as the process lives: answers with a greeting and the client's address.
pub(crate) fn serve(place: &HostThread, port: u16, greeting: &'static str) {
    let (tcp, udp) = place.run(move || {
        let tcp = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
        (tcp, UdpSocket::bind(("0.0.0.0", port)).expect("a free port"))
    });
    thread::spawn(move || {
        for mut connection in tcp.incoming().filter_map(Result::ok) {
            let client = connection.peer_addr().expect("it is connected");
            let _ = write!(connection, "{greeting} {client}");
        }
    });
    thread::spawn(move || {
        let mut data = [0; 1024];
        while let Ok((_, client)) = udp.recv_from(&mut data) {
            let _ = udp.send_to(format!("{greeting} {client}").as_bytes(), client);
        }
    });
}

/// What a TCP server says.
pub(crate) fn ask_tcp(place: &HostThread, to: &str) -> io::Result<String> {
    let to: SocketAddr = to.parse().expect("an address");
    place.run(move || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    })
}

/// What a UDP server answers; the reply must come from where the question went.
pub(crate) fn ask_udp(place: &HostThread, to: &str) -> io::Result<String> {
    let to: SocketAddr = to.parse().expect("an address");
    place.run(move || {
        let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().expect("an address");
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(to)?;
        socket.send(b"?")?;
        let mut data = [0; 1024];
        let length = socket.recv(&mut data)?;
        Ok(String::from_utf8_lossy(&data[..length]).into_owned())
    })
}

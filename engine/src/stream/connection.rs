//! One client's connection: HTTP, until it is closed or until a reply takes it over and nothing on it is HTTP any more.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::ClientStream;

/// After an error that isn't of one connection, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);

/// What uses a connection once the reply's head is sent.
type Session = Box<dyn FnOnce(ClientStream) -> BoxFuture<'static, ()> + Send>;

/// Of a reply that takes its connection over: its head is sent, and what follows is the session's. Whatever the client has
/// sent behind its request is the session's, too.
#[derive(Clone)]
struct TakesOver(Arc<Mutex<Option<Session>>>);

/// Has a reply take its connection over. The session gives the stream back when it is done with it.
pub(super) fn take_over<F>(reply: &mut Response, session: impl FnOnce(ClientStream) -> F + Send + 'static)
where
    F: Future<Output = ClientStream> + Send + 'static,
{
    let session: Session = Box::new(|stream| async move { session(stream).await.finish().await }.boxed());
    reply.extensions_mut().insert(TakesOver(Arc::new(Mutex::new(Some(session)))));
}

impl TakesOver {
    fn session(self) -> Option<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Serves until told to stop, and then until every request under way has its reply. Sessions aren't waited for.
pub(crate) async fn serve(listener: UnixListener, app: Router, told: impl Future<Output = ()>) {
    let connections = TaskTracker::new();
    let (stop, stopping) = watch::channel(false);
    let mut told = pin!(told);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (app, stopping) = (app.clone(), stopping.clone());
                    connections.spawn(async move {
                        attend(stream, app, stopping).await;
                        heap::connection_closed();
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::error!("accepting a connection: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            () = &mut told => break,
        }
    }
    drop(listener);
    stop.send_replace(true);
    connections.close();
    connections.wait().await;
}

async fn attend(stream: UnixStream, app: Router, mut stopping: watch::Receiver<bool>) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => return tracing::error!("watching a connection: {error}"),
    };
    let (take, mut taken) = mpsc::channel(1);
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, take) = (app.clone(), take.clone());
        async move {
            let Ok(mut reply) = app.oneshot(request.map(Body::new)).await;
            let session = reply.extensions_mut().remove::<TakesOver>().and_then(TakesOver::session);
            if let Some(session) = session {
                // Whoever receives it ends the HTTP that this is part of.
                take.send((head(&reply), session)).await.ok();
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(reply)
        }
    });
    // A client that only sends no more still listens; one that is gone is noticed by `peer`.
    let mut connection = http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service);
    let mut told = false;
    let (head, session) = loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                return ended.unwrap_or_else(|error| tracing::debug!("a connection ended: {error}"));
            }
            over = taken.recv() => match over {
                Some(over) => break over,
                None => return,
            },
            () = peer.is_gone() => return,
            _ = stopping.wait_for(|stop| *stop), if !told => {
                told = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let Parts { io, read_buf, .. } = connection.into_parts();
    let stream = match send_by_itself(io.into_inner(), &head).await {
        Ok(stream) => stream,
        Err(error) => return tracing::debug!("a client left before its stream began: {error}"),
    };
    let (input, output) = stream.into_split();
    let input = Cursor::new(read_buf).chain(input);
    let gone = async move { peer.is_gone().await }.boxed();
    tokio::spawn(session(ClientStream { input: Box::pin(input), output: Box::pin(output), gone }));
}

/// How long a client may take to read the head of its reply before what follows it is sent.
const HEAD_IS_READ_WITHIN: Duration = Duration::from_secs(1);

/// Sends a head, and lets nothing follow it before the client has read it: Python's http.client, and with it docker-py, Ansible
/// and docker-compose, reads it through a buffer, and throws away what comes with it.
async fn send_by_itself(mut stream: UnixStream, head: &[u8]) -> io::Result<UnixStream> {
    let taken = Taken::of(&stream);
    stream.write_all(head).await?;
    // Where descriptors are short, what follows is sent at once. A client that takes longer may wait for something else first.
    if let Ok(taken) = taken {
        let _ = timeout(HEAD_IS_READ_WITHIN, taken.wait()).await;
    }
    Ok(stream)
}

/// Tells that the other side of a socket has taken what it was sent: the kernel says anew then that it can be written to
/// (`unix_write_space`), which an epoll of its own sees apart from all else (epoll(7), "edge-triggered").
struct Taken(AsyncFd<OwnedFd>);

impl Taken {
    /// From now on.
    #[expect(deprecated, reason = "it is sound for an OwnedFd, and what is to replace it is unsafe")]
    fn of(stream: &UnixStream) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, stream, epoll::EventData::new_u64(0), epoll::EventFlags::OUT | epoll::EventFlags::ET)?;
        let taken = Self(AsyncFd::with_interest(epoll, Interest::READABLE)?);
        // That it can be written to now is no news.
        taken.has_come()?;
        Ok(taken)
    }

    fn has_come(&self) -> io::Result<bool> {
        let mut events = Vec::with_capacity(1);
        epoll::wait(self.0.get_ref(), spare_capacity(&mut events), Some(&Timespec::default()))?;
        Ok(!events.is_empty())
    }

    async fn wait(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            if self.has_come()? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

/// The head of a reply as it is sent. Without a length or an encoding, what follows lasts until the connection is closed.
fn head(reply: &Response) -> Vec<u8> {
    let reason = match reply.status() {
        StatusCode::SWITCHING_PROTOCOLS => "UPGRADED",
        status => status.canonical_reason().unwrap_or_default(),
    };
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", reply.status().as_str()).into_bytes();
    // Routers name the length of a body that there isn't.
    for (name, value) in reply.headers().iter().filter(|(name, _)| **name != CONTENT_LENGTH) {
        head.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The other side of a connection.
struct Peer(UnixStream);

impl Peer {
    fn of(stream: &UnixStream) -> io::Result<Self> {
        let same = std::os::unix::net::UnixStream::from(stream.as_fd().try_clone_to_owned()?);
        UnixStream::from_std(same).map(Self)
    }

    /// Waits until nobody is there who could read. That a client sends no more is none of it.
    async fn is_gone(&self) {
        // An error means that the event loop ends, and the connection with it.
        while let Ok(ready) = self.0.ready(Interest::WRITABLE).await {
            if ready.is_write_closed() {
                return;
            }
            // The answer "it isn't" has the next call wait for the next change.
            let _ = self.0.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::State;
    use axum::routing::{any, get};
    use tokio::sync::oneshot;

    use super::super::Client;
    use super::*;

    /// A client of a server with these routes.
    async fn connect(routes: Router) -> UnixStream {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(serve(listener, routes, std::future::pending()));
        UnixStream::connect(&path).await.unwrap()
    }

    async fn echo(mut client: Client) -> Response {
        let body = client.take_body().await.unwrap();
        client.stream("text/echo", move |mut stream| async move {
            stream.output.write_all(&body).await.unwrap();
            tokio::io::copy(&mut stream.input, &mut stream.output).await.unwrap();
            stream
        })
    }

    async fn answer(request: &str, more: &[u8]) -> String {
        let mut client = connect(Router::new().route("/echo", any(echo))).await;
        client.write_all(&[request.as_bytes(), more].concat()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_stream_goes_both_ways_however_it_is_asked_for() {
        for asked in ["Upgrade: tcp\r\nConnection: upgrade\r\n", "Upgrade: anything\r\n"] {
            let answer = answer(&format!("POST /echo HTTP/1.1\r\nHost: x\r\n{asked}\r\n"), b"sent along").await;
            let head =
                "HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\ncontent-type: text/echo\r\n\r\n";
            assert_eq!(answer, format!("{head}sent along"));
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/echo\r\n\r\n";
        let request = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(answer(request, b"body and more").await, format!("{head}body and more"));
    }

    #[tokio::test]
    async fn what_is_left_of_a_clients_input_does_not_cost_it_the_output() {
        // More than any socket's buffers hold.
        const LENGTH: usize = 8 << 20;
        let deaf = |client: Client| async {
            client.stream("text/plain", |mut stream| async {
                stream.output.write_all(b"enough").await.unwrap();
                stream
            })
        };
        let mut client = connect(Router::new().route("/deaf", any(deaf))).await;
        client.write_all(b"POST /deaf HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n\r\n").await.unwrap();
        client.write_all(&vec![0; LENGTH]).await.expect("all of it is taken");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nenough"), "{answer}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_follows_a_head_that_is_not_read_yet() {
        for upgrade in ["", "Connection: Upgrade\r\nUpgrade: tcp\r\n"] {
            let mut client = connect(Router::new().route("/echo", any(echo))).await;
            let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{upgrade}Content-Length: 5\r\n\r\nhello");
            client.write_all(request.as_bytes()).await.unwrap();
            // As one that is slow, and takes whatever is there.
            client.readable().await.unwrap();
            std::thread::sleep(Duration::from_millis(50));
            let mut taken = [0; 8192];
            let length = client.read(&mut taken).await.unwrap();
            assert!(taken[..length].ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&taken[..length]));
            let length = client.read(&mut taken).await.unwrap();
            assert_eq!(&taken[..length], b"hello");
        }
    }

    #[tokio::test]
    async fn who_sends_nothing_but_waits_is_sent_what_follows_all_the_same() {
        let mut client = connect(Router::new().route("/echo", any(echo))).await;
        client.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
        // Nothing is read before all of it is there.
        let mut seen = [0; 8192];
        while !seen.ends_with(b"hello") {
            client.readable().await.unwrap();
            let length = rustix::net::recv(&client, &mut seen[..], rustix::net::RecvFlags::PEEK).unwrap().0;
            seen.rotate_right(8192 - length);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_sends_no_more_is_answered_and_who_is_gone_is_let_go() {
        let (begun, begins) = oneshot::channel::<()>();
        let (mut dropped, ends) = oneshot::channel::<()>();
        let slow = move |State(state): State<Arc<Mutex<Option<_>>>>| async move {
            let (begun, _dropped): (oneshot::Sender<()>, oneshot::Receiver<()>) = state.lock().unwrap().take().unwrap();
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        let quick = || async {
            // Not at once, when the end of the request is not read yet.
            tokio::task::yield_now().await;
            "quick"
        };
        let routes = Router::new()
            .route("/slow", get(slow))
            .route("/quick", get(quick))
            .with_state(Arc::new(Mutex::new(Some((begun, ends)))));
        let mut client = connect(routes.clone()).await;
        client.write_all(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\nquick"), "{answer}");

        let mut client = connect(routes).await;
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        begins.await.unwrap();
        client.shutdown().await.unwrap();
        assert!(!dropped.is_closed(), "it still listens");
        drop(client);
        dropped.closed().await;
    }
}

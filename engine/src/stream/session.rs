//! Passing a process's streams through to a client and back, until one of them has had enough.

use bytes::BytesMut;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::ClientStream;
use crate::detach::{DetachKeys, Typed};
use crate::frame::{OutputStream, Unframed, put_frame};

const READ_BYTES: usize = 32 * 1024;

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process has ended and the client has all its output.
    Output,
    /// The client typed the keys that detach.
    Detached,
    /// The client is gone.
    ClientGone,
}

/// What a client may do with a process's streams.
#[derive(Debug)]
pub(crate) struct Session {
    /// What it sends goes to the process.
    pub(crate) stdin: bool,
    /// The keys that detach it, where it has a terminal.
    pub(crate) detach: Option<DetachKeys>,
    /// How it is given the output.
    pub(crate) rendering: Rendering,
}

/// What becomes of a process's output on its way to a client.
#[derive(Debug)]
pub(crate) enum Rendering {
    /// It stays as it is: frames, or what a terminal says.
    AsItIs,
    /// Frames are taken apart.
    Unframed(Unframed),
    /// What a terminal says is put into frames.
    Framed,
}

impl Rendering {
    /// For a process that has a terminal or not, and a client that believes that it has one or not.
    pub(crate) fn of(has_terminal: bool, is_to_have_one: bool) -> Self {
        match (has_terminal, is_to_have_one) {
            (false, true) => Self::Unframed(Unframed::default()),
            (true, false) => Self::Framed,
            (true, true) | (false, false) => Self::AsItIs,
        }
    }

    /// The next piece of output as the client is given it; `place` is where it is made, if it is another one.
    fn render<'a>(&mut self, piece: &'a [u8], place: &'a mut BytesMut) -> &'a [u8] {
        place.clear();
        match self {
            Self::AsItIs => return piece,
            Self::Unframed(unframed) => unframed.push(piece, |_, content| place.extend_from_slice(content)),
            Self::Framed => put_frame(place, OutputStream::Stdout, piece),
        }
        place
    }
}

impl Session {
    /// Passes everything through. The client's stream is still open afterwards.
    pub(crate) async fn run(self, client: &mut ClientStream, process: UnixStream) -> End {
        let Self { stdin, detach, rendering } = self;
        let (from_process, to_process) = process.into_split();
        tokio::select! {
            end = pass_output(from_process, &mut client.output, rendering) => end,
            end = pass_input(&mut client.input, &mut client.gone, to_process, stdin, detach) => end,
        }
    }
}

/// Ends only when the client leaves: the end of its input isn't the end of its interest in output.
async fn pass_input(
    client: &mut (impl AsyncRead + Unpin),
    gone: &mut BoxFuture<'static, ()>,
    to_process: impl AsyncWrite + Unpin,
    stdin: bool,
    mut detach: Option<DetachKeys>,
) -> End {
    // Without standard input what the client sends is read all the same, to notice when it is gone.
    let mut to_process = stdin.then_some(to_process);
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        buffer.clear();
        buffer.reserve(READ_BYTES);
        match client.read_buf(&mut buffer).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return End::ClientGone,
        }
        let (input, detached) = match detach.as_mut().map(|keys| keys.push(&buffer)) {
            None => (buffer.split(), false),
            Some(Typed::Input(input)) => (input, false),
            Some(Typed::Detach(input)) => (input, true),
        };
        write(&mut to_process, &input).await;
        if detached {
            return End::Detached;
        }
    }
    if let Some(keys) = &mut detach {
        write(&mut to_process, keys.finish()).await;
    }
    // Dropping one half of a socket shuts it down for writing: the process reads the end of its input.
    drop(to_process);
    gone.await;
    End::ClientGone
}

/// A process that doesn't take input any more goes on without it.
async fn write(to_process: &mut Option<impl AsyncWrite + Unpin>, input: &[u8]) {
    if let Some(writer) = to_process
        && writer.write_all(input).await.is_err()
    {
        *to_process = None;
    }
}

async fn pass_output(
    mut process: impl AsyncRead + Unpin,
    client: &mut (impl AsyncWrite + Unpin),
    mut rendering: Rendering,
) -> End {
    let (mut buffer, mut place) = (BytesMut::with_capacity(READ_BYTES), BytesMut::new());
    loop {
        buffer.clear();
        match process.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return End::Output,
            Ok(_) => {}
        }
        // Flushed at once: what a terminal shows can't wait for more.
        let piece = rendering.render(&buffer, &mut place);
        if client.write_all(piece).await.is_err() || client.flush().await.is_err() {
            return End::ClientGone;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio::sync::oneshot;

    use super::*;

    /// A client and a process, seen from their own ends.
    struct Ends {
        client: DuplexStream,
        leaves: oneshot::Sender<()>,
        process: UnixStream,
        session: tokio::task::JoinHandle<End>,
    }

    fn session(stdin: bool, detach: Option<&str>) -> Ends {
        let (client, ours) = tokio::io::duplex(1024);
        let (input, output) = tokio::io::split(ours);
        let (leaves, left) = oneshot::channel();
        let (process, theirs) = UnixStream::pair().expect("a pair of sockets");
        let detach = detach.map(|keys| DetachKeys::parse(keys).expect("keys"));
        let session = Session { stdin, detach, rendering: Rendering::AsItIs };
        let gone = Box::pin(async move { drop(left.await) });
        let mut stream = ClientStream { input: Box::pin(input), output: Box::pin(output), gone };
        let session = tokio::spawn(async move { session.run(&mut stream, theirs).await });
        Ends { client, leaves, process, session }
    }

    async fn read(from: &mut (impl AsyncRead + Unpin), bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        from.read_exact(&mut buffer).await.expect("as many bytes");
        String::from_utf8(buffer).expect("text")
    }

    #[test]
    fn output_is_framed_as_the_client_believes() {
        let (mut place, frames) = (BytesMut::new(), b"\x01\0\0\0\0\0\0\x02hi");
        assert_eq!(Rendering::of(true, true).render(b"hi", &mut place), b"hi");
        assert_eq!(Rendering::of(false, false).render(frames, &mut place), frames);
        assert_eq!(Rendering::of(true, false).render(b"hi", &mut place), frames);
        let mut unframed = Rendering::of(false, true);
        // Wherever it is cut.
        assert_eq!(unframed.render(&frames[..9], &mut place), b"h");
        assert_eq!(unframed.render(&frames[9..], &mut place), b"i");
    }

    #[tokio::test]
    async fn both_ways_until_the_process_ends() {
        let Ends { mut client, mut process, session, leaves: _leaves } = session(true, None);
        client.write_all(b"question").await.expect("written");
        assert_eq!(read(&mut process, 8).await, "question");
        process.write_all(b"answer").await.expect("written");
        drop(process);
        assert_eq!(session.await.expect("no panic"), End::Output);
        assert_eq!(read(&mut client, 6).await, "answer");
    }

    #[tokio::test]
    async fn the_end_of_input_is_passed_on_and_output_goes_on() {
        let Ends { mut client, mut process, session, leaves: _leaves } = session(true, None);
        client.write_all(b"all").await.expect("written");
        client.shutdown().await.expect("shut down");
        let mut input = String::new();
        process.read_to_string(&mut input).await.expect("the end of input");
        assert_eq!(input, "all");
        process.write_all(b"late").await.expect("written");
        assert_eq!(read(&mut client, 4).await, "late");
        drop(process);
        assert_eq!(session.await.expect("no panic"), End::Output);
    }

    #[tokio::test]
    async fn a_client_that_leaves_a_quiet_process_is_let_go_and_what_it_sent_is_read() {
        let Ends { mut client, leaves, mut process, session } = session(true, None);
        client.write_all(b"all").await.expect("written");
        leaves.send(()).expect("it listens");
        client.shutdown().await.expect("shut down");
        assert_eq!(session.await.expect("no panic"), End::ClientGone);
        let mut input = String::new();
        process.read_to_string(&mut input).await.expect("the end of input");
        assert_eq!(input, "all");
    }

    #[tokio::test]
    async fn keys_detach_and_the_process_goes_on() {
        let Ends { mut client, mut process, session, leaves: _leaves } = session(true, Some(""));
        client.write_all(b"ls\x10\x11").await.expect("written");
        assert_eq!(session.await.expect("no panic"), End::Detached);
        let mut input = String::new();
        process.read_to_string(&mut input).await.expect("what came before the keys");
        assert_eq!(input, "ls");
    }

    #[tokio::test]
    async fn without_standard_input_nothing_reaches_the_process() {
        let Ends { mut client, process, session, leaves: _leaves } = session(false, None);
        client.write_all(b"ignored").await.expect("written");
        client.shutdown().await.expect("shut down");
        assert_eq!(process.try_read(&mut [0; 8]).map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
        drop(process);
        assert_eq!(session.await.expect("no panic"), End::Output);
    }
}

//! Runs a build's commands, each in a container of its own on a network of netd's.

use std::error::Error as StdError;

use build::{RunStep, StepOutput, StepRunner, StepStream};
use bytes::{Bytes, BytesMut};
use runtime::protocol::Streams;
use runtime::{Runtime, Started, Starting, Target, Watch};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::blocking::Blocking as _;
use crate::container::Container;
use crate::container::mount::VolumeSources;
use crate::container::owned::{PendingAttach, exit_of, to_async};
use crate::engine::Engine;
use crate::error::{Error, Result, chain};
use crate::file_deletion::remove_tree;
use crate::frame::{OutputStream, Unframed};
use crate::orchestrate::{sandbox, start};
use crate::signal;

/// Where our containers have something mounted, as far as an image may lack the place for it.
const MOUNT_POINTS: [&str; 6] = ["/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys"];
const READ_BYTES: usize = 32 * 1024;
/// How many pieces of output may wait to be passed on.
const PIECES: usize = 64;

/// What a command wrote at once.
type Piece = (StepStream, Bytes);

/// Runs the steps of one build.
pub(crate) struct Runner {
    engine: Engine,
    limits: Limits,
    runtime: Handle,
    stop: CancellationToken,
}

impl Runner {
    /// `stop` ends what runs.
    pub(crate) fn new(engine: Engine, limits: Limits, stop: CancellationToken) -> Self {
        Self { engine, limits, runtime: Handle::current(), stop }
    }
}

impl StepRunner for Runner {
    fn run(&self, step: &RunStep, output: &mut StepOutput<'_>) -> Result<u8, Box<dyn StdError + Send + Sync>> {
        let container = self.limits.container(&self.engine.containers.registry, step)?;
        let (pieces, mut written) = mpsc::channel(PIECES);
        let (engine, stop) = (self.engine.clone(), self.stop.clone());
        let running = self.runtime.spawn(async move { run(&engine, &container, pieces, &stop).await });
        // On this thread, which may wait for whoever listens.
        while let Some((stream, piece)) = written.blocking_recv() {
            output(stream, &piece);
        }
        let ended = self.runtime.block_on(running);
        Ok(ended.map_err(|_| Error::Interrupted { doing: "running a build's step" })??)
    }

    fn mount_points(&self) -> &[&'static str] {
        &MOUNT_POINTS
    }
}

/// Runs a container to its end; nothing of it is left but what it wrote.
async fn run(
    engine: &Engine,
    container: &Container,
    output: mpsc::Sender<Piece>,
    stop: &CancellationToken,
) -> Result<u8> {
    // netd takes nobody's sandbox down: this one is claimed as long as the step runs.
    let _sandbox = engine.netd.make(container.id.as_str());
    let ended = to_its_end(engine, container, output, stop).await;
    let id = container.id.clone();
    let cleared = engine.blocking(move |engine| {
        engine.containers.runtime.delete(Target::Container(&id))?;
        remove_tree(&engine.containers.directory(&id))
    });
    let (cleared, ()) = tokio::join!(cleared, sandbox::remove(&engine.netd, &engine.containers, container));
    if let Err(error) = cleared {
        tracing::error!(container = %container.id, "clearing up after a build's step: {}", chain(&error));
    }
    ended
}

async fn to_its_end(
    engine: &Engine,
    container: &Container,
    output: mpsc::Sender<Piece>,
    stop: &CancellationToken,
) -> Result<u8> {
    let own = container.clone();
    let begin = engine.blocking(move |engine| {
        crate::orchestrate::files::create(&engine.containers, &own)?;
        start::begin(engine, &own, VolumeSources::new())
    });
    let (starting, made) = tokio::join!(begin, sandbox::put(&engine.netd, container));
    let (starting, made) = match (starting, made) {
        (Ok(starting), Ok(made)) => (starting, made),
        (starting, made) => return Err(start::give_up(engine, starting, made).await),
    };
    let network = sandbox::network(&engine.containers.registry, container, made.as_ref())?;
    let addresses = made.as_ref().map(sandbox::addresses).unwrap_or_default();
    let gateway = sandbox::gateway_if_wanted(&engine.netd, container, made.as_ref()).await?;
    let own = container.clone();
    let (_, watch, stream) = engine
        .blocking(move |engine| {
            crate::orchestrate::files::write_hosts(&engine.containers, &own, &addresses, gateway)?;
            release(&engine.containers.runtime, &own, starting, &network)
        })
        .await?;
    let mut exit = exit_of(watch)?;
    tokio::select! {
        () = read(stream, output) => {}
        () = stop.cancelled() => {
            let id = container.id.clone();
            let killed = engine.blocking(move |engine| {
                Ok(engine.containers.runtime.signal(Target::Container(&id), signal::KILL, true)?)
            });
            if let Err(error) = killed.await {
                tracing::debug!(container = %container.id, "ending a build's step: {}", chain(&error));
            }
        }
    }
    Ok((&mut exit).await?.code)
}

/// Lets the process run, with ourselves connected to its output.
fn release(
    runtime: &Runtime,
    container: &Container,
    starting: Starting,
    network: &runtime::spec::Network,
) -> Result<(Started, Watch, UnixStream)> {
    let streams = Streams { stdin: false, stdout: true, stderr: true };
    let (reply, _stream) = oneshot::channel();
    let waiting = vec![PendingAttach { streams, reply }];
    let (started, watch, attached) = start::let_run(runtime, container, starting, network, waiting)?;
    let stream = attached.into_iter().next().map(|(_, stream)| stream);
    let stream = stream.ok_or(Error::Interrupted { doing: "connecting to a build's step" })?;
    Ok((started, watch, to_async(stream)?))
}

/// Passes on what the process writes, in the order in which it comes, until it ends. Letters are never divided.
async fn read(mut stream: UnixStream, output: mpsc::Sender<Piece>) {
    let (mut unframed, mut buffer) = (Unframed::default(), BytesMut::with_capacity(READ_BYTES));
    let (mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new());
    let mut pieces: Vec<Piece> = Vec::new();
    loop {
        buffer.clear();
        buffer.reserve(READ_BYTES);
        if matches!(stream.read_buf(&mut buffer).await, Ok(0) | Err(_)) {
            break;
        }
        unframed.push(&buffer, |written_to, content| {
            let (to, text) = match written_to {
                OutputStream::Stdout => (StepStream::Stdout, &mut stdout),
                OutputStream::Stderr => (StepStream::Stderr, &mut stderr),
            };
            text.extend_from_slice(content);
            let whole = whole_letters(text);
            if whole > 0 {
                pieces.push((to, text.split_to(whole).freeze()));
            }
        });
        for piece in pieces.drain(..) {
            // Nobody may be listening any more.
            let _ = output.send(piece).await;
        }
    }
    for (stream, text) in [(StepStream::Stdout, stdout), (StepStream::Stderr, stderr)] {
        if !text.is_empty() {
            let _ = output.send((stream, text.freeze())).await;
        }
    }
}

/// How many bytes there are without a letter at the end that isn't all there.
fn whole_letters(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn frames_become_text_in_their_order_and_letters_stay_whole() {
        let (mut process, ours) = UnixStream::pair().unwrap();
        let frame =
            |stream: u8, text: &[u8]| [&[stream, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()], text].concat();
        let all =
            [frame(1, b"a\xc3"), frame(2, b"error\n"), frame(1, b"\xbcb"), frame(2, b"\xe2\x82"), frame(1, b"\xff\n")];
        for half in all.concat().chunks(5) {
            process.write_all(half).await.unwrap();
        }
        drop(process);
        let (output, mut pieces) = mpsc::channel(32);
        read(ours, output).await;
        let (mut text, mut last) = (String::new(), StepStream::Stdout);
        while let Some((stream, piece)) = pieces.recv().await {
            if stream != last {
                text.push('|');
                last = stream;
            }
            text += &String::from_utf8_lossy(&piece);
        }
        assert_eq!(text, "a|error\n|üb\u{fffd}\n|\u{fffd}");
    }
}

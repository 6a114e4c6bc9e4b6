//! `run`: creates a container, attaches us to it, starts it, and ends as it ends.

use crate::attach::session::{AttachOptions, End, Session, check_terminal};
use crate::attach::signals::{Terminal, Watch};
use crate::engine::reply::Waited;
use crate::engine::{Engine, Response, container};
use crate::failure::Failure;
use crate::flags::container::RunFlags;
use crate::request::create::{CreateRequest, Streams, create_request};
use crate::request::detach_keys;

use super::{Context, DONE, container_create, print, print_error, with_local_context};

/// Runs the command.
pub(super) async fn run(context: &Context, flags: RunFlags) -> Result<u8, Failure> {
    let request = with_local_context(|local| create_request(&flags.create, flags.detach, local))??;
    let keys = detach_keys::parse(flags.detach_keys.as_deref())?;
    check_terminal(request.streams.stdin, request.tty)?;
    let engine = &context.engine;
    let created = container_create::send(engine, &request).await?;
    for warning in &created.warnings {
        print_error(&format!("WARNING: {warning}"));
    }
    if !request.streams.any() {
        start(engine, &created.id).await?;
        print(&format!("{}\n", created.id))?;
        return Ok(DONE);
    }
    let attachment = Attachment {
        id: created.id,
        streams: request.streams,
        tty: request.tty,
        detach_keys: keys,
        typed_keys: flags.detach_keys,
        until: exit_condition(&request),
        pass_signals: flags.sig_proxy,
    };
    attachment.start_and_follow(engine).await
}

fn exit_condition(request: &CreateRequest) -> &'static str {
    // A container that removes itself isn't done before it is gone: its name is free then.
    if request.auto_remove { "removed" } else { "next-exit" }
}

/// A container that isn't started yet, and how we will be attached to it.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) id: String,
    pub(super) streams: Streams,
    pub(super) tty: bool,
    /// The bytes that leave its terminal.
    pub(super) detach_keys: Vec<u8>,
    /// The same as they were typed, for the engine.
    pub(super) typed_keys: Option<String>,
    /// What to wait for: `next-exit` or `removed`.
    pub(super) until: &'static str,
    pub(super) pass_signals: bool,
}

impl Attachment {
    /// Attaches and waits before the start, so that no output and no exit is missed; ends with the container's status.
    pub(super) async fn start_and_follow(self, engine: &Engine) -> Result<u8, Failure> {
        let attach = engine
            .post(container(&self.id, "/attach")?)
            .query("stream", 1)
            .query("stdin", u8::from(self.streams.stdin))
            .query("stdout", u8::from(self.streams.stdout))
            .query("stderr", u8::from(self.streams.stderr))
            .query_some("detachKeys", self.typed_keys)
            .hijack();
        let wait = engine.post(container(&self.id, "/wait")?).query("condition", self.until).send();
        let (connection, waiting) = tokio::try_join!(attach, wait)?;
        let options = AttachOptions { stdin: self.streams.stdin, tty: self.tty, detach_keys: self.detach_keys };
        let session = Session::new(connection, options)?;
        let mut watch = Watch::default();
        if self.pass_signals {
            watch.pass_signals(engine, &self.id)?;
        }
        start(engine, &self.id).await?;
        if self.tty {
            watch.follow_size(engine, Terminal::Container(self.id)).await?;
        }
        match session.run().await? {
            End::Left => Ok(DONE),
            End::Output => exit_status(waiting).await,
        }
    }
}

/// Starts a container.
///
/// # Errors
/// [`Failure::Start`] when the engine refuses.
pub(super) async fn start(engine: &Engine, id: &str) -> Result<(), Failure> {
    let started = engine.post(container(id, "/start")?).send().await.map_err(Failure::Start)?;
    Ok(started.done().await?)
}

/// The status that a container has ended with.
pub(super) async fn exit_status(waiting: Response) -> Result<u8, Failure> {
    let waited: Waited = waiting.json().await?;
    if let Some(error) = waited.error.filter(|error| !error.message.is_empty()) {
        return Err(Failure::Invalid(error.message));
    }
    Ok(status(waited.status_code))
}

/// Exit statuses are a byte.
pub(super) fn status(code: i64) -> u8 {
    (code & 0xff) as u8
}

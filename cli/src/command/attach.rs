//! `attach`: attaches us to a container that runs.

use crate::attach::session::{AttachOptions, End, Session, check_terminal};
use crate::attach::signals::{Terminal, Watch};
use crate::engine::container;
use crate::engine::reply::{ContainerDetails, ContainerState};
use crate::failure::Failure;
use crate::flags::container::AttachFlags;
use crate::request::detach_keys;

use super::{Context, DONE, run};

/// Runs the command.
pub(super) async fn attach(context: &Context, flags: AttachFlags) -> Result<u8, Failure> {
    let detach_keys = detach_keys::parse(flags.detach_keys.as_deref())?;
    let engine = &context.engine;
    let details: ContainerDetails = engine.get(container(&flags.container, "/json")?).send().await?.json().await?;
    check_state(&details.state)?;
    let (id, tty) = (details.id, details.config.tty);
    let stdin = !flags.no_stdin && details.config.open_stdin;
    check_terminal(stdin, tty)?;
    let request = engine
        .post(container(&id, "/attach")?)
        .query("stream", 1)
        .query("stdin", u8::from(stdin))
        .query("stdout", 1)
        .query("stderr", 1)
        .query_some("detachKeys", flags.detach_keys.as_deref());
    let wait = engine.post(container(&id, "/wait")?).send();
    let (connection, waiting) = tokio::try_join!(request.hijack(), wait)?;
    let session = Session::new(connection, AttachOptions { stdin, tty, detach_keys })?;
    let mut watch = Watch::default();
    if flags.sig_proxy && !tty {
        watch.pass_signals(engine, &id)?;
    }
    if tty {
        watch.follow_size(engine, Terminal::Container(id)).await?;
    }
    match session.run().await? {
        End::Left => Ok(DONE),
        End::Output => run::exit_status(waiting).await,
    }
}

fn check_state(state: &ContainerState) -> Result<(), Failure> {
    let refusal = match state {
        ContainerState { running: false, .. } => "cannot attach to a stopped container, start it first",
        ContainerState { paused: true, .. } => "cannot attach to a paused container, unpause it first",
        ContainerState { restarting: true, .. } => "cannot attach to a restarting container, wait until it is running",
        _ => return Ok(()),
    };
    Err(Failure::Invalid(refusal.to_owned()))
}

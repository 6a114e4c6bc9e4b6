//! `cp`: copies files into a container or out of it.

mod into;
mod out;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::engine::reply::PathStat;
use crate::engine::{EngineError, Response, container};
use crate::failure::Failure;
use crate::flags::files::CpFlags;
use crate::render::human;
use crate::request::copy::{ContainerPath, Copy};
use crate::terminal;

use super::{Context, DONE, print_error};

/// Runs the command.
pub(super) async fn cp(context: &Context, flags: CpFlags) -> Result<u8, Failure> {
    match Copy::parse(&flags.source, &flags.destination)? {
        Copy::Out { from, to } => out::copy(context, &flags, from, &to).await?,
        Copy::In { from, to } => into::copy(context, &flags, &from, to).await?,
    }
    Ok(DONE)
}

/// Looks at something in a container, a link as such; nothing if it isn't there.
async fn look(context: &Context, at: &ContainerPath) -> Result<Option<PathStat>, Failure> {
    let request = context.engine.head(container(&at.container, "/archive")?).query("path", &at.path);
    match request.send().await {
        Ok(reply) => stat(&reply, at).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a reply says about the file that was asked for.
fn stat(reply: &Response, at: &ContainerPath) -> Result<PathStat, Failure> {
    let header = reply.header("X-Docker-Container-Path-Stat").unwrap_or_default();
    let json = STANDARD.decode(header).unwrap_or_default();
    let path = format!("{}:{}", at.container, at.path);
    serde_json::from_slice(&json).map_err(|source| EngineError::Reply { path, source }.into())
}

fn tell(flags: &CpFlags, bytes: u64, destination: &str) {
    if !flags.quiet && terminal::is_stderr_terminal() {
        let size = human::size(i64::try_from(bytes).unwrap_or(i64::MAX));
        print_error(&format!("Successfully copied {size} to {destination}"));
    }
}

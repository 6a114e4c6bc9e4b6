//! `exec`: runs another command in a running container.

use bollard_stubs::models::ExecStartConfig;

use crate::attach::session::{AttachOptions, End, Session, check_terminal};
use crate::attach::signals::{Terminal, Watch};
use crate::engine::reply::{ExecDetails, Identified};
use crate::engine::{EngineError, container};
use crate::failure::{Failure, start_status};
use crate::flags::container::ExecFlags;
use crate::request::exec::{ExecRequest, exec_request};

use super::{Context, DONE, complain, run, with_local_context};

/// Runs the command.
pub(super) async fn exec(context: &Context, flags: ExecFlags) -> Result<u8, Failure> {
    let request = with_local_context(|local| exec_request(&flags, local))??;
    check_terminal(request.interactive, request.tty)?;
    let path = container(&request.container, "/exec")?;
    let created: Identified = context.engine.post(path).json(&request.body).send().await?.json().await?;
    match follow(context, &request, &created.id).await {
        // As for run: a command that isn't there, or can't be executed, says so by the status.
        Err(Failure::Engine(EngineError::Refused { status, message })) => match start_status(&message) {
            Some(code) => {
                complain(&message);
                Ok(code)
            }
            None => Err(EngineError::Refused { status, message }.into()),
        },
        other => other,
    }
}

async fn follow(context: &Context, request: &ExecRequest, id: &str) -> Result<u8, Failure> {
    let engine = &context.engine;
    let start = ExecStartConfig {
        detach: Some(request.detach),
        tty: Some(request.tty),
        console_size: request.body.console_size.clone(),
    };
    let start = engine.post(format!("/exec/{id}/start")).json(&start);
    if request.detach {
        start.send().await?.done().await?;
        return Ok(DONE);
    }
    let connection = start.hijack().await?;
    let options =
        AttachOptions { stdin: request.interactive, tty: request.tty, detach_keys: request.detach_keys.clone() };
    let session = Session::new(connection, options)?;
    let mut watch = Watch::default();
    if request.tty {
        watch.follow_size(engine, Terminal::Exec(id.to_owned())).await?;
    }
    if session.run().await? == End::Left {
        return Ok(DONE);
    }
    let details: ExecDetails = engine.get(format!("/exec/{id}/json")).send().await?.json().await?;
    match details.exit_code {
        Some(code) if !details.running => Ok(run::status(code)),
        _ => Err(Failure::Invalid("the command closed its output and runs on: its status isn't known yet".to_owned())),
    }
}

//! `stop`, `restart`, `kill`, `pause`, `unpause`, `rename`: one request for each container.

use crate::engine::{Request, container};
use crate::failure::Failure;
use crate::flags::container::{KillFlags, RenameFlags, StopFlags, Targets};

use super::{Context, DONE, side_by_side};

/// Runs `stop`.
pub(super) async fn stop(context: &Context, flags: StopFlags) -> Result<u8, Failure> {
    each(context, &flags.targets, "/stop", |request| with_timeout(request, &flags)).await
}

/// Runs `restart`.
pub(super) async fn restart(context: &Context, flags: StopFlags) -> Result<u8, Failure> {
    each(context, &flags.targets, "/restart", |request| with_timeout(request, &flags)).await
}

/// Runs `kill`.
pub(super) async fn kill(context: &Context, flags: KillFlags) -> Result<u8, Failure> {
    let signal = flags.signal.as_deref();
    each(context, &flags.targets, "/kill", |request| request.query_some("signal", signal)).await
}

/// Runs `pause`.
pub(super) async fn pause(context: &Context, targets: Targets) -> Result<u8, Failure> {
    each(context, &targets, "/pause", |request| request).await
}

/// Runs `unpause`.
pub(super) async fn unpause(context: &Context, targets: Targets) -> Result<u8, Failure> {
    each(context, &targets, "/unpause", |request| request).await
}

/// Runs `rename`.
pub(super) async fn rename(context: &Context, flags: RenameFlags) -> Result<u8, Failure> {
    let request = context.engine.post(container(&flags.container, "/rename")?).query("name", flags.new_name);
    request.send().await?.done().await?;
    Ok(DONE)
}

fn with_timeout<'a>(request: Request<'a>, flags: &StopFlags) -> Request<'a> {
    request.query_some("t", flags.timeout).query_some("signal", flags.signal.as_deref())
}

async fn each<'a>(
    context: &'a Context,
    targets: &Targets,
    action: &str,
    detail: impl Fn(Request<'a>) -> Request<'a>,
) -> Result<u8, Failure> {
    side_by_side(&targets.containers, |name| {
        let request = container(&name, action).map(|path| detail(context.engine.post(path)));
        async move {
            request?.send().await?.done().await?;
            Ok(Some(name))
        }
    })
    .await
}

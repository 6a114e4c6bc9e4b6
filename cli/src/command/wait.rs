//! `wait`: waits until containers have ended.

use crate::engine::container;
use crate::failure::Failure;
use crate::flags::container::Targets;

use super::{Context, for_each, run};

/// Runs the command.
pub(super) async fn wait(context: &Context, targets: Targets) -> Result<u8, Failure> {
    for_each(&targets.containers, |name| async move {
        let waiting = context.engine.post(container(&name, "/wait")?).send().await?;
        Ok(Some(run::exit_status(waiting).await?.to_string()))
    })
    .await
}

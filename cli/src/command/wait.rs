//! `wait`: waits until containers have ended.

use crate::engine::container;
use crate::failure::Failure;
use crate::flags::container::Targets;

use super::{Context, DONE, print, print_error, run};

/// Runs the command.
pub(super) async fn wait(context: &Context, targets: Targets) -> Result<u8, Failure> {
    let mut failed = false;
    for name in &targets.containers {
        match wait_for(context, name).await {
            Ok(status) => print(&format!("{status}\n"))?,
            Err(failure) => {
                print_error(&failure.text());
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(DONE) }
}

async fn wait_for(context: &Context, name: &str) -> Result<u8, Failure> {
    run::exit_status(context.engine.post(container(name, "/wait")?).send().await?).await
}

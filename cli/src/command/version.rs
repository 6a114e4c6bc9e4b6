//! `version`: shows the versions of berth and of the engine.

use bollard_stubs::models::SystemVersion;

use crate::engine::{API_VERSION, EngineError};
use crate::failure::Failure;
use crate::flags::system::VersionFlags;
use crate::render::inspect::Documents;
use crate::render::version::Versions;

use super::{Context, DONE, print, view};

/// Runs the command: ours is shown even when the engine can't be asked, and then why.
pub(super) async fn version(context: &Context, flags: VersionFlags) -> Result<u8, Failure> {
    let format = flags.shape.format.as_deref().filter(|format| !format.is_empty());
    let view = format.map(|format| view(Some(format))).transpose()?;
    let asked = ask(context).await;
    let (server, failure) = match asked {
        Ok(server) => (Some(server), None),
        Err(error) => (None, Some(error)),
    };
    let versions = Versions::new(API_VERSION.trim_start_matches('v'), server);
    match view {
        None => print(&versions.text())?,
        Some(view) => print(&Documents::of(&versions).render(&view).map_err(Failure::Template)?)?,
    }
    failure.map_or(Ok(DONE), |error| Err(error.into()))
}

async fn ask(context: &Context) -> Result<SystemVersion, EngineError> {
    context.engine.get("/version").send().await?.json().await
}

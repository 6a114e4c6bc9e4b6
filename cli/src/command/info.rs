//! `info`: shows what the engine knows about itself and its host.

use bollard_stubs::models::SystemInfo;

use crate::engine::EngineError;
use crate::failure::Failure;
use crate::flags::system::InfoFlags;
use crate::render::info::{text, warnings};
use crate::render::inspect::Documents;

use super::{Context, DONE, print, print_error, view};

/// Runs the command.
pub(super) async fn info(context: &Context, flags: InfoFlags) -> Result<u8, Failure> {
    let format = flags.shape.format.as_deref().filter(|format| !format.is_empty());
    let view = format.map(|format| view(Some(format))).transpose()?;
    let reply = context.engine.get("/info").send().await?;
    let wrong = |source| EngineError::Reply { path: "/info".to_owned(), source };
    let json = reply.bytes().await?.to_vec();
    if let Some(view) = view {
        let mut documents = Documents::default();
        documents.push(json).map_err(wrong)?;
        print(&documents.render(&view).map_err(Failure::Template)?)?;
        return Ok(DONE);
    }
    let info: SystemInfo = serde_json::from_slice(&json).map_err(wrong)?;
    print(&text(&info))?;
    let warnings = warnings(&info);
    if !warnings.is_empty() {
        print_error(warnings.trim_end());
    }
    Ok(DONE)
}

//! `push`: uploads an image to the registry of its name, with the progress of each layer.

use serde_json::json;

use crate::credentials;
use crate::engine;
use crate::failure::Failure;
use crate::flags::image::PushFlags;
use crate::request::image_name::{domain_and_path, name_and_tag, whole_name};

use super::transfer::{Output, Show, follow, wanted};
use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn push(context: &Context, flags: PushFlags) -> Result<u8, Failure> {
    let image = wanted(flags.image, &flags.transfer)?;
    let (name, tag) = name_and_tag(&image);
    if tag.is_some_and(|tag| tag.contains(':')) {
        return Err(Failure::Invalid("cannot push a digest reference".to_owned()));
    }
    let (domain, _) = domain_and_path(&image);
    let reply = context
        .engine
        .post(engine::image(name, "/push")?)
        .query_some("tag", tag)
        .query_some("platform", flags.platform.as_deref().map(platform))
        .header_some("X-Registry-Auth", credentials::header(domain).await?)
        .send()
        .await?;
    let quiet = flags.transfer.quiet;
    follow(reply, if quiet { Show::Nothing } else { Show::On(Output::Stdout) }).await?;
    if quiet {
        print(&format!("{}\n", whole_name(&image)))?;
    }
    Ok(DONE)
}

/// `linux/arm/v7` as the API has it.
fn platform(text: &str) -> String {
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    json!({ "os": part(), "architecture": part(), "variant": part() }).to_string()
}

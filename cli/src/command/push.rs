//! `push`: gives an image to the registry of its name, with the progress of each layer.

use serde_json::json;

use crate::credentials;
use crate::engine;
use crate::failure::Failure;
use crate::flags::image::PushFlags;

use super::transfer::{Output, Show, follow, name_and_tag, split, whole_name, with_tag};
use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn push(context: &Context, flags: PushFlags) -> Result<u8, Failure> {
    let has_tag = with_tag(&flags.image) == flags.image;
    if flags.all_tags && has_tag {
        return Err(Failure::Invalid("tag can't be used with --all-tags/-a".to_owned()));
    }
    if !flags.all_tags && !flags.quiet && !has_tag {
        print("Using default tag: latest\n")?;
    }
    let image = if flags.all_tags { flags.image } else { with_tag(&flags.image) };
    let (name, tag) = name_and_tag(&image);
    if tag.is_some_and(|tag| tag.contains(':')) {
        return Err(Failure::Invalid("cannot push a digest reference".to_owned()));
    }
    let (domain, _) = split(&image);
    let reply = context
        .engine
        .post(engine::image(name, "/push")?)
        .query_some("tag", tag)
        .query_some("platform", flags.platform.as_deref().map(platform))
        .header_some("X-Registry-Auth", credentials::header(domain).await?)
        .send()
        .await?;
    follow(reply, if flags.quiet { Show::Nothing } else { Show::On(Output::Stdout) }).await?;
    if flags.quiet {
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

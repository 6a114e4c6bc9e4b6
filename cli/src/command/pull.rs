//! `pull`: downloads an image, with the progress of each layer.

use crate::credentials;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::flags::image::{PullFlags, TransferFlags};
use crate::request::image_name::{domain_and_path, name_and_tag, whole_name, with_tag};

use super::transfer::{Output, Show, follow, wanted};
use super::{Context, DONE, print};

/// What to download.
pub(super) struct Pull {
    pub(super) image: String,
    pub(super) platform: Option<String>,
    pub(super) all_tags: bool,
}

/// Runs the command.
pub(super) async fn pull(context: &Context, flags: PullFlags) -> Result<u8, Failure> {
    let TransferFlags { all_tags, quiet } = flags.transfer;
    let image = wanted(flags.image, &flags.transfer)?;
    let show = if quiet { Show::Nothing } else { Show::On(Output::Stdout) };
    let whole_name = whole_name(&image);
    bring(&context.engine, &Pull { image, platform: flags.platform, all_tags }, show).await?;
    print(&format!("{whole_name}\n"))?;
    Ok(DONE)
}

/// Downloads an image.
///
/// # Errors
/// It isn't there, or what the engine says went wrong.
pub(super) async fn bring(engine: &Engine, wanted: &Pull, show: Show) -> Result<(), Failure> {
    let (domain, _) = domain_and_path(&wanted.image);
    let image = if wanted.all_tags { wanted.image.clone() } else { with_tag(&wanted.image) };
    let (name, tag) = name_and_tag(&image);
    let reply = engine
        .post("/images/create")
        .query("fromImage", name)
        .query_some("tag", tag)
        .query_some("platform", wanted.platform.as_deref())
        .header_some("X-Registry-Auth", credentials::header(domain).await?)
        .send()
        .await?;
    follow(reply, show).await
}

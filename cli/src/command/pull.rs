//! `pull`: downloads an image, with the progress of each layer.

use crate::credentials;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::flags::image::PullFlags;

use super::transfer::{Output, Show, follow, name_and_tag, split, whole_name, with_tag};
use super::{Context, DONE, print};

/// What to download.
pub(super) struct Pull {
    pub(super) image: String,
    pub(super) platform: Option<String>,
    pub(super) all_tags: bool,
}

/// Runs the command.
pub(super) async fn pull(context: &Context, flags: PullFlags) -> Result<u8, Failure> {
    if flags.all_tags && with_tag(&flags.image) == flags.image {
        return Err(Failure::Invalid("tag can't be used with --all-tags/-a".to_owned()));
    }
    if !flags.all_tags && !flags.quiet && with_tag(&flags.image) != flags.image {
        print("Using default tag: latest\n")?;
    }
    let image = if flags.all_tags { flags.image } else { with_tag(&flags.image) };
    let show = if flags.quiet { Show::Nothing } else { Show::On(Output::Stdout) };
    let whole_name = whole_name(&image);
    bring(&context.engine, &Pull { image, platform: flags.platform, all_tags: flags.all_tags }, show).await?;
    print(&format!("{whole_name}\n"))?;
    Ok(DONE)
}

/// Downloads an image.
///
/// # Errors
/// It isn't there, or what the engine says went wrong.
pub(super) async fn bring(engine: &Engine, wanted: &Pull, show: Show) -> Result<(), Failure> {
    let (domain, _) = split(&wanted.image);
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

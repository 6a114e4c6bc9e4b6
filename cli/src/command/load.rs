//! `load`: loads images from an archive.

use crate::engine::reply::Progress;
use crate::failure::Failure;
use crate::flags::image::LoadFlags;

use super::archive::Archive;
use super::{Context, DONE, print};

/// Runs the command.
pub(super) async fn load(context: &Context, flags: LoadFlags) -> Result<u8, Failure> {
    let archive = Archive::open(flags.input.as_deref().filter(|path| *path != "-"), flags.quiet).await?;
    let bar = archive.progress();
    let reply = context
        .engine
        .post("/images/load")
        .query("quiet", 1)
        .query_some("platform", platform(flags.platform.as_deref())?)
        .stream(archive.into_stream())
        .send()
        .await?;
    bar.set_message("unpacking");
    let mut lines = reply.lines::<Progress>();
    let mut said = String::new();
    while let Some(line) = lines.next().await? {
        if let Some(error) = line.error {
            bar.finish_and_clear();
            return Err(Failure::Invalid(error));
        }
        said += line.stream.as_deref().unwrap_or_default();
    }
    bar.finish_and_clear();
    print(&said)?;
    Ok(DONE)
}

/// The engine takes a platform as an OCI document.
pub(super) fn platform(text: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let parts: Vec<&str> = text.split('/').collect();
    let names = ["os", "architecture", "variant"];
    if parts.len() > names.len() || parts.iter().any(|part| part.is_empty()) {
        return Err(Failure::Invalid(format!(
            "invalid platform '{text}': give OS[/ARCH[/VARIANT]], as in linux/amd64"
        )));
    }
    let fields: serde_json::Map<_, _> =
        names.into_iter().zip(parts).map(|(name, part)| (name.to_owned(), part.into())).collect();
    Ok(Some(serde_json::Value::Object(fields).to_string()))
}

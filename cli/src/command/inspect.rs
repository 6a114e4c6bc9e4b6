//! `inspect`: shows containers, images, networks and volumes in detail, as the engine says it.

use crate::engine::{self, Engine, EngineError};
use crate::failure::Failure;
use crate::flags::container;
use crate::flags::image;
use crate::flags::system::InspectFlags;
use crate::flags::volume;
use crate::render::inspect::Documents;

use super::load::platform;
use super::{Context, DONE, complain, print, view};

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Container,
    Image,
    Network,
    Volume,
}

/// What more is asked of them.
#[derive(Debug, Default)]
struct Detail {
    /// Sizes of containers on disk.
    size: bool,
    /// What an image must be for, as the engine takes it.
    platform: Option<String>,
}

/// Runs `inspect`: whatever has the name, containers first.
pub(super) async fn any(context: &Context, flags: InspectFlags) -> Result<u8, Failure> {
    let kinds: &[Kind] = match flags.kind.as_deref() {
        None | Some("") => &[Kind::Container, Kind::Image, Kind::Network, Kind::Volume],
        Some("container") => &[Kind::Container],
        Some("image") => &[Kind::Image],
        Some("network") => &[Kind::Network],
        Some("volume") => &[Kind::Volume],
        Some(other) => {
            let reason = "use container, image, network or volume";
            return Err(Failure::Invalid(format!("\"{other}\" is not a valid value for --type: {reason}")));
        }
    };
    let detail = Detail { size: flags.size, platform: None };
    show(context, kinds, &flags.objects, &detail, flags.shape.format.as_deref()).await
}

/// Runs `container inspect`.
pub(super) async fn containers(context: &Context, flags: container::InspectFlags) -> Result<u8, Failure> {
    let detail = Detail { size: flags.size, platform: None };
    show(context, &[Kind::Container], &flags.targets.containers, &detail, flags.shape.format.as_deref()).await
}

/// Runs `image inspect`.
pub(super) async fn images(context: &Context, flags: image::InspectFlags) -> Result<u8, Failure> {
    let detail = Detail { size: false, platform: platform(flags.platform.as_deref())? };
    show(context, &[Kind::Image], &flags.images, &detail, flags.shape.format.as_deref()).await
}

/// Runs `volume inspect`.
pub(super) async fn volumes(context: &Context, flags: volume::InspectFlags) -> Result<u8, Failure> {
    show(context, &[Kind::Volume], &flags.volumes, &Detail::default(), flags.shape.format.as_deref()).await
}

/// Shows what is found, and then says what isn't.
async fn show(
    context: &Context,
    kinds: &[Kind],
    names: &[String],
    detail: &Detail,
    format: Option<&str>,
) -> Result<u8, Failure> {
    let view = view(format)?;
    let mut documents = Documents::default();
    let mut missing = Vec::new();
    for name in names {
        match find(&context.engine, kinds, name, detail).await {
            Ok(json) => {
                let read = documents.push(json);
                read.map_err(|source| EngineError::Reply { path: name.clone(), source })?;
            }
            Err(error) if error.is_not_found() => missing.push(error_for(kinds, name, error)),
            Err(error) => return Err(error.into()),
        }
    }
    // An empty list tells a program that nothing was found; a template has nothing to say then.
    if format.is_none() || documents.len() > 0 {
        print(&documents.render(&view).map_err(Failure::Template)?)?;
    }
    missing.iter().for_each(|text| complain(text));
    if missing.is_empty() { Ok(DONE) } else { Err(Failure::Reported) }
}

async fn find(engine: &Engine, kinds: &[Kind], name: &str, detail: &Detail) -> Result<Vec<u8>, EngineError> {
    let mut outcome = Err(EngineError::EmptyName { what: "object name or ID" });
    for kind in kinds {
        outcome = fetch(engine, *kind, name, detail).await;
        match &outcome {
            // An image may be named as no container can be.
            Err(EngineError::Refused { status: 400 | 404, .. }) => {}
            _ => return outcome,
        }
    }
    outcome
}

async fn fetch(engine: &Engine, kind: Kind, name: &str, detail: &Detail) -> Result<Vec<u8>, EngineError> {
    let path = match kind {
        Kind::Container => engine::container(name, "/json")?,
        Kind::Image => engine::image(name, "/json")?,
        Kind::Network => engine::network(name, "")?,
        Kind::Volume => engine::volume(name)?,
    };
    let size = (detail.size && kind == Kind::Container).then_some(1);
    let request = engine.get(path).query_some("size", size).query_some("platform", detail.platform.as_ref());
    Ok(request.send().await?.bytes().await?.to_vec())
}

fn error_for(kinds: &[Kind], name: &str, error: EngineError) -> String {
    match kinds {
        [_] => Failure::from(error).text(),
        _ => format!("No such object: {name}"),
    }
}

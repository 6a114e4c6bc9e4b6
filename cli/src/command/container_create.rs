//! `create`: creates a container without starting it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::engine::reply::Created;
use crate::engine::{Engine, EngineError};
use crate::failure::Failure;
use crate::flags::create::CreateFlags;
use crate::request::create::{CreateRequest, PullPolicy, create_request};
use crate::request::image_name::with_tag;

use super::pull::{self, Pull};
use super::transfer::{Output, Show};
use super::{Context, DONE, print, print_error, with_local_context};

/// Runs the command.
pub(super) async fn create(context: &Context, flags: CreateFlags) -> Result<u8, Failure> {
    let request = with_local_context(|local| create_request(&flags, false, local))??;
    let created = send(&context.engine, &request).await?;
    for warning in &created.warnings {
        print_error(&format!("WARNING: {warning}"));
    }
    print(&format!("{}\n", created.id))?;
    Ok(DONE)
}

/// Creates the container, and writes its id to the file that was asked for.
///
/// Pulls the image if it isn't there.
///
/// # Errors
/// The engine refuses, or the file is there already.
pub(super) async fn send(engine: &Engine, request: &CreateRequest) -> Result<Created, Failure> {
    // Before anything is created: two containers in one file would lose the first.
    let cidfile = request.cidfile.as_deref().map(CidFile::open).transpose()?;
    let pull = async || {
        let image = request.body.image.clone().unwrap_or_default();
        let wanted = Pull { image, platform: request.platform.clone(), all_tags: false };
        // What the container prints is all that belongs on standard output.
        let show = if request.quiet { Show::Nothing } else { Show::On(Output::Stderr) };
        pull::bring(engine, &wanted, show).await
    };
    if request.pull == PullPolicy::Always {
        pull().await?;
    }
    let created = match ask(engine, request).await {
        Err(EngineError::Refused { status: 404, message })
            if request.pull == PullPolicy::Missing && message.starts_with("No such image") =>
        {
            let image = request.body.image.as_deref().unwrap_or_default();
            print_error(&format!("Unable to find image '{}' locally", with_tag(image)));
            pull().await?;
            ask(engine, request).await?
        }
        other => other?,
    };
    if let Some(cidfile) = cidfile {
        cidfile.write(&created.id)?;
    }
    Ok(created)
}

async fn ask(engine: &Engine, request: &CreateRequest) -> Result<Created, EngineError> {
    engine
        .post("/containers/create")
        .query_some("name", request.name.as_deref())
        .query_some("platform", request.platform.as_deref())
        .json(&request.body)
        .send()
        .await?
        .json()
        .await
}

/// A file that is new and will hold an id; removed again when no container comes of it.
struct CidFile<'a> {
    path: &'a Path,
    file: Option<std::fs::File>,
}

impl<'a> CidFile<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Self { path, file: Some(file) }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::Invalid(format!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            ))),
            Err(source) => Err(Failure::Io { doing: format!("create {}", path.display()), source }),
        }
    }

    fn write(mut self, id: &str) -> Result<(), Failure> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let doing = || format!("write {}", self.path.display());
        file.write_all(id.as_bytes()).map_err(|source| Failure::Io { doing: doing(), source })
    }
}

impl Drop for CidFile<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // It is empty, and we made it.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

//! The client of a build: progress goes to it in the format of Docker's classic builder, and base images are pulled for it.

use std::error::Error as StdError;

use build::{BaseImages, BuildEvent, BuildProgress, StepStream};
use bytes::Bytes;
use images::{Credentials, Image, NoProgress, Platform, PullRequest, Reference};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::stage_output::StageOutput;
use crate::engine::Engine;
use crate::wire::build::RegistryPasswords;

/// The client of a build.
pub(crate) struct BuildClient {
    engine: Engine,
    stage_output: StageOutput,
    passwords: RegistryPasswords,
    is_quiet: bool,
    called_off: CancellationToken,
}

impl BuildClient {
    pub(crate) fn new(
        engine: Engine,
        lines: mpsc::Sender<Bytes>,
        passwords: RegistryPasswords,
        is_quiet: bool,
        called_off: CancellationToken,
    ) -> Self {
        let stage_output = StageOutput::new(lines, engine.config.root.clone());
        Self { engine, stage_output, passwords, is_quiet, called_off }
    }

    /// Says something about a stage, unless it was asked to be quiet.
    fn say(&self, stage: usize, text: impl Into<String>) {
        if !self.is_quiet {
            self.stage_output.say(stage, text);
        }
    }
}

impl BuildProgress for BuildClient {
    fn tell(&self, stage: usize, event: BuildEvent<'_>) {
        match event {
            BuildEvent::Step { number, total, instruction } => {
                self.say(stage, format!("Step {number}/{total} : {instruction}\n"));
            }
            BuildEvent::Cached => self.say(stage, " ---> Using cache\n"),
            BuildEvent::Triggers(1) => self.say(stage, "# Executing 1 build trigger\n"),
            BuildEvent::Triggers(count) => self.say(stage, format!("# Executing {count} build triggers\n")),
            BuildEvent::Waiting => self.say(stage, " ---> Waiting for a cache that another step uses\n"),
            BuildEvent::Output(..) if self.is_quiet => {}
            BuildEvent::Output(stream, bytes) => {
                self.stage_output.output(stage, shown(stream, &String::from_utf8_lossy(bytes)))
            }
            BuildEvent::Done(id) => self.say(stage, format!(" ---> {id}\n")),
            BuildEvent::Over => self.stage_output.over(stage),
        }
    }
}

/// What a command wrote, as a terminal shows it: errors in another colour.
fn shown(stream: StepStream, text: &str) -> String {
    match stream {
        StepStream::Stdout => text.to_owned(),
        StepStream::Stderr => format!("\x1b[91m{text}\x1b[0m"),
    }
}

impl BaseImages for BuildClient {
    fn image(
        &self,
        stage: usize,
        name: &str,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<Image, Box<dyn StdError + Send + Sync>> {
        let fits = |image: &Image| platform.is_none_or(|platform| image.config.platform().runs_on(platform));
        match self.engine.images.store.get(name) {
            Ok(image) if !pull && fits(&image) => return Ok(image),
            // An id is nothing that a registry could be asked for.
            Ok(image)
                if image
                    .id
                    .to_string()
                    .trim_start_matches("sha256:")
                    .starts_with(name.trim_start_matches("sha256:")) =>
            {
                return Ok(image);
            }
            Ok(_) => {}
            Err(error) if error.kind() == images::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let reference = Reference::parse(name)?.or_latest();
        self.say(stage, format!("Pulling {}\n", reference.familiar()));
        let credentials = self.passwords.of(reference.domain()).unwrap_or(Credentials::Anonymous);
        let called_off = self.called_off.clone();
        let request =
            PullRequest { reference: reference.clone(), platform: platform.cloned(), credentials, called_off };
        let pulled = self.engine.images.store.pull(&self.engine.images.registries, &request, &NoProgress)?;
        self.say(stage, format!("Digest: {}\n", pulled.digest));
        Ok(self.engine.images.store.get(&pulled.id.to_string())?)
    }
}

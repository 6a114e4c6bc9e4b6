//! Tells a client how its build goes, in the words of Docker's classic builder, and brings images that it begins with.

use std::error::Error as StdError;

use images::{BaseImages, BuildEvent, BuildProgress, Credentials, Image, Platform, PullRequest, Reference, Silent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::wire::build::{BuildLine, RegistryPasswords};

/// Who hears of a build.
pub(crate) struct Narrator {
    engine: Engine,
    lines: mpsc::Sender<BuildLine>,
    passwords: RegistryPasswords,
    is_quiet: bool,
    called_off: CancellationToken,
}

impl Narrator {
    pub(crate) fn new(
        engine: Engine,
        lines: mpsc::Sender<BuildLine>,
        passwords: RegistryPasswords,
        is_quiet: bool,
        called_off: CancellationToken,
    ) -> Self {
        Self { engine, lines, passwords, is_quiet, called_off }
    }

    /// Says something, unless it was asked to be quiet.
    pub(crate) fn say(&self, text: impl Into<String>) {
        if !self.is_quiet {
            // A client that has gone is noticed by whoever sends it the lines.
            let _ = self.lines.blocking_send(BuildLine::text(text));
        }
    }
}

impl BuildProgress for Narrator {
    fn tell(&self, event: BuildEvent<'_>) {
        match event {
            BuildEvent::Step { number, total, instruction } => {
                self.say(format!("Step {number}/{total} : {instruction}\n"));
            }
            BuildEvent::Cached => self.say(" ---> Using cache\n"),
            BuildEvent::Triggers(1) => self.say("# Executing 1 build trigger\n"),
            BuildEvent::Triggers(count) => self.say(format!("# Executing {count} build triggers\n")),
            BuildEvent::Waiting => self.say(" ---> Waiting for a cache that another step uses\n"),
            BuildEvent::Output(bytes) => self.say(String::from_utf8_lossy(bytes)),
            BuildEvent::Done(id) => self.say(format!(" ---> {id}\n")),
        }
    }
}

impl BaseImages for Narrator {
    fn image(
        &self,
        name: &str,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<Image, Box<dyn StdError + Send + Sync>> {
        let fits = |image: &Image| platform.is_none_or(|platform| image.config.platform().runs_on(platform));
        match self.engine.images.get(name) {
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
        self.say(format!("Pulling {}\n", reference.familiar()));
        let credentials = self.passwords.of(reference.domain()).unwrap_or(Credentials::Anonymous);
        let called_off = self.called_off.clone();
        let request =
            PullRequest { reference: reference.clone(), platform: platform.cloned(), credentials, called_off };
        let pulled = self.engine.images.pull(&self.engine.registries, &request, &Silent)?;
        self.say(format!("Digest: {}\n", pulled.digest));
        Ok(self.engine.images.get(&pulled.id.to_string())?)
    }
}

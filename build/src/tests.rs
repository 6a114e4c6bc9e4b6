//! Builds whose commands are functions of the tests'.

mod cache;
mod caches;
mod collection;
mod copies;
mod ends;
mod owners;
mod reads;
mod stages;

use std::error::Error as StdError;
use std::sync::{Mutex, PoisonError};

use images::RegistryConfig;
use images::testing::Tar;
use tokio::runtime::Runtime;

use super::*;

/// What a step's command does, and what it ends with.
type Command<'a> = &'a (dyn Fn(&RunStep, &mut StepOutput<'_>) -> u8 + Sync);

/// Builds in one store.
struct Builder<'a> {
    store: &'a Store,
    registries: Registries,
    _runtime: Runtime,
}

impl<'a> Builder<'a> {
    fn new(store: &'a Store) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let registries = Registries::new(RegistryConfig::default(), runtime.handle().clone());
        Self { store, registries, _runtime: runtime }
    }

    /// Builds a Dockerfile whose context has nothing else.
    fn build(&self, text: &str, request: &BuildRequest, command: Command<'_>) -> Result<Built, Error> {
        self.build_told(text, request, command, &|_| ())
    }

    /// The same; `told` hears how far it is.
    fn build_told(
        &self,
        text: &str,
        request: &BuildRequest,
        command: Command<'_>,
        told: &(dyn Fn(BuildEvent<'_>) + Sync),
    ) -> Result<Built, Error> {
        self.build_context(Tar::new().file("Dockerfile", text), request, command, told)
    }

    fn build_context(
        &self,
        context: Tar,
        request: &BuildRequest,
        command: Command<'_>,
        told: &(dyn Fn(BuildEvent<'_>) + Sync),
    ) -> Result<Built, Error> {
        let context = Context::receive(self.store, &context.finish()[..])?;
        let around = Around { store: self.store, command, told };
        let environment =
            BuildEnvironment { runner: &around, images: &around, progress: &around, registries: &self.registries };
        build(self.store, &context, request, &environment)
    }
}

struct Around<'a> {
    store: &'a Store,
    command: Command<'a>,
    told: &'a (dyn Fn(BuildEvent<'_>) + Sync),
}

impl StepRunner for Around<'_> {
    fn run(&self, step: &RunStep, output: &mut StepOutput<'_>) -> Result<u8, Box<dyn StdError + Send + Sync>> {
        Ok((self.command)(step, output))
    }

    fn mount_points(&self) -> &[&'static str] {
        &[]
    }
}

impl BaseImages for Around<'_> {
    fn image(
        &self,
        _stage: usize,
        reference: &str,
        _platform: Option<&Platform>,
        _pull: bool,
    ) -> Result<Image, Box<dyn StdError + Send + Sync>> {
        Ok(self.store.get(reference)?)
    }
}

impl BuildProgress for Around<'_> {
    fn tell(&self, _stage: usize, event: BuildEvent<'_>) {
        (self.told)(event);
    }
}

/// An error with its causes.
fn told(error: &dyn StdError) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

/// What a shell would be told.
fn script(step: &RunStep) -> &str {
    step.args.last().expect("a shell's script")
}

/// What was noted by one step after the other.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn take_down(&self, note: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

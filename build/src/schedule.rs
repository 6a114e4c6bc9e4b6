//! The schedule of a build: every stage that is needed has a thread, and waits for those that it takes something from.

use std::io::PipeWriter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use images::files::PackError;
use images::steps::{BuiltImage, DoneStep, Lease, NewImage, StepLayer, StepResult};
use images::{ChainId, Digest, Image, ImageId, Platform, Reference, Store};
use jiff::Timestamp;

use super::dockerfile::{Dockerfile, DockerfileError, Problem};
use super::plan::Plan;
use super::stage::{StageBuild, StageState};
use super::variables::{self, Globals, SOURCE_DATE_EPOCH};
use super::{BuildEnvironment, BuildEvent, BuildRequest, Built, Context, Error, StepError, cache_from};

/// A build that is under way.
pub(super) struct Build<'a> {
    pub(super) store: &'a Store,
    pub(super) context: &'a Context,
    pub(super) request: &'a BuildRequest,
    pub(super) environment: &'a BuildEnvironment<'a>,
    pub(super) dockerfile: &'a Dockerfile,
    pub(super) globals: &'a Globals,
    pub(super) plan: &'a Plan,
    /// No time in the image is later, in seconds since 1970.
    pub(super) epoch: Option<i64>,
    /// Images whose steps count as known.
    cache_images: Vec<Image>,
    stages: Mutex<Stages>,
    /// A stage is over, or the build is.
    stage_ended: Condvar,
    /// Why it ends without an image: what failed first. All that ends after that does so because of it.
    failure: Mutex<Option<Error>>,
    has_new_layers: AtomicBool,
    steps: Mutex<Vec<DoneStep>>,
    leases: Mutex<Vec<Lease<'a>>>,
}

type Stages = Vec<Option<Arc<StageState>>>;

/// Builds an image. The steps that were carried out are known to the next build, also if one failed.
pub(super) fn build(
    store: &Store,
    context: &Context,
    request: &BuildRequest,
    environment: &BuildEnvironment<'_>,
) -> Result<Built, Error> {
    let text = context.dockerfile(&request.dockerfile)?;
    let path = if request.dockerfile.is_empty() { "Dockerfile" } else { &request.dockerfile };
    let dockerfile = Dockerfile::read(&text, request.dockerfile_name.as_deref().unwrap_or(path))?;
    context.apply_ignore_file(&request.dockerfile)?;
    if request.dockerfile_name.is_some() {
        context.remove(&request.dockerfile)?;
    }
    let globals = Globals::of(&dockerfile, request).map_err(|error| {
        let place = dockerfile.global_args[0].place.clone();
        DockerfileError { place, problem: Problem::Arguments { instruction: "ARG", reason: error.to_string() } }
    })?;
    let plan = Plan::of(&dockerfile, request.target.as_deref(), &globals)?;
    // Those that aren't here are passed over, as Docker does.
    let cache_images = request.cache_from.iter().filter_map(|name| store.get(name).ok());
    let kept = cache_images.filter_map(|image| Some((keep(store, &image).ok()?.0, image)));
    let (leases, cache_images): (Vec<_>, Vec<_>) = kept.unzip();
    let build = Build {
        store,
        context,
        request,
        environment,
        dockerfile: &dockerfile,
        globals: &globals,
        epoch: epoch(request)?,
        cache_images,
        stages: Mutex::new(vec![None; plan.stages.len()]),
        plan: &plan,
        stage_ended: Condvar::new(),
        failure: Mutex::default(),
        has_new_layers: AtomicBool::new(false),
        steps: Mutex::default(),
        leases: Mutex::new(leases),
    };
    let outcome = build.run();
    let built = outcome.as_ref().ok().map(|state| built(state, request)).transpose()?;
    let id = built.as_ref().map(|built| built.image.id);
    let steps = std::mem::take(&mut *locked(&build.steps));
    store.finish_build(&steps, build.has_new_layers.load(Ordering::Relaxed), built)?;
    outcome?;
    let unused_args = variables::unused_args(&dockerfile, request);
    match id {
        Some(id) => Ok(Built { id, unused_args }),
        None => Err(Error::CalledOff),
    }
}

/// Keeps the layers of an image that was just here from being collected; its document shows that it still is.
fn keep<'a>(store: &'a Store, image: &Image) -> Result<(Lease<'a>, Vec<u8>), images::Error> {
    let (lease, _) = store.lease(image.layers.clone())?;
    Ok((lease, store.document(&image.id)?))
}

fn epoch(request: &BuildRequest) -> Result<Option<i64>, Error> {
    let Some(text) = request.build_args.get(SOURCE_DATE_EPOCH).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| Timestamp::from_second(*seconds).is_ok());
    seconds.map(Some).ok_or_else(|| Error::SourceDateEpoch(text.clone()))
}

fn built(state: &StageState, request: &BuildRequest) -> Result<BuiltImage, images::Error> {
    let (id, document) = match &state.image {
        Some((id, document)) => (*id, document.to_vec()),
        None => {
            let document = serde_json::to_vec(&state.to_config()).map_err(images::Error::Encode)?;
            (ImageId(Digest::of(&document)), document)
        }
    };
    let references = request.tags.iter().cloned().map(Reference::or_latest).collect();
    let image = NewImage { id, document, top: state.top, references };
    Ok(BuiltImage { image, steps: state.steps.clone() })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Build<'a> {
    fn run(&self) -> Result<StageState, Error> {
        let needed = || self.plan.stages.iter().enumerate().filter_map(|(at, planned)| Some((at, planned.as_ref()?)));
        thread::scope(|scope| {
            for (index, planned) in needed() {
                scope.spawn(move || {
                    self.end_stage(index, StageBuild::run(self, index, planned));
                    self.tell(planned.number, BuildEvent::Over);
                });
            }
        });
        if let Some(failure) = locked(&self.failure).take() {
            return Err(failure);
        }
        let state = locked(&self.stages)[self.plan.target].clone().ok_or(Error::CalledOff)?;
        StageBuild::label(self, state.as_ref().clone()).map_err(|source| Error::Step {
            place: self.dockerfile.stages[self.plan.target].place.clone(),
            instruction: "--label".to_owned(),
            source: Box::new(source),
        })
    }

    fn end_stage(&self, index: usize, outcome: Result<StageState, Error>) {
        match outcome {
            Ok(state) => locked(&self.stages)[index] = Some(Arc::new(state)),
            Err(error) => {
                locked(&self.failure).get_or_insert(error);
                self.request.called_off.cancel();
                // With the lock: whoever is about to wait has looked before, or will look after.
                drop(locked(&self.stages));
            }
        }
        self.stage_ended.notify_all();
    }

    /// An earlier stage's end.
    pub(super) fn wait_for(&self, stage: usize) -> Result<Arc<StageState>, StepError> {
        let mut stages = locked(&self.stages);
        loop {
            if let Some(state) = &stages[stage] {
                return Ok(state.clone());
            }
            if self.plan.stages[stage].is_none() {
                let name = &self.dockerfile.stages[stage].text;
                return Err(StepError::Invalid(format!(
                    "a trigger takes from a stage that is not built for it: {name}"
                )));
            }
            if self.request.called_off.is_cancelled() {
                return Err(StepError::CalledOff);
            }
            stages = self.stage_ended.wait(stages).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether there is a reason to go on.
    pub(super) fn go_on(&self) -> Result<(), StepError> {
        match self.request.called_off.is_cancelled() {
            true => Err(StepError::CalledOff),
            false => Ok(()),
        }
    }

    pub(super) fn tell(&self, stage: usize, event: BuildEvent<'_>) {
        self.environment.progress.tell(stage, event);
    }

    /// When what is made now is said to be made; cached steps are known by the millisecond.
    pub(super) fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        self.epoch.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(now)
    }

    /// A file's time as it goes into a layer.
    pub(super) fn clamp(&self, seconds: i64) -> i64 {
        self.epoch.map_or(seconds, |epoch| seconds.min(epoch))
    }

    /// An image that a stage begins with, or that something is taken from, and its document.
    pub(super) fn image(
        &self,
        stage: usize,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<(Image, Vec<u8>), StepError> {
        let image = self.environment.images.image(stage, name, platform, self.request.pull);
        let image = image.map_err(|error| StepError::Image(name.to_owned(), error))?;
        let (lease, document) = keep(self.store, &image)?;
        locked(&self.leases).push(lease);
        let found = image.config.platform();
        match platform {
            Some(wanted) if !found.runs_on(wanted) => Err(StepError::Platform {
                image: name.to_owned(),
                found: found.to_string(),
                wanted: wanted.to_string(),
            }),
            _ => Ok((image, document)),
        }
    }

    /// What one of these keys led to, in this build or in one before.
    pub(super) fn known(&self, keys: &[Digest]) -> Result<Option<StepResult>, StepError> {
        let here = locked(&self.steps).iter().find(|step| keys.contains(&step.key)).map(|step| step.result.clone());
        if here.is_some() || self.request.no_cache {
            return Ok(here);
        }
        for key in keys {
            if let Some((result, lease)) = self.store.known_step(key)? {
                locked(&self.leases).push(lease);
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    /// What a step led to in an image that was built elsewhere.
    pub(super) fn cached_from(&self, state: &StageState, created_by: &str) -> Option<StepResult> {
        // Their times may be later than ours are to be.
        match self.epoch.is_some() || self.request.no_cache {
            true => None,
            false => cache_from::find(&self.cache_images, state, created_by),
        }
    }

    pub(super) fn done(&self, steps: impl IntoIterator<Item = DoneStep>) {
        locked(&self.steps).extend(steps);
    }

    /// Makes a layer of a tar that `write` writes.
    pub(super) fn add_layer(
        &self,
        parent: Option<ChainId>,
        write: impl FnOnce(PipeWriter) -> Result<(), PackError> + Send,
    ) -> Result<StepLayer, StepError> {
        let (layer, lease) = self.store.add_layer(parent, write)?;
        self.has_new_layers.store(true, Ordering::Relaxed);
        locked(&self.leases).push(lease);
        Ok(layer)
    }
}

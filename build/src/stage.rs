//! One stage: what it begins with, and its steps one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use images::steps::{DoneStep, StepLayer, StepResult};
use images::words::Expander;
use images::{
    ChainId, ContainerConfig, DEFAULT_PATH, DiffId, Digest, HistoryEntry, Image, ImageConfig, ImageId, Platform, RootFs,
};
use jiff::Timestamp;

use super::config_step;
use super::dockerfile::{Instruction, Location, Stage, Step};
use super::plan::{Base, PlannedStage};
use super::schedule::Build;
use super::{BuildEvent, Error, StepError, copy_step, key, run_step};

/// How far a stage is: what an image made of it now would be.
#[derive(Clone, Debug)]
pub(super) struct StageState {
    pub(super) platform: Platform,
    pub(super) author: String,
    pub(super) config: ContainerConfig,
    pub(super) top: Option<ChainId>,
    diff_ids: Vec<DiffId>,
    history: Vec<HistoryEntry>,
    created: Option<Timestamp>,
    /// What its steps since the image that it began with are known by.
    pub(super) steps: Vec<Digest>,
    /// The image that it still is, and that one's document: it may be removed meanwhile.
    pub(super) image: Option<(ImageId, Arc<[u8]>)>,
    /// What `ARG` declared.
    pub(super) args: BTreeMap<String, String>,
    /// `CMD` stood in this file, so that `ENTRYPOINT` leaves it.
    pub(super) has_own_cmd: bool,
}

/// What an image has that is built on one with this configuration, whatever the steps say.
fn built_on(mut config: ContainerConfig) -> ContainerConfig {
    if config.working_dir.is_empty() {
        "/".clone_into(&mut config.working_dir);
    }
    if !config.env.iter().any(|pair| pair.starts_with("PATH=")) {
        // As in Docker, that becomes part of what is built on it.
        config.env.push(format!("PATH={DEFAULT_PATH}"));
    }
    config
}

impl StageState {
    pub(super) fn scratch(platform: Platform) -> Self {
        Self {
            platform,
            author: String::new(),
            config: built_on(ContainerConfig::default()),
            top: None,
            diff_ids: Vec::new(),
            history: Vec::new(),
            created: None,
            steps: Vec::new(),
            image: None,
            args: BTreeMap::new(),
            has_own_cmd: false,
        }
    }

    pub(super) fn of_image(image: Image, document: Vec<u8>) -> Self {
        let ImageConfig { architecture, variant, os, author, created, config, rootfs, history, .. } = image.config;
        Self {
            platform: Platform { os, architecture, variant },
            author,
            config: built_on(config),
            top: image.layers.last().copied(),
            diff_ids: rootfs.diff_ids,
            history,
            created,
            steps: Vec::new(),
            image: Some((image.id, document.into())),
            args: BTreeMap::new(),
            has_own_cmd: false,
        }
    }

    /// The steps so far.
    pub(super) fn history(&self) -> &[HistoryEntry] {
        &self.history
    }

    /// The layers so far.
    pub(super) fn diff_ids(&self) -> &[DiffId] {
        &self.diff_ids
    }

    /// What a stage sees of one that it begins with: all of it, what `ARG` declared there, too.
    fn to_begin_with(&self) -> Self {
        Self { has_own_cmd: false, ..self.clone() }
    }

    /// A variable, as instructions see it.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let of_env = self.config.env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        of_env.map(str::to_owned).or_else(|| self.args.get(name).cloned())
    }

    /// A word with its variables expanded.
    pub(super) fn expand(&self, word: &str, escape: char) -> Result<String, StepError> {
        Ok(Expander { escape, variable: &|name| self.variable(name) }.word(word)?)
    }

    fn add(&mut self, keys: &[Digest], result: &StepResult, created_by: String) {
        let StepResult { layer, created } = result;
        self.steps.extend(keys);
        self.history.push(HistoryEntry {
            created: Some(*created),
            created_by,
            empty_layer: layer.is_none(),
            ..HistoryEntry::default()
        });
        if let Some(StepLayer { chain_id, diff_id }) = layer {
            self.top = Some(*chain_id);
            self.diff_ids.push(*diff_id);
        }
        self.created = Some(*created);
        self.image = None;
    }

    /// The document of the image that it is.
    pub(super) fn to_config(&self) -> ImageConfig {
        ImageConfig {
            architecture: self.platform.architecture.clone(),
            variant: self.platform.variant.clone(),
            os: self.platform.os.clone(),
            author: self.author.clone(),
            comment: String::new(),
            created: self.created,
            config: self.config.clone(),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: self.diff_ids.clone() },
            history: self.history.clone(),
            parent: None,
        }
    }
}

/// What a step would lead to, before it is known whether it was carried out before.
pub(super) struct Prepared<'a> {
    /// What decides about its result; the first that is known is taken.
    pub(super) keys: Vec<Digest>,
    /// Its result, where that was asked for already.
    pub(super) known: Option<StepResult>,
    /// For the image's history.
    pub(super) created_by: String,
    /// Makes its layer.
    pub(super) make: Box<dyn FnOnce() -> Result<Option<StepLayer>, StepError> + 'a>,
}

/// A stage in the making.
pub(super) struct StageBuild<'a, 's> {
    pub(super) build: &'a Build<'s>,
    pub(super) index: usize,
    pub(super) state: StageState,
    /// From 0, those that nobody needs not counted.
    pub(super) number: usize,
    step_number: usize,
}

impl<'a, 's> StageBuild<'a, 's> {
    /// Carries out a whole stage.
    pub(super) fn run(build: &'a Build<'s>, index: usize, planned: &PlannedStage) -> Result<StageState, Error> {
        let stage = &build.dockerfile.stages[index];
        let failed = |source| failed(source, &stage.place, &stage.text);
        let step_number = planned.steps_before + 1;
        // What it begins with is waited for before anything is said.
        let state = Self::begin(build, stage, planned, step_number).map_err(failed)?;
        let mut stage_build = Self { build, index, state, number: planned.number, step_number };
        stage_build.triggers(stage).map_err(failed)?;
        for step in &stage.steps {
            stage_build.step_number += 1;
            stage_build.tell(BuildEvent::Step {
                number: stage_build.step_number,
                total: build.plan.steps,
                instruction: &step.text,
            });
            stage_build.step(step).map_err(|source| self::failed(source, &step.place, &step.text))?;
        }
        Ok(stage_build.state)
    }

    fn begin(build: &Build<'_>, stage: &Stage, planned: &PlannedStage, number: usize) -> Result<StageState, StepError> {
        let tell = |event: BuildEvent<'_>| build.tell(planned.number, event);
        let platform = match &planned.platform {
            Some(text) => Some(text.parse::<Platform>().map_err(|error| StepError::Invalid(error.to_string()))?),
            None => build.request.platform.clone(),
        };
        let earlier = match planned.base {
            Base::Stage(other) => Some(build.wait_for(other)?.to_begin_with()),
            _ => None,
        };
        tell(BuildEvent::Step { number, total: build.plan.steps, instruction: &stage.text });
        let state = match (&planned.base, earlier) {
            (_, Some(state)) => state,
            (Base::Image(name), None) => {
                let (image, document) = build.image(planned.number, name, platform.as_ref())?;
                StageState::of_image(image, document)
            }
            _ => StageState::scratch(platform.unwrap_or_else(Platform::host)),
        };
        tell(BuildEvent::Done(&match &state.image {
            Some((image, _)) => image.short(),
            None => key::parent_key(&state).short(),
        }));
        Ok(state)
    }

    /// What the image that it begins with has put off.
    fn triggers(&mut self, stage: &Stage) -> Result<(), StepError> {
        let triggers = self.state.config.on_build.take().unwrap_or_default();
        // Without them a stage of nothing else is still its image.
        if triggers.is_empty() {
            return Ok(());
        }
        self.tell(BuildEvent::Triggers(triggers.len()));
        for text in triggers {
            let step = Step::trigger(&text, stage.place.clone(), '\\').map_err(StepError::Trigger)?;
            self.step(&step)?;
        }
        Ok(())
    }

    fn tell(&self, event: BuildEvent<'_>) {
        self.build.tell(self.number, event);
    }

    fn step(&mut self, step: &Step) -> Result<(), StepError> {
        self.build.go_on()?;
        let before = self.state.clone();
        let prepared = match &step.instruction {
            Instruction::Run(run) => run_step::prepare(self, run)?,
            Instruction::Copy(copy) => copy_step::prepare(self, copy, &step.text)?,
            Instruction::WorkingDir(path) => copy_step::working_dir(self, path)?,
            instruction => {
                let created_by = config_step::apply(self, instruction)?;
                let keys = vec![key::of(&(
                    key::parent_key(&before),
                    &created_by,
                    key::parent_key(&self.state),
                    self.build.epoch,
                ))];
                Prepared { keys, known: None, created_by, make: Box::new(|| Ok(None)) }
            }
        };
        let Prepared { keys, known, created_by, make } = prepared;
        let known = if known.is_some() { known } else { self.build.known(&keys)? };
        let known = known.or_else(|| self.build.cached_from(&before, &created_by));
        let result = match known {
            Some(result) => {
                self.tell(BuildEvent::Cached);
                result
            }
            None => StepResult { layer: make()?, created: self.build.now() },
        };
        self.state.add(&keys, &result, created_by);
        self.build.done(keys.into_iter().map(|key| DoneStep {
            key,
            instruction: step.text.clone(),
            result: result.clone(),
        }));
        self.tell(BuildEvent::Done(&key::parent_key(&self.state).short()));
        Ok(())
    }

    /// A word of the Dockerfile with its variables expanded.
    pub(super) fn expand(&self, word: &str) -> Result<String, StepError> {
        self.state.expand(word, self.build.dockerfile.escape)
    }

    /// Labels that the Dockerfile doesn't have, as a last instruction would set them.
    pub(super) fn label(build: &'a Build<'s>, state: StageState) -> Result<StageState, StepError> {
        let labels: Vec<(String, String)> = build.request.labels.clone().into_iter().collect();
        if labels.is_empty() {
            return Ok(state);
        }
        let mut stage_build = Self { build, index: build.plan.target, state, number: 0, step_number: build.plan.steps };
        let before = key::parent_key(&stage_build.state);
        let created_by = config_step::set_labels(&mut stage_build.state, labels)?;
        let key = key::of(&(before, &created_by, key::parent_key(&stage_build.state), build.epoch));
        let result = match build.known(&[key])? {
            Some(result) => result,
            None => StepResult { layer: None, created: build.now() },
        };
        build.done([DoneStep { key, instruction: created_by.clone(), result: result.clone() }]);
        stage_build.state.add(&[key], &result, created_by);
        Ok(stage_build.state)
    }
}

/// The failure of an instruction; what was called off has failed because of another.
fn failed(source: StepError, place: &Location, instruction: &str) -> Error {
    match source {
        StepError::CalledOff => Error::CalledOff,
        source => Error::Step { place: place.clone(), instruction: instruction.to_owned(), source: Box::new(source) },
    }
}

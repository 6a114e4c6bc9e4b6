//! Which stages a build needs, and where their steps are in the count.

use std::collections::BTreeSet;

use super::Error;
use super::dockerfile::{Dockerfile, DockerfileError, Instruction, Problem, WrittenMount};
use super::variables::Globals;

/// What is to be built of a Dockerfile.
#[derive(Debug)]
pub(super) struct Plan {
    /// The stage that becomes the image.
    pub(super) target: usize,
    /// One for each of the Dockerfile's stages; none for those that nobody needs.
    pub(super) stages: Vec<Option<PlannedStage>>,
    /// All their steps, `FROM` counted.
    pub(super) steps: usize,
}

/// A stage that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedStage {
    /// From 0, those that nobody needs not counted.
    pub(super) number: usize,
    /// How many steps come before it.
    pub(super) steps_before: usize,
    pub(super) base: Base,
    /// `--platform`, expanded.
    pub(super) platform: Option<String>,
}

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Scratch,
    Stage(usize),
    Image(String),
}

impl Plan {
    pub(super) fn of(dockerfile: &Dockerfile, target: Option<&str>, globals: &Globals) -> Result<Self, Error> {
        let last = dockerfile.stages.len() - 1;
        let target = match target.filter(|target| !target.is_empty()) {
            None => last,
            Some(name) => dockerfile.stage(name).ok_or_else(|| Error::NoTarget(name.to_owned()))?,
        };
        let mut needed = BTreeSet::from([target]);
        let mut waiting = vec![target];
        let mut stages: Vec<Option<PlannedStage>> = vec![None; dockerfile.stages.len()];
        while let Some(index) = waiting.pop() {
            let planned = stage(dockerfile, index, globals)?;
            let others = needs(dockerfile, index, &planned)?;
            stages[index] = Some(planned);
            waiting.extend(others.into_iter().filter(|other| needed.insert(*other)));
        }
        let (mut steps, mut number) = (0, 0);
        for (planned, stage) in stages.iter_mut().zip(&dockerfile.stages) {
            if let Some(planned) = planned {
                (planned.number, planned.steps_before) = (number, steps);
                number += 1;
                steps += 1 + stage.steps.len();
            }
        }
        Ok(Self { target, stages, steps })
    }
}

fn stage(dockerfile: &Dockerfile, index: usize, globals: &Globals) -> Result<PlannedStage, Error> {
    let stage = &dockerfile.stages[index];
    let wrong = |reason: String| {
        let problem = Problem::Arguments { instruction: "FROM", reason };
        Error::from(DockerfileError { place: stage.place.clone(), problem })
    };
    let expand = |text: &str| globals.expand(text, dockerfile.escape).map_err(|error| wrong(error.to_string()));
    let base = expand(&stage.base)?;
    if base.is_empty() {
        return Err(wrong(format!("{} is empty: give its ARG before the first FROM a default", stage.base)));
    }
    let earlier = dockerfile.stage_named(&base, index);
    let base = match (earlier, base.as_str()) {
        (Some(other), _) => Base::Stage(other),
        (None, "scratch") => Base::Scratch,
        (None, _) => Base::Image(base),
    };
    let platform = stage.platform.as_deref().map(expand).transpose()?.filter(|platform| !platform.is_empty());
    Ok(PlannedStage { number: 0, steps_before: 0, base, platform })
}

/// The stages that this one takes something from.
fn needs(dockerfile: &Dockerfile, index: usize, planned: &PlannedStage) -> Result<Vec<usize>, Error> {
    let mut others = Vec::new();
    if let Base::Stage(other) = planned.base {
        others.push(other);
    }
    for step in &dockerfile.stages[index].steps {
        let (instruction, named): (_, Vec<&str>) = match &step.instruction {
            Instruction::Copy(copy) => ("COPY", copy.from.as_deref().into_iter().collect()),
            Instruction::Run(run) => ("RUN", run.mounts.iter().filter_map(WrittenMount::from).collect()),
            _ => continue,
        };
        for name in named {
            let Some(other) = dockerfile.stage(name) else { continue };
            if other >= index {
                let reason = format!("{name} isn't an earlier stage: only what stands above can be taken from");
                let problem = Problem::Arguments { instruction, reason };
                return Err(DockerfileError { place: step.place.clone(), problem }.into());
            }
            others.push(other);
        }
    }
    Ok(others)
}

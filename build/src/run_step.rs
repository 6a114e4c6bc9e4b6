//! `RUN`: a command in a container of its own; what it writes becomes a layer.

use std::collections::{BTreeSet, VecDeque};

use images::steps::StepLayer;
use images::{ChainId, Digest, files};

use super::dockerfile::{Command, Run, RunNetwork, is_here_document};
use super::mounts::{self, StepMounts};
use super::schedule::Build;
use super::stage::{Prepared, StageBuild};
use super::{BuildEvent, RunStep, StepError, StepNetwork, StepStream, between_steps, config_step, key, mount_points};

/// Lines and bytes that a failure shows of what the command said last.
const LAST_LINES: usize = 20;
const LAST_BYTES: usize = 4096;

/// What `RUN` would run.
pub(super) fn prepare<'a, 's>(stage: &StageBuild<'a, 's>, run: &Run) -> Result<Prepared<'a>, StepError> {
    let build = stage.build;
    let state = &stage.state;
    if run.is_insecure {
        let reason = "--security=insecure: steps don't get more rights than containers have: write sandbox";
        return Err(StepError::Invalid(reason.to_owned()));
    }
    let script = script(run);
    let args = match &script {
        Script::File(_) => vec![mounts::SCRIPT.to_owned()],
        Script::Command(command) => config_step::words(state, command),
    };
    // What ENV says counts more than what ARG says.
    let declared: Vec<String> = state
        .args
        .iter()
        .filter(|(name, _)| !state.config.env.iter().any(|pair| pair.split('=').next() == Some(name.as_str())))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut mounted = mounts::prepare(stage, &run.mounts)?;
    if let Script::File(text) = &script {
        mounted.add_script(text.clone());
    }
    let network = match run.network {
        None | Some(RunNetwork::Default) => StepNetwork::Default,
        Some(RunNetwork::None) => StepNetwork::None,
        Some(RunNetwork::Host) => StepNetwork::Host,
    };
    let shown = run.network.map(|network| format!("{network:?}"));
    let key = key::of(&("RUN", key::parent_key(state), &args, &declared, shown, &mounted.key, build.epoch));
    let mut env = state.config.env.clone();
    env.extend(declared.iter().cloned());
    let is_set = |name: &str| state.variable(name).is_some();
    env.extend(
        build.globals.proxies().filter(|(name, _)| !is_set(name)).map(|(name, value)| format!("{name}={value}")),
    );
    let command = Runnable {
        args: args.clone(),
        env,
        user: state.config.user.clone(),
        working_dir: state.config.working_dir.clone(),
        network,
    };
    let given = match declared.len() {
        0 => String::new(),
        count => format!("|{count} {} ", declared.join(" ")),
    };
    let mounts = match mounted.key.is_empty() {
        true => String::new(),
        false => format!(" # {}", &key::of(&mounted.key).hex()[..32]),
    };
    let created_by = format!("RUN {given}{}{mounts}", shown_command(&args, &script));
    let (top, short_key) = (state.top, key);
    let number = stage.number;
    let make = Box::new(move || execute(build, number, top, &short_key, command, mounted).map(Some));
    Ok(Prepared { keys: vec![key], known: None, created_by, make })
}

fn shown_command(args: &[String], script: &Script) -> String {
    match script {
        Script::File(text) => text.clone(),
        Script::Command(_) => args.join(" "),
    }
}

enum Script {
    /// To be executed as it is: it says itself what with.
    File(String),
    Command(Command),
}

/// A command that is nothing but a here-document is a script; else the shell reads its here-documents itself.
fn script(run: &Run) -> Script {
    let Command::Shell(line) = &run.command else { return Script::Command(run.command.clone()) };
    match &run.here_documents[..] {
        [] => Script::Command(run.command.clone()),
        [only] if is_here_document(line) => match only.content.starts_with("#!") {
            true => Script::File(only.content.clone()),
            false => Script::Command(Command::Shell(only.content.clone())),
        },
        several => {
            let documents: String = several.iter().map(|document| format!("\n{}", document.raw)).collect();
            Script::Command(Command::Shell(format!("{line}{documents}")))
        }
    }
}

struct Runnable {
    args: Vec<String>,
    env: Vec<String>,
    user: String,
    working_dir: String,
    network: StepNetwork,
}

fn execute<'s>(
    build: &Build<'s>,
    stage: usize,
    top: Option<ChainId>,
    key: &Digest,
    command: Runnable,
    mounted: StepMounts<'_, 's>,
) -> Result<StepLayer, StepError> {
    let work = build.context.work_dir();
    let place = tempfile::tempdir_in(work).map_err(StepError::file("make a directory for the step"))?;
    // Taken for the directory's name, which nobody else has.
    let unique = place.path().file_name().unwrap_or_default().to_string_lossy().replace('.', "");
    let id = format!("{}{}", &key.hex()[..32], unique.trim_start_matches("tmp"));
    let held = mounted.set_up(build, stage, place.path())?;
    let fixed = build.environment.runner.mount_points();
    let missing = mount_points::missing(build, top, (fixed, held.mounts()), place.path())?;
    let rootfs = build.store.prepare_on(&id, top)?;
    let upper = rootfs.upper.clone();
    let Runnable { args, mut env, user, working_dir, network } = command;
    env.extend(held.variables().iter().cloned());
    let step =
        RunStep { rootfs, id: id.clone(), args, env, working_dir, user, network, mounts: held.mounts().to_vec() };
    let outcome = run(build, stage, &step);
    between_steps();
    let layer = outcome.and_then(|()| {
        mount_points::remove(&upper, &missing).map_err(StepError::file("read what the step wrote"))?;
        build.add_layer(top, |pipe| files::pack_layer(&upper, &BTreeSet::new(), build.epoch, pipe).map(drop))
    });
    drop(held);
    between_steps();
    build.store.remove_snapshot(&id).and_then(|discarded| discarded.delete())?;
    layer
}

fn run(build: &Build<'_>, stage: usize, step: &RunStep) -> Result<(), StepError> {
    let mut last = LastOutput::default();
    let mut output = |stream: StepStream, bytes: &[u8]| {
        last.push(bytes);
        build.tell(stage, BuildEvent::Output(stream, bytes));
    };
    let code = build.environment.runner.run(step, &mut output);
    if last.is_within_a_line() {
        build.tell(stage, BuildEvent::Output(StepStream::Stdout, b"\n"));
    }
    build.go_on()?;
    match code.map_err(StepError::Run)? {
        0 => Ok(()),
        code => Err(StepError::Failed { command: step.args.join(" "), code, output: last.text() }),
    }
}

/// The end of what a command wrote.
#[derive(Default)]
struct LastOutput(VecDeque<u8>);

impl LastOutput {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(&bytes[bytes.len().saturating_sub(LAST_BYTES)..]);
        let excess = self.0.len().saturating_sub(LAST_BYTES);
        self.0.drain(..excess);
    }

    fn is_within_a_line(&self) -> bool {
        self.0.back().is_some_and(|byte| *byte != b'\n')
    }

    fn text(mut self) -> String {
        let bytes = self.0.make_contiguous();
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

//! Instructions that alter the configuration only.

use images::{Change, apply_changes};

use super::StepError;
use super::dockerfile::{Command, Instruction};
use super::stage::{StageBuild, StageState};

const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What runs the shell form of instructions.
pub(super) fn shell(state: &StageState) -> Vec<String> {
    let own = state.config.shell.clone().filter(|shell| !shell.is_empty());
    own.unwrap_or_else(|| SHELL.map(str::to_owned).to_vec())
}

/// The words that a command comes to.
pub(super) fn words(state: &StageState, command: &Command) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(line) => shell(state).into_iter().chain([line.clone()]).collect(),
    }
}

/// Applies an instruction; answers with what the image's history says of it.
pub(super) fn apply(stage: &mut StageBuild<'_, '_>, instruction: &Instruction) -> Result<String, StepError> {
    let (changes, created_by) = match instruction {
        Instruction::Arg(pairs) => return args(stage, pairs),
        Instruction::Env(pairs) => {
            let pairs = expanded_pairs(stage, pairs)?;
            if let Some((name, _)) = pairs.iter().find(|(name, _)| name.is_empty() || name.contains(['=', '\0'])) {
                return Err(StepError::Invalid(format!("{name:?} can't be a variable's name")));
            }
            let text = said("ENV", &pairs);
            (vec![Change::Env(pairs)], text)
        }
        Instruction::Label(pairs) => {
            let pairs = expanded_pairs(stage, pairs)?;
            return set_labels(&mut stage.state, pairs);
        }
        Instruction::User(word) => {
            let user = stage.expand(word)?;
            let text = format!("USER {user}");
            (vec![Change::User(user)], text)
        }
        Instruction::Expose(words) => {
            let words = words.iter().map(|word| stage.expand(word)).collect::<Result<Vec<_>, _>>()?;
            let text = format!("EXPOSE {}", words.join(" "));
            (vec![text.parse()?], text)
        }
        Instruction::Volume(words) => {
            let paths = words.iter().map(|word| stage.expand(word)).collect::<Result<Vec<_>, _>>()?;
            if paths.iter().any(|path| path.trim().is_empty()) {
                return Err(StepError::Invalid("a volume's path is empty".to_owned()));
            }
            let text = format!("VOLUME {}", paths.join(" "));
            (vec![Change::Volume(paths)], text)
        }
        Instruction::StopSignal(word) => {
            let signal = stage.expand(word)?;
            let text = format!("STOPSIGNAL {signal}");
            (vec![format!("STOPSIGNAL {}", shell_words::quote(&signal)).parse()?], text)
        }
        Instruction::Healthcheck(arguments) => {
            let text = format!("HEALTHCHECK {arguments}");
            (vec![text.parse()?], text)
        }
        Instruction::OnBuild(trigger) => (vec![Change::OnBuild(trigger.clone())], format!("ONBUILD {trigger}")),
        Instruction::Cmd(command) => {
            let words = words(&stage.state, command);
            stage.state.has_own_cmd = true;
            let text = format!("CMD {}", json(&words));
            (vec![Change::Cmd(words)], text)
        }
        Instruction::Entrypoint(command) => {
            let words = words(&stage.state, command);
            let text = format!("ENTRYPOINT {}", json(&words));
            let mut changes = vec![Change::Entrypoint(words)];
            // A command that stood in this file belongs to this entry point.
            if let Some(cmd) = stage.state.config.cmd.clone().filter(|_| stage.state.has_own_cmd) {
                changes.push(Change::Cmd(cmd));
            }
            (changes, text)
        }
        Instruction::Shell(words) => {
            stage.state.config.shell = Some(words.clone());
            return Ok(format!("SHELL {}", json(words)));
        }
        Instruction::Maintainer(name) => {
            stage.state.author.clone_from(name);
            return Ok(format!("MAINTAINER {name}"));
        }
        Instruction::Run(_) | Instruction::Copy(_) | Instruction::WorkingDir(_) => {
            return Err(StepError::Invalid("it makes a layer".to_owned()));
        }
    };
    let config = std::mem::take(&mut stage.state.config);
    stage.state.config = apply_changes(&changes, config);
    Ok(created_by)
}

/// Sets labels; answers with what the image's history says of it.
pub(super) fn set_labels(state: &mut StageState, labels: Vec<(String, String)>) -> Result<String, StepError> {
    if labels.iter().any(|(name, _)| name.is_empty()) {
        return Err(StepError::Invalid("a label's name is empty".to_owned()));
    }
    let text = said("LABEL", &labels);
    let config = std::mem::take(&mut state.config);
    state.config = apply_changes(&[Change::Label(labels)], config);
    Ok(text)
}

fn args(stage: &mut StageBuild<'_, '_>, pairs: &[(String, Option<String>)]) -> Result<String, StepError> {
    let mut text = "ARG".to_owned();
    for (name, default) in pairs {
        let (name, default) = (stage.expand(name)?, default.as_ref().map(|word| stage.expand(word)).transpose()?);
        // Of a variable that isn't set.
        if name.is_empty() {
            continue;
        }
        text += &format!(" {name}");
        if let Some(value) = stage.build.globals.arg(&name, default) {
            text += &format!("={value}");
            stage.state.args.insert(name, value);
        }
    }
    Ok(text)
}

fn expanded_pairs(stage: &StageBuild<'_, '_>, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, StepError> {
    pairs.iter().map(|(name, value)| Ok((stage.expand(name)?, stage.expand(value)?))).collect()
}

fn said(instruction: &str, pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{instruction} {}", pairs.join(" "))
}

fn json(words: &[String]) -> String {
    serde_json::to_string(words).expect("texts have JSON forms")
}

//! Completion in shells: commands and flags, and the containers, images, networks and volumes
//! that there are. The shell's script asks us for it, by running us with [`VARIABLE`] set.

use std::future::Future;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, EnvCompleter, Shells};
use cnm::api::NetworkQuery;

use crate::command::Context;
use crate::engine::reply::{ContainerSummary, ImageSummary, VolumeList};
use crate::flags;

/// Names the shell that asks.
const VARIABLE: &str = "_BERTH_COMPLETE";

/// Who waits for a list longer than this types on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers a shell, if it is one that asks; doesn't return then.
pub(crate) fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// The script that makes a shell ask.
///
/// # Errors
/// Never, in memory.
pub(crate) fn script(shell: &str) -> std::io::Result<Vec<u8>> {
    let shells = Shells::builtins();
    let shell: &dyn EnvCompleter =
        shells.completer(shell).ok_or_else(|| std::io::Error::other(format!("there is no script for {shell}")))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "berth", "berth", "berth", &mut script)?;
    Ok(script)
}

/// The commands, with what is known of their arguments' values.
fn command() -> Command {
    with_candidates(flags::unadapted())
}

fn with_candidates(command: Command) -> Command {
    let command = command.mut_args(offer);
    let first = |name| command.get_arguments().any(|argument| argument.get_id() == name).then_some(name);
    // Of the words behind flags only the first is a container or an image.
    let rest = ["image_and_command", "container_and_command", "container_and_options"].into_iter().find_map(first);
    let command = match rest {
        Some(name) => command
            .mut_arg(name, |argument| argument.action(ArgAction::Set).num_args(1).trailing_var_arg(false))
            .arg(Arg::new("rest").num_args(0..).trailing_var_arg(true)),
        None => command,
    };
    flags::adapt_arguments(command).mut_subcommands(|below| below.defer(with_candidates))
}

/// Adds to an argument what it may stand for, which its name tells.
fn offer(argument: Arg) -> Arg {
    let is_switch = !matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let is_flag = !argument.is_positional();
    let candidates = match argument.get_id().as_str() {
        _ if is_switch => return argument,
        "volumes_from" | "link" => ArgValueCandidates::new(containers),
        "network" | "config_from" => ArgValueCandidates::new(networks),
        _ if is_flag => return argument,
        "container" | "containers" | "container_and_command" | "container_and_options" => {
            ArgValueCandidates::new(containers)
        }
        "image" | "images" | "image_and_command" => ArgValueCandidates::new(images),
        "networks" => ArgValueCandidates::new(networks),
        "volumes" => ArgValueCandidates::new(volumes),
        "objects" => ArgValueCandidates::new(anything),
        _ => return argument,
    };
    argument.add(candidates)
}

fn anything() -> Vec<CompletionCandidate> {
    [containers, images, networks, volumes].into_iter().flat_map(|named| named()).collect()
}

fn containers() -> Vec<CompletionCandidate> {
    ask(async |context| {
        let request = context.engine().get("/containers/json").query("all", 1);
        let containers: Vec<ContainerSummary> = request.send().await.ok()?.json().await.ok()?;
        let candidate = |container: ContainerSummary| {
            let names = container.names.into_iter().map(|name| name.trim_start_matches('/').to_owned());
            let names = names.filter(|name| !name.contains('/')).collect::<Vec<_>>();
            names.into_iter().map(move |name| offered(name, &container.status))
        };
        Some(containers.into_iter().flat_map(candidate).collect())
    })
}

fn images() -> Vec<CompletionCandidate> {
    ask(async |context| {
        let images: Vec<ImageSummary> = context.engine().get("/images/json").send().await.ok()?.json().await.ok()?;
        let names = images.into_iter().flat_map(|image| image.repo_tags);
        Some(names.map(|name| offered(name, "")).collect())
    })
}

fn networks() -> Vec<CompletionCandidate> {
    ask(async |context| {
        let networks = context.netd().await.ok()?.networks(&NetworkQuery { endpoints: false }).await.ok()?;
        Some(networks.into_iter().map(|network| offered(network.name, &network.driver)).collect())
    })
}

fn volumes() -> Vec<CompletionCandidate> {
    ask(async |context| {
        let list: VolumeList = context.engine().get("/volumes").send().await.ok()?.json().await.ok()?;
        Some(list.volumes.into_iter().map(|volume| offered(volume.name, &volume.driver)).collect())
    })
}

fn offered(name: String, help: &str) -> CompletionCandidate {
    CompletionCandidate::new(name).help((!help.is_empty()).then(|| help.to_owned().into()))
}

/// What the daemons say; nothing when they don't, for a shell has no place for complaints.
fn ask<F>(question: impl FnOnce(Context) -> F) -> Vec<CompletionCandidate>
where
    F: Future<Output = Option<Vec<CompletionCandidate>>>,
{
    // The sockets as the environment says; those that are typed on the line aren't read yet.
    let answer = || {
        let context = Context::new(&flags::parse(["berth", "version"]).ok()?.sockets).ok()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async { tokio::time::timeout(PATIENCE, question(context)).await.ok() })?
    };
    answer().unwrap_or_default()
}

//! Commands on containers and their flags, except for what describes a new container (see `create`).

use clap::{Args, Subcommand};

use super::create::CreateFlags;
use super::files;
use super::list::{Filtering, ListShape, ObjectShape};
use super::port;
use super::prune;
use super::update::{self, UpdateFlags};

const RUN_USAGE: &str = "berth run [OPTIONS] IMAGE [COMMAND] [ARG...]";
const RUN_EXAMPLES: &str = "Examples:
  berth run --rm -it busybox sh
  berth run -d --name web -p 4000:80 -p 127.0.0.1:4443:443 IMAGE
  berth run -d -p 6000-6200:6000-6200/udp IMAGE
  berth run --rm --network lab --ip 10.9.0.7 --network-alias db IMAGE
  berth run --rm -m 256m --cpus 1.5 --pids-limit 100 IMAGE
  berth run --rm -v /srv/www:/www:ro --tmpfs /tmp:size=64m --read-only IMAGE

Flags with a list, such as -e, -p and -v, are given once for each value. Sizes are bytes, or have a unit: 512k, 64m, 1.5g (of 1024).

Exit status: the container's own; 125 when berth or the engine refused, 126 when the command can't be executed, 127 when it can't be found, 128+n when signal n ended it. Ctrl-P Ctrl-Q leaves a terminal without stopping the container.";
const CREATE_EXAMPLES: &str = "Examples:
  berth create --name web -p 4000:80 IMAGE && berth start web
  berth create -it --name shell busybox sh

Flags with a list, such as -e, -p and -v, are given once for each value. Sizes are bytes, or have a unit: 512k, 64m, 1.5g (of 1024).";
const START_EXAMPLES: &str = "Examples:
  berth start web db
  berth start -ai shell      start it and attach this terminal";
const STOP_EXAMPLES: &str = "Examples:
  berth stop web
  berth stop -t 1 web db     kill what hasn't stopped after one second";
const RESTART_EXAMPLES: &str = "Examples:
  berth restart web
  berth restart -t 1 web db  kill what hasn't stopped after one second";
const PAUSE_EXAMPLES: &str = "Examples:
  berth pause web            its processes keep what they have and get no CPU";
const UNPAUSE_EXAMPLES: &str = "Examples:
  berth unpause web";
const WAIT_EXAMPLES: &str = "Examples:
  berth wait web db          a line with the exit status for each";
const RENAME_EXAMPLES: &str = "Examples:
  berth rename web old-web";
const INSPECT_EXAMPLES: &str = "Examples:
  berth container inspect web
  berth container inspect -f '{{.State.Status}} {{.State.ExitCode}}' web";
const KILL_EXAMPLES: &str = "Examples:
  berth kill web
  berth kill -s HUP web";
const REMOVE_EXAMPLES: &str = "Examples:
  berth rm web
  berth rm -f web db         also while they run";
const LOGS_EXAMPLES: &str = "Examples:
  berth logs -f --tail 20 web
  berth logs -t --since 10m web
  berth logs --since 2026-01-02T15:04:05Z --until 1h web";
const ATTACH_EXAMPLES: &str = "Examples:
  berth attach shell         Ctrl-P Ctrl-Q leaves again
  berth attach --no-stdin --sig-proxy=false web";
const EXEC_EXAMPLES: &str = "Examples:
  berth exec -it web sh
  berth exec -u nobody -w /tmp -e DEBUG=1 web env
  berth exec -d web touch /tmp/ready

Exit status: the command's own; 126 when it can't be executed, 127 when it can't be found.";
const TOP_EXAMPLES: &str = "Examples:
  berth top web
  berth top web -o pid,comm";
pub(crate) const STATS_EXAMPLES: &str = "Examples:
  berth stats
  berth stats --no-stream --format '{{.Name}} {{.MemUsage}}' web

Fields of --format: Container, ID, Name, CPUPerc, MemUsage, MemPerc, NetIO, BlockIO, PIDs.";
pub(crate) const LIST_EXAMPLES: &str = "Examples:
  berth ps -a
  berth ps -q --filter status=exited --filter label=tier=web
  berth ps --format 'table {{.Names}}\\t{{.Ports}}'
  berth ps --format json

Filters: id, name, label, status, health, exited, ancestor, before, since, network, volume, publish, expose.

Fields of --format: ID, Names, Image, ImageID, Command, CreatedAt, RunningFor, Ports, State, Status, Size, Labels, Mounts, LocalVolumes, Networks, and .Label \"NAME\".";

/// Commands that are the same at the top level and under `container`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create a container from an image and run it
    #[command(override_usage = RUN_USAGE, after_help = RUN_EXAMPLES, disable_help_flag = true)]
    Run(Box<RunFlags>),
    /// Create a container without starting it
    #[command(override_usage = "berth create [OPTIONS] IMAGE [COMMAND] [ARG...]", after_help = CREATE_EXAMPLES, disable_help_flag = true)]
    Create(Box<CreateFlags>),
    /// Start containers
    #[command(after_help = START_EXAMPLES)]
    Start(StartFlags),
    /// Stop containers: by a signal, then, after a timeout, by KILL
    #[command(after_help = STOP_EXAMPLES)]
    Stop(StopFlags),
    /// Stop containers and start them again
    #[command(after_help = RESTART_EXAMPLES)]
    Restart(StopFlags),
    /// Send containers a signal
    #[command(after_help = KILL_EXAMPLES)]
    Kill(KillFlags),
    /// Remove containers
    #[command(visible_alias = "remove", after_help = REMOVE_EXAMPLES)]
    Rm(RemoveFlags),
    /// Pause containers: freeze all their processes
    #[command(after_help = PAUSE_EXAMPLES)]
    Pause(Targets),
    /// Unpause containers: let their processes go on
    #[command(after_help = UNPAUSE_EXAMPLES)]
    Unpause(Targets),
    /// Wait until containers have ended and print their exit statuses
    #[command(after_help = WAIT_EXAMPLES)]
    Wait(Targets),
    /// Give a container another name
    #[command(after_help = RENAME_EXAMPLES)]
    Rename(RenameFlags),
    /// Change limits and the restart policy of containers
    #[command(after_help = update::EXAMPLES)]
    Update(Box<UpdateFlags>),
    /// Show the logs of a container
    #[command(after_help = LOGS_EXAMPLES)]
    Logs(LogsFlags),
    /// Attach this terminal to a running container
    #[command(after_help = ATTACH_EXAMPLES)]
    Attach(AttachFlags),
    /// Run another command in a running container
    #[command(override_usage = "berth exec [OPTIONS] CONTAINER COMMAND [ARG...]", after_help = EXEC_EXAMPLES)]
    Exec(ExecFlags),
    /// Show the processes of a container
    #[command(override_usage = "berth top CONTAINER [ps OPTIONS]", after_help = TOP_EXAMPLES)]
    Top(TopFlags),
    /// Show where a container's ports are published, publish more, or fewer
    #[command(
        override_usage = "berth port CONTAINER [PORT]\n       berth port add CONTAINER PORT...\n       berth port rm CONTAINER HOST-PORT...",
        after_help = port::EXAMPLES
    )]
    Port(port::PortFlags),
    /// Show the resource usage of containers, live
    #[command(after_help = STATS_EXAMPLES)]
    Stats(StatsFlags),
    /// Copy files into a container or out of it
    #[command(override_usage = "berth cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       berth cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH", after_help = files::CP_EXAMPLES)]
    Cp(files::CpFlags),
    /// Show which files a container has changed
    #[command(after_help = files::DIFF_EXAMPLES)]
    Diff(files::DiffFlags),
    /// Write a container's file system into an archive
    #[command(after_help = files::EXPORT_EXAMPLES)]
    Export(files::ExportFlags),
    /// Make an image of a container
    #[command(after_help = files::COMMIT_EXAMPLES)]
    Commit(files::CommitFlags),
}

/// Commands under `container`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Verb(Verb),
    /// List containers
    #[command(visible_aliases = ["ps", "list"], after_help = LIST_EXAMPLES)]
    Ls(ListFlags),
    /// Show containers in detail
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectFlags),
    /// Remove stopped containers
    #[command(after_help = prune::CONTAINER_EXAMPLES)]
    Prune(prune::PruneFlags),
}

/// Containers by name, id or the beginning of an id.
#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Containers, by name, id or the beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    pub(crate) containers: Vec<String>,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Keys that detach from the container's terminal; ctrl-p,ctrl-q when absent
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Pass signals on to the container; not Ctrl-C of a terminal, which goes there as a key
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub(crate) sig_proxy: bool,
    #[command(flatten)]
    pub(crate) create: CreateFlags,
}

/// Flags of `start`.
#[derive(Debug, Args)]
pub(crate) struct StartFlags {
    /// Show output and pass signals on
    #[arg(short, long)]
    pub(crate) attach: bool,
    /// Pass standard input on
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Keys that detach from the container's terminal; ctrl-p,ctrl-q when absent
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    #[command(flatten)]
    pub(crate) targets: Targets,
}

/// Flags of `stop` and `restart`.
#[derive(Debug, Args)]
pub(crate) struct StopFlags {
    /// Seconds to wait before killing; 10 when absent, -1 waits for ever
    #[arg(short = 't', long, visible_alias = "time", value_name = "SECONDS")]
    pub(crate) timeout: Option<i64>,
    /// Signal to send first, as in INT or 2; the image's or TERM when absent
    #[arg(short, long, value_name = "SIGNAL")]
    pub(crate) signal: Option<String>,
    #[command(flatten)]
    pub(crate) targets: Targets,
}

/// Flags of `kill`.
#[derive(Debug, Args)]
pub(crate) struct KillFlags {
    /// Signal to send, as in HUP or 1; KILL when absent
    #[arg(short, long, value_name = "SIGNAL")]
    pub(crate) signal: Option<String>,
    #[command(flatten)]
    pub(crate) targets: Targets,
}

/// Flags of `rm`.
#[derive(Debug, Args)]
pub(crate) struct RemoveFlags {
    /// Kill running containers first
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Remove their anonymous volumes as well
    #[arg(short, long)]
    pub(crate) volumes: bool,
    #[command(flatten)]
    pub(crate) targets: Targets,
}

/// Arguments of `rename`.
#[derive(Debug, Args)]
pub(crate) struct RenameFlags {
    /// The container
    pub(crate) container: String,
    /// Its new name
    pub(crate) new_name: String,
}

/// Flags of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsFlags {
    /// Go on with what is printed from now
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Lines to show from the end; all when absent
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all")]
    pub(crate) tail: String,
    /// Only from this time: RFC 3339, seconds since 1970, or a duration ago (10m)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only up to this time, written alike
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Put its time before each line
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// Put the log driver's extra attributes before each line
    #[arg(long)]
    pub(crate) details: bool,
    /// The container
    pub(crate) container: String,
}

/// Flags of `attach`.
#[derive(Debug, Args)]
pub(crate) struct AttachFlags {
    /// Keys that detach from the container's terminal; ctrl-p,ctrl-q when absent
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Don't pass standard input on
    #[arg(long)]
    pub(crate) no_stdin: bool,
    /// Pass signals on to the container; not Ctrl-C of a terminal, which goes there as a key
    #[arg(long, value_name = "bool", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub(crate) sig_proxy: bool,
    /// The container
    pub(crate) container: String,
}

/// Flags of `exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecFlags {
    /// Leave the command running in the background
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Keys that detach from the command's terminal; ctrl-p,ctrl-q when absent
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Set an environment variable; without a value, take ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Read environment variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<String>,
    /// Keep standard input open
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the command all capabilities
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// User and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "PATH")]
    pub(crate) workdir: Option<String>,
    /// The container, then the command and its arguments
    #[arg(required = true, trailing_var_arg = true, num_args = 2.., hide = true)]
    pub(crate) container_and_command: Vec<String>,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub(crate) struct TopFlags {
    /// The container, then options for ps
    #[arg(required = true, trailing_var_arg = true, num_args = 1.., hide = true)]
    pub(crate) container_and_options: Vec<String>,
}

/// Flags of `stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsFlags {
    /// Also containers that aren't running
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Print once and end
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Don't shorten ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// 'table', 'table TEMPLATE', 'json', or a Go template for each line
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Containers; all that run when absent
    #[arg(value_name = "CONTAINER")]
    pub(crate) containers: Vec<String>,
}

/// Flags of `ps`.
#[derive(Debug, Args)]
pub(crate) struct ListFlags {
    /// Also containers that aren't running
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filtering: Filtering,
    /// The last N created, in any state
    #[arg(short = 'n', long, value_name = "N", default_value = "-1", hide_default_value = true)]
    pub(crate) last: i64,
    /// The one created last
    #[arg(short, long)]
    pub(crate) latest: bool,
    #[command(flatten)]
    pub(crate) shape: ListShape,
    /// Also their sizes on disk
    #[arg(short, long)]
    pub(crate) size: bool,
}

/// Flags of `container inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectFlags {
    #[command(flatten)]
    pub(crate) shape: ObjectShape,
    /// Also their sizes on disk
    #[arg(short, long)]
    pub(crate) size: bool,
    #[command(flatten)]
    pub(crate) targets: Targets,
}

//! The commands, one verb a file: requests are made of flags, sent, and what comes back is shown.

mod archive;
mod attach;
mod build;
mod commit;
mod completion;
mod confirm;
mod container_create;
mod cp;
mod dial_stdio;
mod diff;
mod disk_usage;
mod download;
mod events;
mod exec;
mod export;
mod history;
mod images;
mod import;
mod info;
mod inspect;
mod load;
mod login;
mod logs;
mod man_pages;
mod network;
mod network_attach;
mod port;
mod prune;
mod ps;
mod pull;
mod push;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod start;
mod state;
mod stats;
mod tag;
mod top;
mod transfer;
mod update;
mod version;
mod volume;
mod wait;

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;

use bollard_stubs::models::SystemVersion;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::connect::{ConnectError, SocketPaths};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::flags::{
    self, Cli, Command, Sockets, build as build_flags, container, image, network as net, system, volume as volumes,
};
use crate::render::inspect::View;
use crate::request::LocalContext;
use crate::terminal;

/// What every command works with.
pub(crate) struct Context {
    engine: Engine,
    socket_paths: SocketPaths,
}

/// Exit status of a command that did what it should.
const DONE: u8 = 0;

impl Context {
    /// The daemons behind these sockets; nobody is asked anything.
    ///
    /// # Errors
    /// They can't be sockets.
    pub(crate) fn new(sockets: &Sockets) -> Result<Self, Failure> {
        let socket_paths = SocketPaths::of(sockets.host.as_deref(), sockets.netd_socket.as_deref())?;
        Ok(Self { engine: Engine::new(socket_paths.berthd.clone()), socket_paths })
    }

    /// netd itself: the one that is named, else that of our berthd.
    pub(crate) async fn netd(&self) -> Result<netd_client::Client, Failure> {
        let socket = match &self.socket_paths.netd {
            Some(socket) => socket.clone(),
            None => self.netd_of_berthd().await?,
        };
        Ok(netd_client::Client::connect(socket))
    }

    async fn netd_of_berthd(&self) -> Result<PathBuf, Failure> {
        let answer: SystemVersion = self.engine.get("/version").send().await?.json().await?;
        let mut details = answer.components.into_iter().flatten().filter_map(|component| component.details);
        let socket = details.find_map(|mut details| details.remove("NetdSocket"));
        Ok(socket.map(PathBuf::from).ok_or_else(|| ConnectError::NetdUnknown(self.socket_paths.berthd.clone()))?)
    }

    /// berthd.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// Runs the command that was typed.
///
/// # Errors
/// What went wrong; nothing of it has been printed.
pub(crate) async fn dispatch(cli: Cli) -> Result<u8, Failure> {
    let context = Context::new(&cli.sockets)?;
    match cli.command {
        Command::Verb(verb) => container_verb(&context, verb).await,
        Command::Container { command: container::Command::Verb(verb) } => container_verb(&context, verb).await,
        Command::Ps(flags) | Command::Container { command: container::Command::Ls(flags) } => {
            ps::ps(&context, flags).await
        }
        Command::Container { command: container::Command::Inspect(flags) } => {
            inspect::containers(&context, flags).await
        }
        Command::ImageVerb(verb) | Command::Image { command: image::Command::Verb(verb) } => {
            image_verb(&context, verb).await
        }
        Command::Build(flags)
        | Command::Image { command: image::Command::Build(flags) }
        | Command::Builder { command: build_flags::Command::Build(flags) } => build::build(&context, *flags).await,
        Command::Builder { command: build_flags::Command::Prune(flags) } => prune::build_cache(&context, flags).await,
        Command::Images(flags) | Command::Image { command: image::Command::Ls(flags) } => {
            images::images(&context, flags).await
        }
        Command::Search(flags) => search::search(&context, flags).await,
        Command::Login(flags) => login::login(&context, flags).await,
        Command::Logout(flags) => login::logout(flags).await,
        Command::Rmi(flags) | Command::Image { command: image::Command::Rm(flags) } => rmi::rmi(&context, flags).await,
        Command::Image { command: image::Command::Inspect(flags) } => inspect::images(&context, flags).await,
        Command::Container { command: container::Command::Prune(flags) } => prune::containers(&context, flags).await,
        Command::Image { command: image::Command::Prune(flags) } => prune::images(&context, flags).await,
        Command::System { command: system::Command::Prune(flags) } => prune::system(&context, flags).await,
        Command::Net { command } => network_verb(&context, command).await,
        Command::Volume { command } => volume_verb(&context, command).await,
        Command::Inspect(flags) => inspect::any(&context, flags).await,
        Command::Events(flags) | Command::System { command: system::Command::Events(flags) } => {
            events::events(&context, flags).await
        }
        Command::Info(flags) | Command::System { command: system::Command::Info(flags) } => {
            info::info(&context, flags).await
        }
        Command::System { command: system::Command::DialStdio } => dial_stdio::dial_stdio(&context).await,
        Command::System { command: system::Command::Df(flags) } => disk_usage::disk_usage(&context, flags).await,
        Command::Version(flags) => version::version(&context, flags).await,
        Command::Completion { shell } => completion::completion(shell),
        Command::ManPages { directory } => man_pages::man_pages(&directory),
    }
}

async fn container_verb(context: &Context, verb: container::Verb) -> Result<u8, Failure> {
    use container::Verb;
    match verb {
        Verb::Run(flags) => run::run(context, *flags).await,
        Verb::Create(flags) => container_create::create(context, *flags).await,
        Verb::Start(flags) => start::start(context, flags).await,
        Verb::Stop(flags) => state::stop(context, flags).await,
        Verb::Restart(flags) => state::restart(context, flags).await,
        Verb::Kill(flags) => state::kill(context, flags).await,
        Verb::Pause(flags) => state::pause(context, flags).await,
        Verb::Unpause(flags) => state::unpause(context, flags).await,
        Verb::Rename(flags) => state::rename(context, flags).await,
        Verb::Update(flags) => update::update(context, *flags).await,
        Verb::Rm(flags) => rm::rm(context, flags).await,
        Verb::Wait(flags) => wait::wait(context, flags).await,
        Verb::Logs(flags) => logs::logs(context, flags).await,
        Verb::Attach(flags) => attach::attach(context, flags).await,
        Verb::Exec(flags) => exec::exec(context, flags).await,
        Verb::Top(flags) => top::top(context, flags).await,
        Verb::Port(flags) => port::port(context, flags).await,
        Verb::Stats(flags) => stats::stats(context, flags).await,
        Verb::Cp(flags) => cp::cp(context, flags).await,
        Verb::Diff(flags) => diff::diff(context, flags).await,
        Verb::Export(flags) => export::export(context, flags).await,
        Verb::Commit(flags) => commit::commit(context, flags).await,
    }
}

async fn image_verb(context: &Context, verb: image::Verb) -> Result<u8, Failure> {
    match verb {
        image::Verb::Pull(flags) => pull::pull(context, flags).await,
        image::Verb::Push(flags) => push::push(context, flags).await,
        image::Verb::Load(flags) => load::load(context, flags).await,
        image::Verb::Save(flags) => save::save(context, flags).await,
        image::Verb::Import(flags) => import::import(context, flags).await,
        image::Verb::Tag(flags) => tag::tag(context, flags).await,
        image::Verb::History(flags) => history::history(context, flags).await,
    }
}

async fn network_verb(context: &Context, command: net::Command) -> Result<u8, Failure> {
    match command {
        net::Command::Create(flags) => network::create(context, flags).await,
        net::Command::Ls(flags) => network::list(context, flags).await,
        net::Command::Ps(flags) => network::attached(context, flags).await,
        net::Command::Inspect(flags) => network::inspect(context, flags).await,
        net::Command::Rm(flags) => network::remove(context, flags).await,
        net::Command::Prune(flags) => network::prune(context, flags).await,
        net::Command::Connect(flags) => network_attach::connect(context, flags).await,
        net::Command::Disconnect(flags) => network_attach::disconnect(context, flags).await,
    }
}

async fn volume_verb(context: &Context, command: volumes::Command) -> Result<u8, Failure> {
    match command {
        volumes::Command::Create(flags) => volume::create(context, flags).await,
        volumes::Command::Ls(flags) => volume::list(context, flags).await,
        volumes::Command::Inspect(flags) => inspect::volumes(context, flags).await,
        volumes::Command::Rm(flags) => volume::remove(context, flags).await,
        volumes::Command::Prune(flags) => prune::volumes(context, flags).await,
    }
}

/// Prints to standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Prints a line to standard error; when nobody reads it, nobody can be told.
fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says on standard error what has gone wrong, where there is more to be done than to end with it.
fn complain(text: &str) {
    print_error(&flags::complaint(text));
}

/// How an object is to be shown: known to be right before anybody is asked for it.
fn view(format: Option<&str>) -> Result<View, Failure> {
    View::parse(format).map_err(Failure::Template)
}

/// So many targets at most have something done to them at a time, as with Docker's client.
const SIDE_BY_SIDE: usize = 50;

/// Does the same to one target after the other: what it leads to is printed, and why it didn't work for the others.
async fn for_each<F>(targets: &[String], act: impl FnMut(String) -> F) -> Result<u8, Failure>
where
    F: Future<Output = Result<Option<String>, Failure>>,
{
    at_a_time(1, targets, act).await
}

/// The same side by side, where each may take its time and none needs another to be done; told in their order.
async fn side_by_side<F>(targets: &[String], act: impl FnMut(String) -> F) -> Result<u8, Failure>
where
    F: Future<Output = Result<Option<String>, Failure>>,
{
    at_a_time(SIDE_BY_SIDE, targets, act).await
}

async fn at_a_time<F>(count: usize, targets: &[String], act: impl FnMut(String) -> F) -> Result<u8, Failure>
where
    F: Future<Output = Result<Option<String>, Failure>>,
{
    let mut failed = false;
    let mut done = stream::iter(targets.to_owned()).map(act).buffered(count);
    while let Some(result) = done.next().await {
        match result {
            Ok(line) => print(&line.map(|line| line + "\n").unwrap_or_default())?,
            // Without the daemon the next target fares no better.
            Err(failure) if failure.is_unreachable() => return Err(failure),
            Err(failure) => {
                complain(&failure.text());
                failed = true;
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(DONE) }
}

/// Makes a request of flags, in the context of our own process.
fn with_local_context<T>(make: impl FnOnce(&LocalContext<'_>) -> T) -> Result<T, Failure> {
    let directory = std::env::current_dir()
        .map_err(|source| Failure::Io { doing: "find the current directory".to_owned(), source })?;
    Ok(make(&LocalContext {
        variable: &|name| std::env::var(name).ok(),
        read_file: &|path| std::fs::read_to_string(path),
        directory,
        terminal_size: terminal::size(),
    }))
}

/// The time and the zone that people here live in.
fn clock() -> (Timestamp, TimeZone) {
    // The file alone says all: for the zone's name, which nobody asks for, jiff looks through /usr/share/zoneinfo.
    let file = match std::env::var_os("TZ") {
        None => std::fs::read("/etc/localtime").ok(),
        Some(_) => None,
    };
    let local = file.and_then(|rules| TimeZone::tzif("", &rules).ok());
    (Timestamp::now(), local.unwrap_or_else(TimeZone::system))
}

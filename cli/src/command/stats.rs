//! `stats`: shows the resource usage of containers, live.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::engine::reply::{ContainerSummary, Event, Stats};
use crate::engine::{Engine, EngineError, container};
use crate::failure::Failure;
use crate::flags::container::StatsFlags;
use crate::render::format::Format;
use crate::render::stats::{COLUMNS, row};
use crate::request::filter::Filters;
use crate::terminal;

use super::{Context, DONE, print};

/// An update about a container.
enum StatsUpdate {
    Figures(String, Box<Stats>),
    Gone(String),
    Started(String),
    Failed(EngineError),
}

/// Clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Runs the command.
pub(super) async fn stats(context: &Context, flags: StatsFlags) -> Result<u8, Failure> {
    let format = Format::parse(flags.format.as_deref(), false, &COLUMNS);
    let names =
        if flags.containers.is_empty() { list(&context.engine, flags.all).await? } else { flags.containers.clone() };
    let table =
        StatsTable { format, whole: flags.no_trunc, figures: names.into_iter().map(|name| (name, None)).collect() };
    if flags.no_stream {
        return table.show_once(&context.engine).await;
    }
    table.follow(&context.engine, flags.containers.is_empty()).await
}

/// Containers and their latest figures.
struct StatsTable {
    format: Format,
    whole: bool,
    figures: BTreeMap<String, Option<Box<Stats>>>,
}

impl StatsTable {
    async fn show_once(mut self, engine: &Engine) -> Result<u8, Failure> {
        // The engine takes a second for a container's two readings: all at once, not one after the other.
        let names: Vec<String> = self.figures.keys().cloned().collect();
        let read = names.into_iter().map(|name| async move {
            let request = engine.get(container(&name, "/stats")?).query("stream", 0);
            Ok::<_, EngineError>((name, request.send().await?.json::<Stats>().await?))
        });
        for (name, stats) in futures::future::try_join_all(read).await? {
            self.figures.insert(name, Some(Box::new(stats)));
        }
        print(&self.text()?)?;
        Ok(DONE)
    }

    async fn follow(mut self, engine: &Engine, all: bool) -> Result<u8, Failure> {
        let (sender, mut updates) = mpsc::channel(64);
        for name in self.figures.keys() {
            tokio::spawn(watch(engine.clone(), name.clone(), !all, sender.clone()));
        }
        // Named containers: the command is over when all of them are, which is when no sender is left.
        let sender = all.then_some(sender);
        if let Some(sender) = &sender {
            tokio::spawn(watch_starts(engine.clone(), sender.clone()));
        }
        self.draw()?;
        while let Some(item) = updates.recv().await {
            match item {
                StatsUpdate::Figures(name, stats) => _ = self.figures.insert(name, Some(stats)),
                StatsUpdate::Gone(name) => _ = self.figures.remove(&name),
                StatsUpdate::Failed(error) => return Err(error.into()),
                StatsUpdate::Started(name) => {
                    if let Some(sender) = &sender {
                        tokio::spawn(watch(engine.clone(), name.clone(), false, sender.clone()));
                        self.figures.insert(name, None);
                    }
                }
            }
            self.draw()?;
        }
        Ok(DONE)
    }

    fn draw(&self) -> Result<(), Failure> {
        let clear = if terminal::is_stdout_terminal() { CLEAR } else { "" };
        print(&format!("{clear}{}", self.text()?))
    }

    fn text(&self) -> Result<String, Failure> {
        let rows = self.figures.iter().map(|(name, stats)| row(name, stats.as_deref(), self.whole));
        Ok(self.format.render(&COLUMNS, rows)?)
    }
}

async fn list(engine: &Engine, all: bool) -> Result<Vec<String>, EngineError> {
    let request = engine.get("/containers/json").query_some("all", all.then_some(1));
    let containers: Vec<ContainerSummary> = request.send().await?.json().await?;
    Ok(containers.into_iter().map(|container| container.id).collect())
}

async fn watch(engine: Engine, name: String, named: bool, sender: mpsc::Sender<StatsUpdate>) {
    let update = match watch_figures(&engine, &name, &sender).await {
        Ok(()) => StatsUpdate::Gone(name),
        // One that nobody named may end at any moment.
        Err(error) if error.is_not_found() && !named => StatsUpdate::Gone(name),
        Err(error) => StatsUpdate::Failed(error),
    };
    // Nobody listens any more when the command is over.
    let _ = sender.send(update).await;
}

async fn watch_figures(engine: &Engine, name: &str, sender: &mpsc::Sender<StatsUpdate>) -> Result<(), EngineError> {
    let mut lines = engine.get(container(name, "/stats")?).query("stream", 1).send().await?.lines::<Stats>();
    while let Some(stats) = lines.next().await? {
        if sender.send(StatsUpdate::Figures(name.to_owned(), Box::new(stats))).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn watch_starts(engine: Engine, sender: mpsc::Sender<StatsUpdate>) {
    if let Err(error) = follow_starts(&engine, &sender).await {
        let _ = sender.send(StatsUpdate::Failed(error)).await;
    }
}

async fn follow_starts(engine: &Engine, sender: &mpsc::Sender<StatsUpdate>) -> Result<(), EngineError> {
    let mut filters = Filters::default();
    filters.add("type", "container");
    filters.add("event", "start");
    let mut events = engine.get("/events").query_some("filters", filters.to_query()).send().await?.lines::<Event>();
    while let Some(event) = events.next().await? {
        if sender.send(StatsUpdate::Started(event.actor.id)).await.is_err() {
            break;
        }
    }
    Ok(())
}

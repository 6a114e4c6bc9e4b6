//! Signals that concern a container that we are attached to: passed on to it, or a new size for its terminal.

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::engine::{Engine, EngineError, container};
use crate::failure::Failure;
use crate::terminal;

/// Signals that people and supervisors send to a program to have it do something. Not among them: what the kernel says
/// about us (SIGCHLD, SIGPIPE, faults), and job control, which is between us and our shell.
const PROXIED: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTERM,
];

/// Tasks that end with this.
#[derive(Debug, Default)]
pub(crate) struct Watch(Vec<JoinHandle<()>>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// What a terminal belongs to.
#[derive(Debug, Clone)]
pub(crate) enum Terminal {
    Container(String),
    Exec(String),
}

impl Watch {
    /// Passes our signals on to a container, from now on.
    ///
    /// # Errors
    /// The kernel doesn't let us handle them.
    pub(crate) fn pass_signals(&mut self, engine: &Engine, id: &str) -> Result<(), Failure> {
        for proxied in PROXIED {
            let mut signals = signal(SignalKind::from_raw(proxied as i32)).map_err(Failure::Signals)?;
            let (engine, id) = (engine.clone(), id.to_owned());
            self.0.push(tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    // A container that has just ended has no use for it.
                    let _ = kill(&engine, &id, proxied.as_str()).await;
                }
            }));
        }
        Ok(())
    }

    /// Gives a terminal the size of ours, now and whenever that changes.
    ///
    /// # Errors
    /// The kernel doesn't let us hear of changes.
    pub(crate) async fn follow_size(&mut self, engine: &Engine, of: Terminal) -> Result<(), Failure> {
        let mut changes = signal(SignalKind::window_change()).map_err(Failure::Signals)?;
        // A process that ends meanwhile has no terminal to be sized.
        let _ = resize(engine, &of).await;
        let engine = engine.clone();
        self.0.push(tokio::spawn(async move {
            while changes.recv().await.is_some() {
                let _ = resize(&engine, &of).await;
            }
        }));
        Ok(())
    }
}

async fn kill(engine: &Engine, id: &str, signal: &str) -> Result<(), EngineError> {
    engine.post(container(id, "/kill")?).query("signal", signal).send().await?.done().await
}

async fn resize(engine: &Engine, of: &Terminal) -> Result<(), EngineError> {
    let Some((rows, columns)) = terminal::size() else { return Ok(()) };
    let path = match of {
        Terminal::Container(id) => container(id, "/resize")?,
        Terminal::Exec(id) => format!("/exec/{id}/resize"),
    };
    engine.post(path).query("h", rows).query("w", columns).send().await?.done().await
}

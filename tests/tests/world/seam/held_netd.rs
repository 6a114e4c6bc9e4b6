//! A netd whose answer to a call is kept back when it has done what it was asked: by a proxy, which may keep all others, too.

use std::{
    io::BufReader,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use super::head::Head;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whose answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// Those of calls that begin so.
    These,
    /// All, from the first that begins so on.
    All,
}

#[derive(Debug, Default)]
struct State {
    held: Option<(&'static str, Kept)>,
    is_done: bool,
}

/// Serves `held.sock` beside `netd.sock`, as long as the test runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<(Mutex<State>, Condvar)>);

impl Held {
    pub(super) fn before(run_dir: &Path) -> Self {
        let listener = UnixListener::bind(run_dir.join("held.sock")).expect("a socket");
        let (held, netd) = (Self::default(), run_dir.join("netd.sock"));
        let serving = held.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (held, netd) = (serving.clone(), netd.clone());
                // A connection that breaks is its client's to see.
                thread::spawn(move || held.serve(&client, netd));
            }
        });
        held
    }

    /// Keeps answers to calls that begin so.
    pub(super) fn hold(&self, calls: &'static str, kept: Kept) {
        *self.0.0.lock().expect("no panic") = State { held: Some((calls, kept)), is_done: false };
    }

    /// Waits until netd has done what it isn't heard of.
    pub(super) fn wait_until_done(&self) {
        self.wait(|state| state.is_done);
    }

    /// Gives all answers that were kept.
    pub(super) fn release(&self) {
        *self.0.0.lock().expect("no panic") = State::default();
        self.0.1.notify_all();
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        let state = self.0.0.lock().expect("no panic");
        let (_state, waited) = self.0.1.wait_timeout_while(state, PATIENCE, |state| !until(state)).expect("no panic");
        assert!(!waited.timed_out(), "it is waited for in vain");
    }

    fn serve(&self, mut client: &UnixStream, netd: PathBuf) -> Option<()> {
        let mut netd = UnixStream::connect(netd).ok()?;
        let (mut requests, mut replies) = (BufReader::new(client), BufReader::new(netd.try_clone().ok()?));
        loop {
            let request = Head::read(&mut requests)?;
            let body = request.body(&mut requests)?;
            self.wait(|state| !(state.is_done && state.held.is_some_and(|(_, kept)| kept == Kept::All)));
            request.write(&mut netd, &body)?;
            let reply = Head::read(&mut replies)?;
            if request.first.starts_with("GET /v1/events") {
                reply.write(&mut client, b"")?;
                return std::io::copy(&mut replies, &mut client).map(drop).ok();
            }
            let body = reply.body(&mut replies)?;
            let is_held = |state: &State| state.held.is_some_and(|(calls, _)| request.first.starts_with(calls));
            {
                let mut state = self.0.0.lock().expect("no panic");
                state.is_done |= is_held(&state);
                self.0.1.notify_all();
            }
            self.wait(|state| !is_held(state));
            reply.write(&mut client, &body)?;
        }
    }
}

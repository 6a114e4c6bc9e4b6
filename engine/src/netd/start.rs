//! Has a netd be there: started where none answers and that is ours to do, waited for where it isn't.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cnm::api::Handshake;
use futures::StreamExt as _;
use inotify::{EventStream, Inotify, WatchMask};
use netd_client::Client;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Netd;
use crate::config::Group;
use crate::error::{Error, Result, chain};

/// netd's exit status when another netd is in the place (`EX_TEMPFAIL`).
const PLACE_IS_HELD: i32 = 75;
/// How long a netd that holds the place gets to answer before another is tried.
const HOLDER_SPEAKS_WITHIN: Duration = Duration::from_millis(300);
/// How long others may hold the place before that is an error.
const PLACE_IS_HELD_AT_MOST: Duration = Duration::from_secs(10);
/// How long a berthd that starts waits for a netd that is there and doesn't answer yet.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Where the log of a netd of ours is larger than this, the next one begins another.
const LOG_AT_MOST: u64 = 1 << 22;
/// How long a request waits for a netd that somebody else is to start.
const OTHERS_START_IT_WITHIN: Duration = Duration::from_secs(10);

impl Netd {
    /// For requests that nothing waits for: a netd that isn't running is started or waited for first.
    pub(crate) async fn running(&self) -> Result<&Client> {
        self.ensure().await?;
        Ok(&self.client)
    }

    /// Asks for a berthd that starts, which can't do without an answer: a netd that was handed its socket brings the host in line
    /// before it answers, and one that is killed as it begins is started again.
    pub(crate) async fn patiently<T>(&self, ask: impl AsyncFn(Handshake) -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut pauses = Pauses::default();
        loop {
            let answer = async { ask(self.ensure().await?).await };
            match answer.await {
                Err(error) if is_passing(&error) && Instant::now() < deadline => {
                    tracing::warn!("{}: waiting for it", chain(&error));
                    // One that doesn't answer has been waited for.
                    if !matches!(&error, Error::Netd(error) if error.is_given_up()) {
                        tokio::time::sleep(pauses.next()).await;
                    }
                }
                result => return result,
            }
        }
    }

    /// Who answers. If nobody does, a netd is started, or waited for where somebody else starts it.
    pub async fn ensure(&self) -> Result<Handshake> {
        match self.handshake().await {
            Err(error) if error.is_not_running() => {}
            result => return Ok(result?),
        }
        if !self.is_ours_to_start {
            let answer = timeout(OTHERS_START_IT_WITHIN, async {
                self.answer(&mut SocketWatch::new(self.client.socket())?).await
            });
            return answer.await.unwrap_or_else(|_| {
                Err(Error::refused(
                    cnm::Kind::Unavailable,
                    format!(
                        "no netd answers on {}, and this berthd leaves starting it to others (start-netd = false): \
                         systemctl start netd.socket",
                        self.client.socket().display()
                    ),
                ))
            });
        }
        let _one_at_a_time = self.starting.lock().await;
        match self.handshake().await {
            Err(error) if error.is_not_running() => self.start().await,
            result => Ok(result?),
        }
    }

    /// Who answers. One that ends over the question is asked again: the kernel closes its connections first and resets those
    /// that still wait when it closes the listener; the third is refused, or another netd is there.
    pub(crate) async fn handshake(&self) -> Result<Handshake, netd_client::Error> {
        for _ in 0..2 {
            match self.client.handshake().await {
                Err(netd_client::Error::Interrupted { .. }) => {}
                reply => return reply,
            }
        }
        self.client.handshake().await
    }

    /// Waits until there is a netd again, or it is time to start one: until a request had to, or somebody else did.
    pub(crate) async fn started_anew(&self, within: Duration) -> Result<()> {
        // What happens from here on is seen, so that what is there already need be looked for only once.
        let mut births = SocketWatch::new(self.client.socket())?;
        loop {
            match self.handshake().await {
                Ok(_) => return Ok(()),
                // It may have been killed as it began, and nobody needs it for long.
                Err(_) if self.is_ours_to_start => {
                    return timeout(within, births.changed()).await.unwrap_or(Ok(()));
                }
                // It is there, and may go on at any moment.
                Err(error) if error.is_given_up() => {}
                Err(_) => births.changed().await?,
            }
        }
    }

    /// Whether this berthd starts netd; else its service manager does, and decides how often.
    pub(crate) fn is_ours_to_start(&self) -> bool {
        self.is_ours_to_start
    }

    /// Starts netd and waits until it answers. It isn't ours: it goes on when berthd ends.
    ///
    /// One that a former berthd had just started, or that is just ending, holds the place without answering: until it
    /// does either, another is tried.
    async fn start(&self) -> Result<Handshake> {
        let mut births = SocketWatch::new(self.client.socket())?;
        let deadline = Instant::now() + PLACE_IS_HELD_AT_MOST;
        loop {
            let mut child = self.spawn()?;
            self.detach(&child).await;
            let status = tokio::select! {
                handshake = self.answer(&mut births) => {
                    tracing::info!(program = %self.program.display(), "no netd answered, started one");
                    // Reaped when it ends, so that no zombie stays behind while berthd lives.
                    tokio::spawn(async move { child.wait().await });
                    return handshake;
                }
                status = child.wait() => status.map_err(Error::io("waiting for netd"))?,
            };
            if status.code() != Some(PLACE_IS_HELD) || Instant::now() >= deadline {
                return Err(Error::NetdEnded { status, log: self.log_path() });
            }
            if let Ok(handshake) = timeout(HOLDER_SPEAKS_WITHIN, self.answer(&mut births)).await {
                return handshake;
            }
        }
    }

    /// Takes a new netd out of berthd's own service: who stops that doesn't mean the networks.
    async fn detach(&self, child: &Child) {
        let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
        let parent = self.cgroup_parent.clone();
        let left = tokio::task::spawn_blocking(move || runtime::leave_service(pid, &parent)).await;
        if let Ok(Err(error)) = left {
            tracing::warn!("netd stays in berthd's cgroup and ends with its service: {}", chain(&error));
        }
    }

    /// Waits until a netd answers on the socket.
    async fn answer(&self, births: &mut SocketWatch) -> Result<Handshake> {
        loop {
            match self.client.handshake().await {
                Err(error) if error.is_not_running() => births.changed().await?,
                result => return Ok(result?),
            }
        }
    }

    fn log_path(&self) -> PathBuf {
        self.run_dir.join("netd.log")
    }

    fn spawn(&self) -> Result<Child> {
        let log_path = self.log_path();
        let log = open_log(&log_path).map_err(Error::io(format!("opening {}", log_path.display())))?;
        // setsid(1) gives netd a session of its own: what ends berthd's terminal or process group doesn't reach it.
        let mut command = std::process::Command::new("setsid");
        command
            .arg(&self.program)
            .arg("--root")
            .arg(&self.root)
            .arg("--run-dir")
            .arg(&self.run_dir)
            .arg("--socket")
            .arg(self.client.socket())
            // It would tell our supervisor that we are ready.
            .env_remove("NOTIFY_SOCKET")
            .current_dir("/")
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(log);
        if let Group::Named(group) = &self.group {
            command.arg("--group").arg(group);
        }
        Command::from(command).spawn().map_err(Error::io(format!("starting {}", self.program.display())))
    }
}

/// Opens a log to be written to at its end. A large one is kept as that of before: the directory is in memory.
fn open_log(path: &Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|log| log.len() > LOG_AT_MOST) {
        // Where it can't be, there is one log.
        let _ = std::fs::rename(path, path.with_extension("log.old"));
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Whether netd has only just gone, or hasn't come yet: what it was asked may be asked again.
pub(crate) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Netd(error) => {
            error.is_given_up() || error.is_not_running() || matches!(error, netd_client::Error::Interrupted { .. })
        }
        // What ends by itself does so the next time, too.
        Error::NetdEnded { status, .. } => status.signal().is_some(),
        _ => false,
    }
}

/// How long to wait before each try to have what didn't come about: twice as long each time.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(300);

    pub(crate) fn up_to(longest: Duration) -> Self {
        Self { next: Self::FIRST, longest }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause * 2;
        pause
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self::up_to(Self::LONGEST)
    }
}

/// Tells when a socket appears or changes its mode: a daemon that comes up makes it, then admits its group.
struct SocketWatch {
    files: EventStream<[u8; 4096]>,
    name: OsString,
}

impl SocketWatch {
    fn new(socket: &Path) -> Result<Self> {
        let directory = socket.parent().unwrap_or(Path::new("/"));
        let watch = || {
            let inotify = Inotify::init()?;
            inotify.watches().add(directory, WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ATTRIB)?;
            inotify.into_event_stream([0; 4096])
        };
        let files = watch().map_err(Error::io(format!("watching {}", directory.display())))?;
        Ok(Self { files, name: socket.file_name().unwrap_or_default().to_owned() })
    }

    async fn changed(&mut self) -> Result<()> {
        while let Some(event) = self.files.next().await {
            let event = event.map_err(Error::io("watching for netd's socket"))?;
            // Without a name, events were lost.
            if event.name.is_none_or(|name| name == self.name) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_log_is_kept_as_that_of_before_and_another_is_begun() {
        let directory = tempfile::tempdir().unwrap();
        let (log, old) = (directory.path().join("netd.log"), directory.path().join("netd.log.old"));
        let length = |path: &Path| path.metadata().map(|file| file.len()).ok();
        for (written, now, before) in
            [(LOG_AT_MOST, Some(LOG_AT_MOST), None), (LOG_AT_MOST + 1, Some(0), Some(LOG_AT_MOST + 1))]
        {
            File::create(&log).unwrap().set_len(written).unwrap();
            drop(open_log(&log).unwrap());
            assert_eq!((length(&log), length(&old)), (now, before));
        }
    }

    #[test]
    fn pauses_double_to_some_minutes() {
        let mut pauses = Pauses::default();
        let seconds: Vec<u64> = (0..11).map(|_| pauses.next().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        let mut pauses = Pauses::up_to(Duration::from_secs(3));
        assert_eq!([1, 2, 3, 3], std::array::from_fn(|_| pauses.next().as_secs()));
    }
}

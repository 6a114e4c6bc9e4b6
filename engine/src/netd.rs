//! The engine's connection to netd: reaches it, starts one when none answers, and notices when it was started anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cnm::api::{Claim, ClaimReply, FEATURES, Handshake, Network};
use futures::future::{BoxFuture, Either, Shared, select};
use futures::{FutureExt as _, StreamExt as _};
use inotify::{EventStream, Inotify, WatchMask};
use netd_client::Client;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, Notify, RwLock, RwLockReadGuard, watch};
use tokio::time::timeout;

use crate::config::{Config, Group};
use crate::error::{Error, Result, chain};

/// Whether a sandbox is gone, when netd has said so.
pub(crate) type Removal = Shared<BoxFuture<'static, bool>>;

/// How long an answer may take before it is asked whether anybody answers.
const LOOKED_INTO_AFTER: Duration = Duration::from_millis(250);
/// How long a netd that answers takes for that at the most. One that is merely slow costs those who don't wait for it nothing.
const SAYS_WHO_IT_IS_WITHIN: Duration = Duration::from_millis(750);
/// netd's exit status when another netd is in the place (`EX_TEMPFAIL`).
const PLACE_IS_HELD: i32 = 75;
/// How long a netd that holds the place gets to answer before another is tried.
const HOLDER_SPEAKS_WITHIN: Duration = Duration::from_millis(300);
/// How long others may hold the place before that is an error.
const PLACE_IS_HELD_AT_MOST: Duration = Duration::from_secs(10);
/// How long a berthd that starts waits for a netd that is there and doesn't answer yet.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long until a netd that could not be started is started again, if no request needs it before.
const STARTED_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long a request waits for a netd that somebody else is to start.
const OTHERS_START_IT_WITHIN: Duration = Duration::from_secs(10);

/// netd, whoever started it.
#[derive(Debug)]
pub struct Netd {
    client: Client,
    /// The name under which it knows our sandboxes.
    owner: String,
    /// Whether a netd that is missing is ours to start. There is one who does, never two: they would race for its place.
    is_ours_to_start: bool,
    program: PathBuf,
    root: PathBuf,
    run_dir: PathBuf,
    group: Group,
    cgroup_parent: PathBuf,
    /// Two requests that both miss netd start one.
    starting: Mutex<()>,
    started: Notify,
    /// Read while a sandbox is asked for, written while claims are made: netd takes both in the order in which they come,
    /// and a claim must not overtake the request that it doesn't know of.
    claims: RwLock<()>,
    /// Sandboxes of containers that don't run yet.
    pending_sandboxes: std::sync::Mutex<BTreeSet<String>>,
    /// Sandboxes that it is to take down and couldn't be told of, see `orchestrate::owed`.
    owed: std::sync::Mutex<BTreeSet<String>>,
    /// Told when there is one that knows what is wanted: another instance, or the same after it answered nobody.
    returned: watch::Sender<()>,
    /// netd may have what nobody wants, as what it was asked and didn't answer.
    claim_owed: Notify,
    /// It is known to answer nobody.
    still: AtomicBool,
    /// Sandboxes that netd was asked to take down and hasn't answered about: each is heard out before its id is asked for again.
    removals: Arc<std::sync::Mutex<BTreeMap<String, Removal>>>,
}

/// A claim on a sandbox, from before it is asked for until its container runs or doesn't.
#[derive(Debug)]
pub(crate) struct PendingSandbox<'a> {
    netd: &'a Netd,
    sandbox: String,
}

impl Drop for PendingSandbox<'_> {
    fn drop(&mut self) {
        self.netd.pending_sandboxes().remove(&self.sandbox);
    }
}

impl Netd {
    pub(crate) fn new(config: &Config, owner: String) -> Self {
        Self {
            client: Client::connect(&config.netd_socket).of_owner(&owner),
            owner,
            is_ours_to_start: config.start_netd,
            program: config.bin_dir.join("netd"),
            root: config.root.clone(),
            run_dir: config.run_dir.clone(),
            group: config.group.clone(),
            cgroup_parent: config.cgroup_parent.clone().into(),
            starting: Mutex::default(),
            started: Notify::new(),
            claims: RwLock::default(),
            pending_sandboxes: std::sync::Mutex::default(),
            owed: std::sync::Mutex::default(),
            returned: watch::Sender::default(),
            claim_owed: Notify::new(),
            still: AtomicBool::new(false),
            removals: Arc::default(),
        }
    }

    /// The name under which netd knows our sandboxes.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Claims a sandbox that is about to be asked for.
    pub(crate) fn make(&self, sandbox: &str) -> PendingSandbox<'_> {
        self.pending_sandboxes().insert(sandbox.to_owned());
        PendingSandbox { netd: self, sandbox: sandbox.to_owned() }
    }

    /// To be held while a sandbox is asked for.
    pub(crate) async fn no_claims(&self) -> RwLockReadGuard<'_, ()> {
        self.claims.read().await
    }

    /// Tells netd which sandboxes are wanted: those that `known` answers, and all in the making, but none that it is owed to
    /// take down.
    pub(crate) async fn claim(&self, known: impl FnOnce() -> Vec<String>) -> Result<ClaimReply> {
        let _no_requests = self.claims.write().await;
        // In this order: what is made meanwhile becomes known before it stops being in the making.
        let mut sandboxes: Vec<String> = self.pending_sandboxes().iter().cloned().collect();
        sandboxes.extend(known());
        sandboxes.retain(|sandbox| !self.owes(sandbox));
        Ok(self.client.claim(&self.owner, &Claim { sandboxes }).await?)
    }

    /// Owes netd to have a sandbox taken down; says whether that is new.
    pub(crate) fn owe(&self, sandbox: &str) -> bool {
        self.owed().insert(sandbox.to_owned())
    }

    /// Whether a sandbox is still to be taken down.
    pub(crate) fn owes(&self, sandbox: &str) -> bool {
        self.owed().contains(sandbox)
    }

    /// A sandbox is taken down.
    pub(crate) fn paid(&self, sandbox: &str) {
        self.owed().remove(sandbox);
    }

    /// What a user should know of sandboxes that are still there.
    pub(crate) fn owed_warning(&self) -> Option<String> {
        let owed = self.owed();
        let first = owed.first()?;
        let more = if owed.len() > 1 { format!(" and {} more", owed.len() - 1) } else { String::new() };
        Some(format!(
            "netd has not taken down the network of container {first}{more}, which has ended: it is asked again"
        ))
    }

    fn owed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another instance of netd knows what is wanted, or the same after it answered nobody.
    pub(crate) fn has_returned(&self) {
        self.returned.send_replace(());
    }

    /// Tells when that happens from now on.
    pub(crate) fn returns(&self) -> watch::Receiver<()> {
        self.returned.subscribe()
    }

    /// Whether netd is known to answer nobody: what can be settled later isn't asked for.
    pub(crate) fn is_still(&self) -> bool {
        self.still.load(Ordering::Relaxed)
    }

    /// netd answers again.
    pub(crate) fn is_back(&self) {
        self.still.store(false, Ordering::Relaxed);
    }

    /// Comes when netd doesn't say who it is either, for those who needn't wait for what they have asked.
    pub(crate) async fn stands_still(&self) {
        loop {
            tokio::time::sleep(LOOKED_INTO_AFTER).await;
            if timeout(SAYS_WHO_IT_IS_WITHIN, self.client.handshake()).await.is_err() {
                self.still.store(true, Ordering::Relaxed);
                return self.owe_claim();
            }
        }
    }

    /// Why a request has no result that was given up because netd stands still.
    pub(crate) fn unheard(&self, request: &str) -> netd_client::Error {
        netd_client::Error::StandsStill {
            path: self.client.socket().to_owned(),
            request: request.to_owned(),
            after: LOOKED_INTO_AFTER + SAYS_WHO_IT_IS_WITHIN,
        }
    }

    /// The network of a name or id, for who asks in a container's turn, which a netd that stands still doesn't keep.
    pub(crate) async fn network(&self, reference: &str) -> Result<Network, netd_client::Error> {
        match select(pin!(self.client.network(reference)), pin!(self.stands_still())).await {
            Either::Left((network, _)) => network,
            Either::Right(((), _)) => Err(self.unheard(&format!("GET /v1/networks/{reference}"))),
        }
    }

    /// Has a sandbox taken down, to the end whether or not somebody waits for it; the same once more is the same.
    pub(crate) fn removal(&self, sandbox: &str, work: impl Future<Output = bool> + Send + 'static) -> Removal {
        let mut removals = self.removals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(removal) = removals.get(sandbox) {
            return removal.clone();
        }
        let (all, own) = (self.removals.clone(), sandbox.to_owned());
        let work = tokio::spawn(work);
        let task = tokio::spawn(async move {
            // However the work ends: the next asks anew.
            let gone = work.await.unwrap_or(false);
            all.lock().unwrap_or_else(PoisonError::into_inner).remove(&own);
            gone
        });
        let removal = async move { task.await.unwrap_or(false) }.boxed().shared();
        removals.insert(sandbox.to_owned(), removal.clone());
        removal
    }

    /// Waits until netd has answered, or won't begin, a removal that it was asked for.
    pub(crate) async fn removal_over(&self, sandbox: &str) {
        let removal = self.removals.lock().unwrap_or_else(PoisonError::into_inner).get(sandbox).cloned();
        if let Some(removal) = removal {
            removal.await;
        }
    }

    /// netd is to be told once more which sandboxes are wanted, as soon as it answers.
    pub(crate) fn owe_claim(&self) {
        self.claim_owed.notify_one();
    }

    /// Waits until a claim is owed.
    pub(crate) async fn claim_owed(&self) {
        self.claim_owed.notified().await;
    }

    fn pending_sandboxes(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.pending_sandboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For requests; clones share its connections.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// For requests that nothing waits for: a netd that isn't running is started or waited for first.
    pub(crate) async fn running(&self) -> Result<&Client> {
        self.ensure().await?;
        Ok(&self.client)
    }

    /// The same for a berthd that starts, which can't do without: a netd that was handed its socket brings the host in line
    /// before it answers.
    pub(crate) async fn ensure_patiently(&self) -> Result<Handshake> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match self.ensure().await {
                Err(Error::Netd(error)) if error.is_given_up() && Instant::now() < deadline => {
                    tracing::warn!("{}: waiting for it", chain(&error));
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
            Err(error) if error.is_not_running() => {
                let handshake = self.start().await?;
                self.started.notify_one();
                Ok(handshake)
            }
            result => Ok(result?),
        }
    }

    /// Says what a netd of another release lacks that this berthd counts on.
    pub(crate) fn compare(handshake: &Handshake) {
        let lacking = handshake.lacks(&FEATURES);
        if !lacking.is_empty() {
            tracing::warn!(
                "netd is of release {} and lacks {}: restart it from this berthd's release, networks stay",
                handshake.version,
                lacking.join(", ")
            );
        }
    }

    /// Who answers. One that ends over the question is asked again: the kernel closes its connections first and resets those
    /// that still wait when it closes the listener; the third is refused, or another netd is there.
    async fn handshake(&self) -> Result<Handshake, netd_client::Error> {
        for _ in 0..2 {
            match self.client.handshake().await {
                Err(netd_client::Error::Interrupted { .. }) => {}
                reply => return reply,
            }
        }
        self.client.handshake().await
    }

    /// Waits until there is a netd again, or it is time to start one: until a request had to, or somebody else did.
    pub(crate) async fn started_anew(&self) -> Result<()> {
        if self.is_ours_to_start {
            // It may have been killed as it began, and nobody needs it for long.
            let _ = timeout(STARTED_AGAIN_AFTER, self.started.notified()).await;
            return Ok(());
        }
        let mut births = SocketWatch::new(self.client.socket())?;
        loop {
            match self.handshake().await {
                Ok(_) => return Ok(()),
                // It is there, and may go on at any moment.
                Err(error) if error.is_given_up() => {}
                Err(_) => births.changed().await?,
            }
        }
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
                return Err(Error::refused(
                    cnm::Kind::Unavailable,
                    format!("netd ended at once ({status}); see {}", self.log_path().display()),
                ));
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
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(Error::io(format!("opening {}", log_path.display())))?;
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

/// Tells when a socket appears or changes its mode: a daemon that comes up makes it, then admits its group.
struct SocketWatch(EventStream<[u8; 4096]>);

impl SocketWatch {
    fn new(socket: &Path) -> Result<Self> {
        let directory = socket.parent().unwrap_or(Path::new("/"));
        let watch = || {
            let inotify = Inotify::init()?;
            inotify.watches().add(directory, WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ATTRIB)?;
            inotify.into_event_stream([0; 4096])
        };
        Ok(Self(watch().map_err(Error::io(format!("watching {}", directory.display())))?))
    }

    async fn changed(&mut self) -> Result<()> {
        self.0.next().await.transpose().map(drop).map_err(Error::io("watching for netd's socket"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::Args;

    #[tokio::test]
    async fn a_removal_whose_work_panics_is_forgotten_and_can_be_asked_for_again() {
        let config = Config::load(Args::parse_from(["berthd", "--config", "/dev/null"])).unwrap();
        let netd = Netd::new(&config, "berthd-test".into());
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let first = netd.removal("web", async {
            gone.await.unwrap();
            panic!("the work fails")
        });
        // The same once more is the same; nothing else is begun.
        let same = netd.removal("web", async { unreachable!("it is being removed") });
        go.send(()).unwrap();
        assert_eq!((first.await, same.await), (false, false));
        // Over for everybody who waits: nothing is in the way of the next.
        netd.removal_over("web").await;
        assert!(netd.removal("web", async { true }).await);
        assert!(netd.removals.lock().unwrap().is_empty());
    }
}

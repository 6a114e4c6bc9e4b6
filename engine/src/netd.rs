//! The engine's connection to netd: what it is asked to take down and is owed, who is told when it answers again. `start` has it
//! be there.

mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use cnm::api::{Claim, ClaimReply, FEATURES, Handshake, Network};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, Shared, select};
use netd_client::Client;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::timeout;

use crate::config::{Config, Group};
use crate::error::Result;

pub(crate) use start::{Pauses, is_passing};

/// Whether a sandbox is gone, when netd has said so.
pub(crate) type Removal = Shared<BoxFuture<'static, bool>>;

/// How long an answer may take before it is asked whether anybody answers.
const LOOKED_INTO_AFTER: Duration = Duration::from_millis(250);
/// How long a netd that answers takes for that at the most. One that is merely slow costs those who don't wait for it nothing.
const SAYS_WHO_IT_IS_WITHIN: Duration = Duration::from_millis(750);

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
    /// Held while a claim is made: netd takes claims and puts in the order in which they come, and no put must overtake a claim
    /// that doesn't know of it. A put that came before is known: its sandbox is in the making.
    claims: Mutex<()>,
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
            claims: Mutex::default(),
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

    /// Waits until no claim is under way that doesn't know of a sandbox in the making, which may be asked for from then on.
    pub(crate) async fn no_older_claims(&self) {
        drop(self.claims.lock().await);
    }

    /// Tells netd which sandboxes are wanted: those that `known` answers, and all in the making, but none that it is owed to
    /// take down.
    pub(crate) async fn claim(&self, known: impl FnOnce() -> Vec<String>) -> Result<ClaimReply> {
        let _no_new_puts = self.claims.lock().await;
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
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::Args;

    #[tokio::test]
    async fn a_claim_names_what_is_being_asked_for_and_keeps_new_requests_waiting() {
        let run_dir = tempfile::tempdir().unwrap();
        let socket = run_dir.path().join("netd.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let (config, at) = ("/dev/null", socket.to_str().unwrap());
        let args = Args::parse_from(["berthd", "--config", config, "--netd-socket", at]);
        let netd = Netd::new(&Config::load(args).unwrap(), "berthd-test".into());
        let _asking = netd.make("asking");
        netd.no_older_claims().await;
        // It is on its way to netd, however long netd takes for it: the claim doesn't wait.
        let mut claim = pin!(netd.claim(|| vec!["running".into()]));
        let (claim_text, _connection) = tokio::select! {
            _ = &mut claim => panic!("nobody has answered"),
            received = first_request(&listener) => received,
        };
        assert!(claim_text.contains(r#"["asking","running"]"#), "{claim_text}");
        let _new = netd.make("new");
        assert!(futures::poll!(pin!(netd.no_older_claims())).is_pending(), "the claim doesn't know of it");
    }

    /// What the first client says up to the end of its body, and its connection.
    async fn first_request(listener: &tokio::net::UnixListener) -> (String, tokio::net::UnixStream) {
        use tokio::io::AsyncReadExt as _;
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"]}") {
            assert_ne!(connection.read_buf(&mut said).await.unwrap(), 0, "it hung up");
        }
        (String::from_utf8(said).unwrap(), connection)
    }

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

//! What netd keeps on disk: networks in a durable file, sandboxes in a file of this boot.
//!
//! | file | table | a power cut may cost |
//! |---|---|---|
//! | `ROOT/netd.db` | `network`, `owed` (to others, also for endpoints of earlier boots), `admin_rule` (a copy of the administrator's chains) | nothing that was answered: each commit is synced |
//! | `RUN_DIR/netd-BOOT_ID.db` | `sandbox`, `revision`, `last_lease` | all of it, with the kernel's state that it describes |
//!
//! The second file is never synced: it survives a killed netd because the kernel has its pages, and a reboot makes it
//! void as a whole. It carries the boot's id in its name, so that one which a power cut damaged is never opened.

#[cfg(test)]
mod golden;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use cnm::{
    grant::{Holder, Owed},
    id::{NetworkId, SandboxId},
    network::Network,
    sandbox::Sandbox,
};
use kernel::AdminChains;
use rusqlite::Connection;
use sqlite::{Access, Schema, Synchronous};
use tokio::sync::oneshot;

pub(crate) use self::record::Unreadable;
use self::{
    record::{BootChange, DurableChange},
    writer::Writer,
};
use crate::Error;

/// "ntwk": marks the durable file as ours (`PRAGMA application_id`).
const DURABLE: Schema = Schema {
    application_id: 0x6e74_776b,
    migrations: &[
        "CREATE TABLE network (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID, STRICT;
         CREATE TABLE admin_rule (chain TEXT NOT NULL CHECK (chain IN ('pre', 'post')), position INTEGER NOT NULL,
                                  rule TEXT NOT NULL, PRIMARY KEY (chain, position)) WITHOUT ROWID, STRICT",
        "CREATE TABLE owed (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID, STRICT",
    ],
    unmarked_up_to: 0,
    whole: "the file",
};

/// "ntbt": marks the boot's file as ours.
const OF_THIS_BOOT: Schema = Schema {
    application_id: 0x6e74_6274,
    migrations: &[
        "CREATE TABLE sandbox (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID, STRICT;
         CREATE TABLE revision (only INTEGER PRIMARY KEY CHECK (only = 1), newest INTEGER NOT NULL) STRICT",
        "CREATE TABLE last_lease (network TEXT PRIMARY KEY, address TEXT NOT NULL) WITHOUT ROWID, STRICT",
    ],
    unmarked_up_to: 0,
    whole: "the file",
};

/// The two files, each written by a thread of its own, so that the durable one's syncs delay no sandbox.
#[derive(Debug)]
pub(crate) struct Store {
    durable: Writer<DurableChange>,
    boot: Writer<BootChange>,
}

/// What was stored.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) networks: Vec<Network>,
    pub(crate) sandboxes: Vec<Sandbox>,
    /// To others.
    pub(crate) owed: Vec<Owed>,
    /// The copy of the administrator's chains.
    pub(crate) admin_chains: AdminChains,
    /// The newest event's; none in a new boot.
    pub(crate) revision: Option<u64>,
    /// The address that each network handed out last.
    pub(crate) last_leases: Vec<(NetworkId, IpAddr)>,
    /// What else is there and can't be read.
    pub(crate) unreadable: Vec<Unreadable>,
}

/// Waits until a change is committed.
#[must_use]
#[derive(Debug)]
pub(crate) struct Commit(oneshot::Receiver<Result<(), Error>>);

impl Commit {
    pub(crate) async fn done(self) -> Result<(), Error> {
        self.0.await.unwrap_or(Err(Error::ShuttingDown))
    }
}

impl Store {
    /// Opens both files, making what is missing, and removes those of earlier boots.
    pub(crate) fn open(root: &Path, run_dir: &Path, boot_id: &str) -> Result<(Self, Loaded), Error> {
        let durable_path = root.join("netd.db");
        let durable = open(&durable_path, &DURABLE, Synchronous::Full)?;
        let boot_path = run_dir.join(format!("netd-{boot_id}.db"));
        remove_void(run_dir, &boot_path)?;
        let boot = open(&boot_path, &OF_THIS_BOOT, Synchronous::Off)?;
        let (networks, mut unreadable) = record::load(&durable, &durable_path, "network")?;
        let (owed, debts) = record::load(&durable, &durable_path, "owed")?;
        let (admin_chains, rules) = record::load_admin_chains(&durable, &durable_path)?;
        let (sandboxes, of_boot) = record::load(&boot, &boot_path, "sandbox")?;
        let (revision, number) = record::load_revision(&boot, &boot_path)?;
        let (last_leases, leases) = record::load_last_leases(&boot, &boot_path)?;
        unreadable.extend(debts.into_iter().chain(rules).chain(of_boot).chain(number).chain(leases));
        let loaded = Loaded { networks, sandboxes, owed, admin_chains, revision, last_leases, unreadable };
        Ok((
            Self {
                durable: Writer::start("netd-durable", durable, durable_path)?,
                boot: Writer::start("netd-boot", boot, boot_path)?,
            },
            loaded,
        ))
    }

    pub(crate) fn put_network(&self, network: Arc<Network>) -> Commit {
        Commit(self.durable.write(vec![DurableChange::Put(network)]))
    }

    pub(crate) fn delete_network(&self, id: NetworkId) -> Commit {
        // Nobody waits: what is left of a network that is gone goes with the boot.
        drop(self.boot.write(vec![BootChange::ForgetLease(id.clone())]));
        Commit(self.durable.write(vec![DurableChange::Delete(id)]))
    }

    pub(crate) fn put_owed(&self, owed: impl IntoIterator<Item = Owed>) -> Commit {
        Commit(self.durable.write(owed.into_iter().map(DurableChange::PutOwed).collect()))
    }

    pub(crate) fn delete_owed(&self, holder: &Holder) -> Commit {
        Commit(self.durable.write(vec![DurableChange::DeleteOwed(holder.id().to_owned())]))
    }

    pub(crate) fn put_admin_chains(&self, chains: AdminChains) -> Commit {
        Commit(self.durable.write(vec![DurableChange::AdminChains(chains)]))
    }

    /// With the revision of the event that tells of it, if there is one.
    pub(crate) fn put_sandbox(&self, sandbox: Arc<Sandbox>, revision: Option<u64>) -> Commit {
        self.write_boot(BootChange::Put(sandbox), revision)
    }

    /// With the revision of the event that tells of it, if there is one.
    pub(crate) fn delete_sandbox(&self, id: SandboxId, revision: Option<u64>) -> Commit {
        self.write_boot(BootChange::Delete(id), revision)
    }

    pub(crate) fn put_revision(&self, revision: u64) -> Commit {
        Commit(self.boot.write(vec![BootChange::Revision(revision)]))
    }

    /// A sandbox that is *Reserved*, with the address that each of its networks handed out last.
    pub(crate) fn reserve_sandbox(&self, sandbox: Arc<Sandbox>, leases: Vec<(NetworkId, IpAddr)>) -> Commit {
        let leases = leases.into_iter().map(|(network, last)| BootChange::LastLease(network, last));
        Commit(self.boot.write([BootChange::Put(sandbox)].into_iter().chain(leases).collect()))
    }

    fn write_boot(&self, change: BootChange, revision: Option<u64>) -> Commit {
        let changes = [Some(change), revision.map(BootChange::Revision)];
        Commit(self.boot.write(changes.into_iter().flatten().collect()))
    }
}

/// Opens a file that this process owns: its directory is locked.
fn open(path: &Path, schema: &Schema, synchronous: Synchronous) -> Result<Connection, Error> {
    let connection = sqlite::open(path, schema, Access::Alone, synchronous)?;
    // 256 KiB instead of 2 MiB: all is read once, at start.
    let small = connection.pragma_update(None, "cache_size", -256);
    small.map_err(|source| Error::OpenStore { path: path.to_owned(), source })?;
    Ok(connection)
}

/// Removes the files of earlier boots: what they describe is gone.
fn remove_void(run_dir: &Path, current: &Path) -> Result<(), Error> {
    let is_void = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let of_a_boot =
            name.starts_with("netd-") && [".db", ".db-wal", ".db-shm"].iter().any(|end| name.ends_with(end));
        of_a_boot && !current.file_name().and_then(|name| name.to_str()).is_some_and(|ours| name.starts_with(ours))
    };
    let entries = fs::read_dir(run_dir).map_err(Error::file("list", run_dir))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_void) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file("remove", path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// This boot's id (`/proc/sys/kernel/random/boot_id`, see random(4)).
pub(crate) fn boot_id() -> Result<String, Error> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    Ok(text.trim().to_owned())
}

//! Records as rows: an id and the object as JSON, so that a record changes as one.

use std::{net::IpAddr, path::Path, sync::Arc};

use cnm::{
    grant::Owed,
    id::{NetworkId, SandboxId},
    network::Network,
    sandbox::Sandbox,
};
use kernel::AdminChains;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use serde::{Serialize, de::DeserializeOwned};

use super::writer::Change;
use crate::Error;

/// What a table says, and its records that can't be read.
type Told<T> = (T, Vec<Unreadable>);

/// A change of the durable file.
#[derive(Debug)]
pub(super) enum DurableChange {
    Put(Arc<Network>),
    Delete(NetworkId),
    PutOwed(Owed),
    /// By its holder's id.
    DeleteOwed(String),
    AdminChains(AdminChains),
}

/// A change of this boot's file.
#[derive(Debug)]
pub(super) enum BootChange {
    Put(Arc<Sandbox>),
    Delete(SandboxId),
    Revision(u64),
    LastLease(NetworkId, IpAddr),
    ForgetLease(NetworkId),
}

impl Change for DurableChange {
    fn deletes(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::DeleteOwed(_))
    }

    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        match self {
            Self::Put(network) => put(transaction, "network", network.id.as_str(), &**network),
            Self::Delete(id) => delete(transaction, "network", id.as_str()),
            Self::PutOwed(owed) => put(transaction, "owed", owed.holder.id(), owed),
            Self::DeleteOwed(id) => delete(transaction, "owed", id),
            Self::AdminChains(chains) => put_admin_chains(transaction, chains),
        }
    }
}

impl Change for BootChange {
    fn deletes(&self) -> bool {
        matches!(self, Self::Delete(_) | Self::ForgetLease(_))
    }

    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        match self {
            Self::LastLease(network, last) => transaction
                .prepare_cached("INSERT OR REPLACE INTO last_lease (network, address) VALUES (?1, ?2)")?
                .execute((network.as_str(), last.to_string()))
                .map(drop),
            Self::ForgetLease(network) => transaction
                .prepare_cached("DELETE FROM last_lease WHERE network = ?1")?
                .execute([network.as_str()])
                .map(drop),
            Self::Put(sandbox) => put(transaction, "sandbox", sandbox.id().as_str(), &**sandbox),
            Self::Delete(id) => delete(transaction, "sandbox", id.as_str()),
            Self::Revision(newest) => transaction
                .prepare_cached("INSERT OR REPLACE INTO revision (only, newest) VALUES (1, ?1)")?
                .execute([i64::try_from(*newest).unwrap_or(i64::MAX)])
                .map(drop),
        }
    }
}

fn put(transaction: &Transaction<'_>, table: &str, id: &str, record: &impl Serialize) -> rusqlite::Result<()> {
    let json =
        serde_json::to_string(record).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    transaction
        .prepare_cached(&format!("INSERT OR REPLACE INTO {table} (id, record) VALUES (?1, ?2)"))?
        .execute((id, json))
        .map(drop)
}

fn delete(transaction: &Transaction<'_>, table: &str, id: &str) -> rusqlite::Result<()> {
    transaction.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id]).map(drop)
}

fn put_admin_chains(transaction: &Transaction<'_>, chains: &AdminChains) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM admin_rule", ())?;
    let mut insert =
        transaction.prepare_cached("INSERT INTO admin_rule (chain, position, rule) VALUES (?1, ?2, ?3)")?;
    for (chain, rules) in [("pre", &chains.pre), ("post", &chains.post)] {
        for (position, rule) in (0_i64..).zip(rules) {
            insert.execute((chain, position, rule))?;
        }
    }
    Ok(())
}

/// The copy of the administrator's chains, of which `nft` has the last word.
pub(super) fn load_admin_chains(connection: &Connection, path: &Path) -> Result<Told<AdminChains>, Error> {
    let failed = |source| Error::OpenStore { path: path.to_owned(), source };
    let mut select =
        connection.prepare("SELECT chain, rule, position FROM admin_rule ORDER BY chain, position").map_err(failed)?;
    let mut rows = select.query(()).map_err(failed)?;
    let (mut chains, mut unreadable) = (AdminChains::default(), Vec::new());
    while let Some(row) = rows.next().map_err(failed)? {
        let (chain, rule) = (bytes(row, 0).map_err(failed)?, bytes(row, 1).map_err(failed)?);
        match String::from_utf8(rule.to_vec()) {
            Ok(rule) if chain == b"pre" => chains.pre.push(rule),
            Ok(rule) => chains.post.push(rule),
            Err(error) => {
                let position: i64 = row.get(2).map_err(failed)?;
                let id = format!("{} {position}", String::from_utf8_lossy(chain));
                unreadable.push(Unreadable::replaced(path, "admin_rule", id.as_bytes(), error));
            }
        }
    }
    Ok((chains, unreadable))
}

/// All records of a table, in the order of their ids, and what is wrong with those that can't be read.
pub(super) fn load<T: DeserializeOwned>(
    connection: &Connection,
    path: &Path,
    table: &'static str,
) -> Result<Told<Vec<T>>, Error> {
    let failed = |source| Error::OpenStore { path: path.to_owned(), source };
    let mut statement = connection.prepare(&format!("SELECT id, record FROM {table} ORDER BY id")).map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next().map_err(failed)? {
        let id = bytes(row, 0).map_err(failed)?;
        match serde_json::from_slice(bytes(row, 1).map_err(failed)?) {
            Ok(record) => records.push(record),
            Err(error) => unreadable.push(Unreadable::set_aside(path, table, id, error)),
        }
    }
    Ok((records, unreadable))
}

/// A text as it is in the file: SQLite doesn't check that it is UTF-8.
fn bytes<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    Ok(row.get_ref(column)?.as_bytes()?)
}

/// The newest event's number. One that no event can have is as none: numbers go on from the time.
pub(super) fn load_revision(connection: &Connection, path: &Path) -> Result<(Option<u64>, Option<Unreadable>), Error> {
    let newest = connection
        .query_row("SELECT newest FROM revision", (), |row| row.get::<_, i64>(0))
        .optional()
        .map_err(|source| Error::OpenStore { path: path.to_owned(), source })?;
    Ok(match newest.map(u64::try_from) {
        None => (None, None),
        Some(Ok(newest)) => (Some(newest), None),
        Some(Err(error)) => (None, Some(Unreadable::replaced(path, "revision", b"newest", error))),
    })
}

/// The addresses handed out last.
pub(super) fn load_last_leases(connection: &Connection, path: &Path) -> Result<Told<Vec<(NetworkId, IpAddr)>>, Error> {
    let failed = |source| Error::OpenStore { path: path.to_owned(), source };
    let mut select = connection.prepare("SELECT network, address FROM last_lease ORDER BY network").map_err(failed)?;
    let mut rows = select.query(()).map_err(failed)?;
    let (mut leases, mut unreadable) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next().map_err(failed)? {
        let (network, address) = (bytes(row, 0).map_err(failed)?, bytes(row, 1).map_err(failed)?);
        let read =
            || -> Result<_, Reason> { Ok((str::from_utf8(network)?.parse()?, str::from_utf8(address)?.parse()?)) };
        match read() {
            Ok(lease) => leases.push(lease),
            Err(error) => unreadable.push(Unreadable::replaced(path, "last_lease", network, error)),
        }
    }
    Ok((leases, unreadable))
}

/// A record that can't be read; nothing of what it says is in force.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// The table.
    pub(crate) what: &'static str,
    /// Which of its rows, as far as that can be read.
    pub(crate) id: String,
    /// The sentence that names it.
    pub(crate) error: Error,
}

type Reason = Box<dyn std::error::Error + Send + Sync>;

impl Unreadable {
    /// It stays where it is, for the release that can.
    fn set_aside(path: &Path, what: &'static str, id: &[u8], source: impl Into<Reason>) -> Self {
        let id = String::from_utf8_lossy(id).into_owned();
        let error = Error::Record { path: path.to_owned(), what, id: id.clone(), source: source.into() };
        Self { what, id, error }
    }

    /// It is of a table that netd writes anew as it goes on, so that it can't stay.
    fn replaced(path: &Path, what: &'static str, id: &[u8], source: impl Into<Reason>) -> Self {
        let id = String::from_utf8_lossy(id).into_owned();
        let error = Error::ReplacedRecord { path: path.to_owned(), what, id: id.clone(), source: source.into() };
        Self { what, id, error }
    }
}

//! Records as rows: an id and the object as JSON, so that a record changes as one.

use std::{net::IpAddr, path::Path, sync::Arc};

use cnm::{
    grant::Owed,
    id::{NetworkId, SandboxId},
    network::Network,
    sandbox::Sandbox,
};
use kernel::AdminChains;
use rusqlite::{Connection, OptionalExtension, Transaction};
use serde::{Serialize, de::DeserializeOwned};

use super::writer::Change;
use crate::Error;

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

pub(super) fn load_admin_chains(connection: &Connection, path: &Path) -> Result<AdminChains, Error> {
    let rules_of = |chain: &str| -> rusqlite::Result<Vec<String>> {
        let mut select = connection.prepare("SELECT rule FROM admin_rule WHERE chain = ?1 ORDER BY position")?;
        select.query_map([chain], |row| row.get(0))?.collect()
    };
    let chains = rules_of("pre").and_then(|pre| Ok(AdminChains { pre, post: rules_of("post")? }));
    chains.map_err(|source| Error::OpenStore { path: path.to_owned(), source })
}

/// All records of a table, in the order of their ids.
pub(super) fn load<T: DeserializeOwned>(
    connection: &Connection,
    path: &Path,
    table: &'static str,
) -> Result<Vec<T>, Error> {
    let failed = |source| Error::OpenStore { path: path.to_owned(), source };
    let mut statement = connection.prepare(&format!("SELECT id, record FROM {table} ORDER BY id")).map_err(failed)?;
    let rows =
        statement.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).map_err(failed)?;
    rows.map(|row| {
        let (id, record) = row.map_err(failed)?;
        serde_json::from_str(&record).map_err(|source| Error::Record { path: path.to_owned(), what: table, id, source })
    })
    .collect()
}

pub(super) fn load_revision(connection: &Connection, path: &Path) -> Result<Option<u64>, Error> {
    connection
        .query_row("SELECT newest FROM revision", (), |row| row.get::<_, i64>(0))
        .optional()
        .map(|newest| newest.map(|newest| newest.try_into().unwrap_or(0)))
        .map_err(|source| Error::OpenStore { path: path.to_owned(), source })
}

/// The addresses handed out last. One that can't be read is as one that was never stored.
pub(super) fn load_last_leases(connection: &Connection, path: &Path) -> Result<Vec<(NetworkId, IpAddr)>, Error> {
    let rows = || -> rusqlite::Result<Vec<(String, String)>> {
        let mut select = connection.prepare("SELECT network, address FROM last_lease")?;
        select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let rows = rows().map_err(|source| Error::OpenStore { path: path.to_owned(), source })?;
    Ok(rows.into_iter().filter_map(|(network, last)| Some((network.parse().ok()?, last.parse().ok()?))).collect())
}

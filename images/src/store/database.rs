//! The database file: how it is opened, its schema, and what is asked of it.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use rustix::fs::{FallocateFlags, fallocate};

use crate::digest::{ChainId, DiffId, Digest, ImageId};
use crate::error::Error;
use crate::reference::Reference;

/// Marks the file as ours: "beim" in ASCII.
const APPLICATION_ID: i64 = 0x6265_696d;

/// Each brings the schema one version further. Never change one that was released.
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE layer (
        -- Never given out twice: a mount may still use a removed layer's short link.
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        chain_id TEXT NOT NULL UNIQUE,
        diff_id TEXT NOT NULL,
        parent INTEGER REFERENCES layer (number),
        size_bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX layer_parent ON layer (parent);
    CREATE TABLE image (
        id TEXT PRIMARY KEY,
        document BLOB NOT NULL,
        top_layer INTEGER REFERENCES layer (number),
        loaded_at_milliseconds INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX image_top_layer ON image (top_layer);
    CREATE TABLE name (
        reference TEXT PRIMARY KEY,
        image TEXT NOT NULL REFERENCES image (id)
    ) STRICT;
    CREATE INDEX name_image ON name (image);
    CREATE TABLE snapshot (
        container_id TEXT PRIMARY KEY,
        top_layer INTEGER REFERENCES layer (number)
    ) STRICT;
    CREATE INDEX snapshot_top_layer ON snapshot (top_layer);
",
    "
    CREATE TABLE blob (
        layer INTEGER NOT NULL REFERENCES layer (number) ON DELETE CASCADE,
        domain TEXT NOT NULL,
        path TEXT NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        compression TEXT NOT NULL,
        UNIQUE (layer, domain, path, digest)
    ) STRICT;
    CREATE INDEX layer_diff_id ON layer (diff_id);
    CREATE TABLE manifest (
        digest TEXT NOT NULL,
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        media_type TEXT NOT NULL,
        document BLOB NOT NULL,
        UNIQUE (image, digest)
    ) STRICT;
",
    "
    CREATE TABLE build_step (
        key TEXT PRIMARY KEY,
        instruction TEXT NOT NULL,
        layer INTEGER REFERENCES layer (number),
        created_at_milliseconds INTEGER NOT NULL,
        used_at_milliseconds INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX build_step_layer ON build_step (layer);
",
    "
    CREATE TABLE image_step (
        image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
        step TEXT NOT NULL REFERENCES build_step (key) ON DELETE CASCADE,
        UNIQUE (image, step)
    ) STRICT;
    CREATE INDEX image_step_step ON image_step (step);
",
];

/// A layer that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayerRow {
    pub(super) number: i64,
    pub(super) chain_id: ChainId,
    pub(super) size_bytes: u64,
}

/// An image as it is stored.
pub(super) struct ImageRow {
    pub(super) id: ImageId,
    pub(super) document: Vec<u8>,
    pub(super) loaded_at_milliseconds: i64,
}

/// A build step and what it led to.
pub(super) struct StepRow {
    pub(super) key: Digest,
    pub(super) instruction: String,
    pub(super) layer: Option<(ChainId, DiffId)>,
    pub(super) created_at_milliseconds: i64,
    pub(super) used_at_milliseconds: i64,
    /// Of the layer; only read.
    pub(super) size_bytes: u64,
    /// An image was built by it, or something else has the layer, too; only read.
    pub(super) is_shared: bool,
}

/// Opens the file, making it if there is none. What isn't ours, is newer or is damaged stays as it is.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let opening = |source| damaged_or(path, source, "open a file");
    let mut connection = Connection::open(path).map_err(opening)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(opening)?;
    let pragma = |connection: &Connection, name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(opening)
    };
    let application = pragma(&connection, "application_id")?;
    let version = pragma(&connection, "user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(opening)?;
    let is_new = application == 0 && version == 0 && tables == 0;
    if !is_new && application != APPLICATION_ID {
        return Err(Error::ForeignDatabase { path: path.to_owned() });
    }
    let known = i64::try_from(MIGRATIONS.len()).expect("a handful of migrations");
    if version > known {
        return Err(Error::NewerDatabase { path: path.to_owned(), found: version, known });
    }
    check(&connection, path)?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        .map_err(opening)?;
    if version < known {
        migrate(&mut connection, version).map_err(opening)?;
    }
    reserve_log(path);
    Ok(connection)
}

/// Reserves the disk's blocks that the write-ahead log takes until it begins anew (1000 pages), so that a full disk keeps
/// nobody from removing things. Where the file system can't, a full disk is noticed earlier.
fn reserve_log(path: &Path) {
    const LOG_BYTES: u64 = 1008 * 4096;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let reserved = OpenOptions::new().write(true).create(true).truncate(false).open(&log).and_then(|file| {
        // The file keeps its size: SQLite sees what it wrote, and nothing else.
        Ok(fallocate(file, FallocateFlags::KEEP_SIZE, 0, LOG_BYTES)?)
    });
    if let Err(error) = reserved {
        tracing::debug!("no room is reserved for the log of {}: {error}", path.display());
    }
}

fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let detail: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| damaged_or(path, source, "check a file"))?;
    match detail.as_str() {
        "ok" => Ok(()),
        _ => Err(Error::DamagedDatabase { path: path.to_owned(), detail }),
    }
}

fn damaged_or(path: &Path, source: rusqlite::Error, doing: &'static str) -> Error {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::DamagedDatabase { path: path.to_owned(), detail: source.to_string() }
        }
        _ => Error::Database { doing, source },
    }
}

fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let transaction = begin(connection, Durability::PowerCut)?;
    for (version, migration) in (1_i64..).zip(MIGRATIONS) {
        if version > from {
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", version)?;
        }
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// What a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// A power cut: the commit waits for the disk.
    PowerCut,
    /// The end of this process. A power cut may take the last commits, never one without those after it.
    ProcessEnd,
}

/// A transaction that may write, from its beginning.
pub(super) fn begin(connection: &mut Connection, durability: Durability) -> rusqlite::Result<Transaction<'_>> {
    // With a write-ahead log FULL syncs the log at every commit, NORMAL only before it is taken over into the database.
    let synchronous = match durability {
        Durability::PowerCut => "FULL",
        Durability::ProcessEnd => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Makes all commits up to now survive a power cut.
pub(super) fn synchronise(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

pub(super) fn layer(connection: &Connection, chain_id: &ChainId) -> rusqlite::Result<Option<LayerRow>> {
    connection
        .prepare_cached("SELECT number, chain_id, size_bytes FROM layer WHERE chain_id = ?1")?
        .query_row([chain_id.to_string()], layer_row)
        .optional()
}

/// Every layer, in no particular order.
pub(super) fn layers(connection: &Connection) -> rusqlite::Result<Vec<LayerRow>> {
    let mut statement = connection.prepare_cached("SELECT number, chain_id, size_bytes FROM layer")?;
    let rows = statement.query_map([], layer_row)?;
    rows.collect()
}

pub(super) fn insert_layer(
    connection: &Connection,
    chain_id: &ChainId,
    diff_id: &DiffId,
    parent: Option<&ChainId>,
    size_bytes: u64,
) -> rusqlite::Result<LayerRow> {
    connection
        .prepare_cached(
            "INSERT INTO layer (chain_id, diff_id, parent, size_bytes)
             VALUES (?1, ?2, (SELECT number FROM layer WHERE chain_id = ?3), ?4)
             RETURNING number, chain_id, size_bytes",
        )?
        .query_row(
            params![
                chain_id.to_string(),
                diff_id.to_string(),
                parent.map(ChainId::to_string),
                i64::try_from(size_bytes).unwrap_or(i64::MAX),
            ],
            layer_row,
        )
}

/// All layers that nothing stands on: no layer, no image, no container.
pub(super) fn unused_layers(connection: &Connection) -> rusqlite::Result<Vec<LayerRow>> {
    rows(
        connection,
        "SELECT number, chain_id, size_bytes FROM layer
         WHERE number NOT IN (SELECT parent FROM layer WHERE parent IS NOT NULL)
           AND number NOT IN (SELECT top_layer FROM image WHERE top_layer IS NOT NULL)
           AND number NOT IN (SELECT top_layer FROM snapshot WHERE top_layer IS NOT NULL)
           AND number NOT IN (SELECT layer FROM build_step WHERE layer IS NOT NULL)",
        [],
    )
}

pub(super) fn all_layers(connection: &Connection) -> rusqlite::Result<Vec<LayerRow>> {
    rows(connection, "SELECT number, chain_id, size_bytes FROM layer", [])
}

pub(super) fn delete_layer(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM layer WHERE number = ?1", [number])?;
    Ok(())
}

/// An image's layers, top first.
pub(super) fn image_layers(connection: &Connection, image: &ImageId) -> rusqlite::Result<Vec<LayerRow>> {
    let top = connection
        .prepare_cached("SELECT top_layer FROM image WHERE id = ?1")?
        .query_row([image.to_string()], |row| row.get(0))
        .optional()?;
    stack(connection, top.flatten())
}

/// A container's layers, top first; `None` if it has no snapshot.
pub(super) fn snapshot_layers(connection: &Connection, container_id: &str) -> rusqlite::Result<Option<Vec<LayerRow>>> {
    let top: Option<Option<i64>> = connection
        .prepare_cached("SELECT top_layer FROM snapshot WHERE container_id = ?1")?
        .query_row([container_id], |row| row.get(0))
        .optional()?;
    top.map(|top| stack(connection, top)).transpose()
}

/// A layer that is there and all below it, top first.
pub(super) fn layers_from(connection: &Connection, top: &ChainId) -> rusqlite::Result<Vec<LayerRow>> {
    let top = layer(connection, top)?.map(|layer| layer.number);
    stack(connection, top)
}

/// A layer and all below it, top first.
fn stack(connection: &Connection, top: Option<i64>) -> rusqlite::Result<Vec<LayerRow>> {
    rows(
        connection,
        "WITH RECURSIVE stack (number, depth) AS (
             SELECT ?1, 0
             UNION ALL
             SELECT layer.parent, depth + 1 FROM stack JOIN layer USING (number)
         )
         SELECT layer.number, layer.chain_id, layer.size_bytes
         FROM stack JOIN layer USING (number) ORDER BY depth",
        [top],
    )
}

/// `false` if there is one already.
pub(super) fn insert_snapshot(connection: &Connection, container_id: &str, image: &ImageId) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO snapshot (container_id, top_layer)
             SELECT ?1, top_layer FROM image WHERE id = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute([container_id, &image.to_string()])?;
    Ok(inserted == 1)
}

/// The same on top of a layer; `false` if there is one already.
pub(super) fn insert_snapshot_on(
    connection: &Connection,
    container_id: &str,
    top: Option<&ChainId>,
) -> rusqlite::Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO snapshot (container_id, top_layer)
             VALUES (?1, (SELECT number FROM layer WHERE chain_id = ?2)) ON CONFLICT DO NOTHING",
        )?
        .execute(params![container_id, top.map(ChainId::to_string)])?;
    Ok(inserted == 1)
}

pub(super) fn delete_snapshot(connection: &Connection, container_id: &str) -> rusqlite::Result<bool> {
    let deleted = connection.execute("DELETE FROM snapshot WHERE container_id = ?1", [container_id])?;
    Ok(deleted == 1)
}

pub(super) fn snapshots(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT container_id FROM snapshot ORDER BY container_id")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Steps with their layers, and whether an image was built by them, or a container or another's layer has theirs too.
const STEPS: &str = "
    SELECT build_step.key, instruction, chain_id, diff_id, created_at_milliseconds, used_at_milliseconds,
        coalesce(size_bytes, 0),
        EXISTS (SELECT 1 FROM image WHERE top_layer = build_step.layer)
            OR EXISTS (SELECT 1 FROM image_step WHERE step = build_step.key)
            OR EXISTS (SELECT 1 FROM snapshot WHERE top_layer = build_step.layer)
            OR EXISTS (SELECT 1 FROM layer AS above WHERE above.parent = build_step.layer)
    FROM build_step LEFT JOIN layer ON layer.number = build_step.layer";

pub(super) fn step(connection: &Connection, key: &Digest) -> rusqlite::Result<Option<StepRow>> {
    connection
        .prepare_cached(&format!("{STEPS} WHERE build_step.key = ?1"))?
        .query_row([key.to_string()], step_row)
        .optional()
}

/// All build steps, the one that was used last first.
pub(super) fn steps(connection: &Connection) -> rusqlite::Result<Vec<StepRow>> {
    let mut statement =
        connection.prepare_cached(&format!("{STEPS} ORDER BY used_at_milliseconds DESC, build_step.key"))?;
    statement.query_map([], step_row)?.collect()
}

pub(super) fn put_step(connection: &Connection, step: &StepRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO build_step (key, instruction, layer, created_at_milliseconds, used_at_milliseconds)
             VALUES (?1, ?2, (SELECT number FROM layer WHERE chain_id = ?3), ?4, ?5)
             ON CONFLICT DO UPDATE SET instruction = excluded.instruction, layer = excluded.layer,
                 created_at_milliseconds = excluded.created_at_milliseconds,
                 used_at_milliseconds = excluded.used_at_milliseconds",
        )?
        .execute(params![
            step.key.to_string(),
            step.instruction,
            step.layer.map(|(chain_id, _)| chain_id.to_string()),
            step.created_at_milliseconds,
            step.used_at_milliseconds,
        ])?;
    Ok(())
}

/// Records that an image was built by a step, as long as both are there.
pub(super) fn put_image_step(connection: &Connection, image: &ImageId, step: &Digest) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO image_step (image, step)
             SELECT id, key FROM image, build_step WHERE id = ?1 AND key = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute([image.to_string(), step.to_string()])?;
    Ok(())
}

pub(super) fn delete_step(connection: &Connection, key: &Digest) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM build_step WHERE key = ?1", [key.to_string()])?;
    Ok(())
}

pub(super) fn insert_image(connection: &Connection, image: &ImageRow, top: Option<&ChainId>) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO image (id, document, top_layer, loaded_at_milliseconds)
             VALUES (?1, ?2, (SELECT number FROM layer WHERE chain_id = ?3), ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            image.id.to_string(),
            image.document,
            top.map(ChainId::to_string),
            image.loaded_at_milliseconds,
        ])?;
    Ok(())
}

pub(super) fn image(connection: &Connection, id: &ImageId) -> rusqlite::Result<Option<ImageRow>> {
    connection
        .prepare_cached("SELECT id, document, loaded_at_milliseconds FROM image WHERE id = ?1")?
        .query_row([id.to_string()], image_row)
        .optional()
}

pub(super) fn images(connection: &Connection) -> rusqlite::Result<Vec<ImageRow>> {
    connection
        .prepare_cached("SELECT id, document, loaded_at_milliseconds FROM image")?
        .query_map([], image_row)?
        .collect()
}

/// The ids that begin with these hexadecimal digits, two of them at most.
pub(super) fn ids_with_prefix(connection: &Connection, digits: &str) -> rusqlite::Result<Vec<ImageId>> {
    connection
        .prepare_cached("SELECT id FROM image WHERE id GLOB 'sha256:' || ?1 || '*' LIMIT 2")?
        .query_map([digits], |row| parsed(row, 0))?
        .collect()
}

pub(super) fn delete_image(connection: &Connection, id: &ImageId) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM image WHERE id = ?1", [id.to_string()])?;
    Ok(())
}

pub(super) fn named(connection: &Connection, reference: &Reference) -> rusqlite::Result<Option<ImageId>> {
    connection
        .prepare_cached("SELECT image FROM name WHERE reference = ?1")?
        .query_row([reference.to_string()], |row| parsed(row, 0))
        .optional()
}

/// Gives a name to an image; answers the one that had it.
pub(super) fn set_name(
    connection: &Connection,
    reference: &Reference,
    image: &ImageId,
) -> rusqlite::Result<Option<ImageId>> {
    let before = named(connection, reference)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO name (reference, image) VALUES (?1, ?2)")?
        .execute([reference.to_string(), image.to_string()])?;
    Ok(before.filter(|other| other != image))
}

/// The tags of a repository, given in full, and their images.
pub(super) fn tags_of(connection: &Connection, repository: &str) -> rusqlite::Result<Vec<(Reference, ImageId)>> {
    // What follows a repository is a tag's colon; its own port's comes earlier.
    connection
        .prepare_cached("SELECT reference, image FROM name WHERE substr(reference, 1, length(?1) + 1) = ?1 || ':'")?
        .query_map([repository], |row| Ok((parsed(row, 0)?, parsed(row, 1)?)))?
        .collect()
}

pub(super) fn delete_name(connection: &Connection, reference: &Reference) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM name WHERE reference = ?1", [reference.to_string()])?;
    Ok(())
}

pub(super) fn names(connection: &Connection, image: &ImageId) -> rusqlite::Result<Vec<Reference>> {
    connection
        .prepare_cached("SELECT reference FROM name WHERE image = ?1 ORDER BY reference")?
        .query_map([image.to_string()], |row| parsed(row, 0))?
        .collect()
}

fn rows(connection: &Connection, query: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<Vec<LayerRow>> {
    connection.prepare_cached(query)?.query_map(parameters, layer_row)?.collect()
}

fn layer_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<LayerRow> {
    Ok(LayerRow {
        number: row.get(0)?,
        chain_id: parsed(row, 1)?,
        size_bytes: u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default(),
    })
}

fn step_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<StepRow> {
    let has_layer = row.get_ref(2)? != rusqlite::types::ValueRef::Null;
    Ok(StepRow {
        key: parsed(row, 0)?,
        instruction: row.get(1)?,
        layer: if has_layer { Some((parsed(row, 2)?, parsed(row, 3)?)) } else { None },
        created_at_milliseconds: row.get(4)?,
        used_at_milliseconds: row.get(5)?,
        size_bytes: u64::try_from(row.get::<_, i64>(6)?).unwrap_or_default(),
        is_shared: row.get(7)?,
    })
}

fn image_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<ImageRow> {
    Ok(ImageRow { id: parsed(row, 0)?, document: row.get(1)?, loaded_at_milliseconds: row.get(2)? })
}

fn parsed<T>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

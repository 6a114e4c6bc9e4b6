//! Steps of builds, and what they led to.

use rusqlite::{Connection, OptionalExtension, params};

use super::parsed;
use crate::digest::{ChainId, DiffId, Digest, ImageId};

/// A build step and what it led to.
pub(in crate::store) struct StepRow {
    pub(in crate::store) key: Digest,
    pub(in crate::store) instruction: String,
    pub(in crate::store) layer: Option<(ChainId, DiffId)>,
    pub(in crate::store) created_at_milliseconds: i64,
    pub(in crate::store) used_at_milliseconds: i64,
    /// Of the layer; only read.
    pub(in crate::store) size_bytes: u64,
    /// An image was built by it; only read.
    pub(in crate::store) is_of_image: bool,
}

/// Steps with their layers, and whether an image was built by them.
const STEPS: &str = "
    SELECT build_step.key, instruction, chain_id, diff_id, created_at_milliseconds, used_at_milliseconds,
        coalesce(size_bytes, 0),
        EXISTS (SELECT 1 FROM image_step WHERE step = build_step.key)
    FROM build_step LEFT JOIN layer ON layer.number = build_step.layer";

pub(in crate::store) fn step(connection: &Connection, key: &Digest) -> rusqlite::Result<Option<StepRow>> {
    connection
        .prepare_cached(&format!("{STEPS} WHERE build_step.key = ?1"))?
        .query_row([key.to_string()], step_row)
        .optional()
}

/// All build steps, the one that was used last first.
pub(in crate::store) fn steps(connection: &Connection) -> rusqlite::Result<Vec<StepRow>> {
    let mut statement =
        connection.prepare_cached(&format!("{STEPS} ORDER BY used_at_milliseconds DESC, build_step.key"))?;
    statement.query_map([], step_row)?.collect()
}

pub(in crate::store) fn put_step(connection: &Connection, step: &StepRow) -> rusqlite::Result<()> {
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
pub(in crate::store) fn put_image_step(
    connection: &Connection,
    image: &ImageId,
    step: &Digest,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO image_step (image, step)
             SELECT id, key FROM image, build_step WHERE id = ?1 AND key = ?2 ON CONFLICT DO NOTHING",
        )?
        .execute([image.to_string(), step.to_string()])?;
    Ok(())
}

pub(in crate::store) fn delete_step(connection: &Connection, key: &Digest) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM build_step WHERE key = ?1", [key.to_string()])?;
    Ok(())
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
        is_of_image: row.get(7)?,
    })
}

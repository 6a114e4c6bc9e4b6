//! The build cache, and what else builds need of the store: layers that no image has yet, and which step led to which layer.
//!
//! A layer that a build makes is there for its next step at once and isn't synchronised: that happens once, at the build's
//! end, before anything is recorded that outlives it. A layer of a build that was killed is nobody's, and goes when the
//! store is opened.

use std::collections::HashSet;
use std::io::PipeWriter;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::Connection;

use super::database::{self, Durability, StepRow};
use super::layers::{Lease, NewImage, NewLayer};
use super::{Pruned, Removed, Store, between_steps};
use crate::digest::{ChainId, DiffId, Digest, ImageId};
use crate::error::Error;
use crate::files::PackError;

/// A layer that a step made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLayer {
    /// With all that it stands on.
    pub chain_id: ChainId,
    /// By itself.
    pub diff_id: DiffId,
}

/// What a step led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepResult {
    /// None if it only altered the configuration.
    pub layer: Option<StepLayer>,
    /// When it was carried out.
    pub created: Timestamp,
}

/// A step that was carried out, or found, in a build.
#[derive(Clone, Debug)]
pub struct DoneStep {
    /// A digest of everything that decides about its result.
    pub key: Digest,
    /// The instruction, as it is written.
    pub instruction: String,
    /// What it led to.
    pub result: StepResult,
}

/// The image that a build made.
pub struct BuiltImage {
    /// The image.
    pub image: NewImage,
    /// The keys of the steps that it was built by.
    pub steps: Vec<Digest>,
}

/// A record of the build cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedStep {
    /// What it is recorded under: a digest of everything that decides about its result.
    pub key: Digest,
    /// The instruction.
    pub instruction: String,
    /// When it was carried out.
    pub created: Timestamp,
    /// When a build last needed it.
    pub used: Timestamp,
    /// The size of its layer's files, and of those below it that neither an image nor another step has any more. What steps
    /// have together is counted with the one that was needed last.
    pub size_bytes: u64,
    /// An image was built by it, or an image or a container has its layer.
    pub is_shared: bool,
}

impl Store {
    /// What a step with this key led to, if its layer is still there. The layer is kept as long as the lease lives.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn known_step(&self, key: &Digest) -> Result<Option<(StepResult, Lease<'_>)>, Error> {
        let row = database::step(&self.inner().connection, key).map_err(Error::database("look for a build step"))?;
        let Some(row) = row else { return Ok(None) };
        let layers: Vec<ChainId> = row.layer.iter().map(|(chain_id, _)| *chain_id).collect();
        let (lease, present) = self.lease(layers)?;
        if row.layer.is_some() && present.is_empty() {
            return Ok(None);
        }
        Ok(Some((result(&row), lease)))
    }

    /// Makes a layer of a tar that `write` writes, on top of `parent`. It is kept as long as the lease lives.
    ///
    /// # Errors
    /// Those of `write`, or the tar can't be unpacked.
    pub fn add_layer(
        &self,
        parent: Option<ChainId>,
        write: impl FnOnce(PipeWriter) -> Result<(), PackError> + Send,
    ) -> Result<(StepLayer, Lease<'_>), Error> {
        let work = self.work_dir()?;
        let (layer, ()) = self.make_layer(parent, work.path(), write)?;
        let NewLayer { chain_id, diff_id, .. } = layer;
        let (lease, _) = self.lease(vec![chain_id])?;
        let placing = self.placing();
        if self.place(&layer)? {
            self.change("record a layer", Durability::ProcessEnd, |connection, _| self.record(connection, &layer))?;
        }
        drop(placing);
        Ok((StepLayer { chain_id, diff_id }, lease))
    }

    /// The directories of a layer and of all below it, top first; one that is empty if there is none.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn lowers(&self, top: Option<ChainId>) -> Result<Vec<PathBuf>, Error> {
        let Some(top) = top else { return Ok(vec![self.empty_link()]) };
        let layers = database::layers_from(&self.inner().connection, &top);
        let layers = layers.map_err(Error::database("look for layers"))?;
        Ok(layers.iter().map(|layer| self.link(layer)).collect())
    }

    /// Records the steps of a build for the next ones, and its image if it came so far. What they stand on is brought to
    /// disk first, if `has_new_layers`.
    ///
    /// # Errors
    /// Something can't be written; what is recorded by then is whole.
    pub fn finish_build(
        &self,
        steps: &[DoneStep],
        has_new_layers: bool,
        built: Option<BuiltImage>,
    ) -> Result<(), Error> {
        if has_new_layers {
            self.synchronise()?;
        }
        between_steps();
        let now = Timestamp::now().as_millisecond();
        self.change("record build steps", Durability::ProcessEnd, |connection, _| {
            for step in steps {
                let row = StepRow {
                    key: step.key,
                    instruction: step.instruction.clone(),
                    layer: step.result.layer.map(|layer| (layer.chain_id, layer.diff_id)),
                    created_at_milliseconds: step.result.created.as_millisecond(),
                    used_at_milliseconds: now,
                    size_bytes: 0,
                    is_of_image: false,
                };
                database::put_step(connection, &row).map_err(Error::database("record build steps"))?;
            }
            Ok(())
        })?;
        let Some(BuiltImage { image, steps }) = built else { return Ok(()) };
        let id = image.id;
        if !self.is_published(&image)? {
            self.publish(&[], &[image], now)?;
        }
        self.remember_steps(id, &steps)
    }

    /// Remembers which steps an image was built by: as long as it is there, somebody needs them.
    fn remember_steps(&self, image: ImageId, steps: &[Digest]) -> Result<(), Error> {
        self.change("record the steps of an image", Durability::ProcessEnd, |connection, _| {
            let mut put = steps.iter().map(|step| database::put_image_step(connection, &image, step));
            put.try_for_each(|put| put).map_err(Error::database("record the steps of an image"))
        })
    }

    fn is_published(&self, image: &NewImage) -> Result<bool, Error> {
        let known =
            database::image(&self.inner().connection, &image.id).map_err(Error::database("look for an image"))?;
        Ok(known.is_some() && self.has_names(&image.references, image.id)?)
    }

    /// The records of the build cache, the one that was needed last first.
    pub fn cached_steps(&self) -> Result<Vec<CachedStep>, Error> {
        cached_steps(&self.inner().connection).map_err(Error::database("list build steps"))
    }

    /// Forgets records of the build cache, and removes layers that nothing else needs.
    pub fn prune_steps(&self, mut select: impl FnMut(&CachedStep) -> bool) -> Result<(Vec<Digest>, Pruned), Error> {
        let failed = || Error::database("prune the build cache");
        let (keys, layers, discarded) = self.take_layers("prune the build cache", |connection, leases| {
            let mut keys = Vec::new();
            for step in cached_steps(connection).map_err(failed())?.iter().filter(|step| select(step)) {
                database::delete_step(connection, &step.key).map_err(failed())?;
                keys.push(step.key);
            }
            Ok((keys, Self::forget_unused(connection, leases)?))
        })?;
        discarded.delete()?;
        let reclaimed_bytes = layers.iter().map(|layer| layer.size_bytes).sum();
        let removed = layers.iter().map(|layer| Removed::Layer(layer.chain_id)).collect();
        Ok((keys, Pruned { removed, reclaimed_bytes }))
    }
}

fn result(row: &StepRow) -> StepResult {
    let layer = row.layer.map(|(chain_id, diff_id)| StepLayer { chain_id, diff_id });
    StepResult { layer, created: moment(row.created_at_milliseconds) }
}

fn cached_steps(connection: &Connection) -> rusqlite::Result<Vec<CachedStep>> {
    let rows = database::steps(connection)?;
    let held: HashSet<ChainId> = database::held_layers(connection)?.iter().map(|layer| layer.chain_id).collect();
    let mut others = held.clone();
    others.extend(rows.iter().filter_map(|row| row.layer).map(|(chain_id, _)| chain_id));
    let mut counted = HashSet::new();
    let mut steps = Vec::new();
    for row in rows {
        let layer = row.layer.map(|(chain_id, _)| chain_id);
        let is_held = layer.is_some_and(|layer| held.contains(&layer));
        let size_bytes = match layer {
            Some(layer) if !is_held => {
                let stack = database::layers_from(connection, &layer)?;
                let own = stack.iter().take_while(|one| one.chain_id == layer || !others.contains(&one.chain_id));
                own.filter(|one| counted.insert(one.chain_id)).map(|one| one.size_bytes).sum()
            }
            _ => row.size_bytes,
        };
        steps.push(CachedStep {
            key: row.key,
            instruction: row.instruction,
            created: moment(row.created_at_milliseconds),
            used: moment(row.used_at_milliseconds),
            size_bytes,
            is_shared: is_held || row.is_of_image,
        });
    }
    Ok(steps)
}

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

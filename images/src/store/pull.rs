//! Pulls an image from a registry: layers side by side, each hashed and unpacked while it downloads, and there for
//! everybody as soon as all below it are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::layers::{NewImage, NewLayer};
use super::unpack_lock::{UnpackGuard, UnpackLock};
use super::{Pulled, Store, between_steps, unpacking};
use crate::digest::{ChainId, DiffId};
use crate::error::Error;
use crate::platform::Platform;
use crate::progress::{ProgressReader, PullProgress, PullStep};
use crate::reference::Reference;
use crate::registry::{Credentials, Registries, RemoteImage, RemoteLayer};
use crate::side_by_side::side_by_side;
use crate::unpack::{self, Unpacked};

/// Docker's number, too: more gain nothing, and registries count connections.
const DOWNLOADS: usize = 3;

/// What to pull.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// Which image; without tag and digest it is `latest`.
    pub reference: Reference,
    /// For another machine than this one.
    pub platform: Option<Platform>,
    /// Who asks.
    pub credentials: Credentials,
    /// Cancelled when nobody wants the image any more.
    pub called_off: CancellationToken,
}

impl Store {
    /// Takes in an image from a registry. What another pull is taking in at the same time is waited for, not taken in
    /// again. What has come by the time that it fails is there for the next try, until something is removed.
    ///
    /// # Errors
    /// [`Error::Registry`] when the registry doesn't have it or can't be talked to, [`Error::Layer`] when a layer isn't
    /// what it should be, [`Error::CalledOff`] when the request is.
    pub fn pull(
        &self,
        registries: &Registries,
        request: &PullRequest,
        progress: &dyn PullProgress,
    ) -> Result<Pulled, Error> {
        let reference = request.reference.clone().or_latest();
        let platform = request.platform.as_ref().unwrap_or(&self.platform);
        // One's own: a failure ends this pull, and no other of the same request.
        let called_off = request.called_off.child_token();
        let image = registries.find(&reference, platform, &request.credentials, &called_off)?;
        let chain_ids = ChainId::stack(&image.config.rootfs.diff_ids);
        let (_lease, _) = self.lease(chain_ids.clone())?;
        for layer in &image.layers {
            progress.report(layer.blob, PullStep::Queued);
        }
        let work = self.work_dir()?;
        between_steps();
        let download = Download::new(self, &image, &chain_ids, work.path(), progress);
        side_by_side(&image.layers, DOWNLOADS, &called_off, |at, layer| download.take_layer(at, layer, &called_off))?;
        drop(download);
        let mut references = vec![reference.with_digest(image.digest)];
        if let (Some(tag), None) = (reference.tag(), reference.digest()) {
            references.push(reference.with_tag(tag)?);
        }
        let was_there = self.has_names(&references, image.id)?;
        let (id, digest) = (image.id, image.digest);
        let new = NewImage { id, document: image.document, top: chain_ids.last().copied(), references };
        self.publish(&[], &[new], Timestamp::now().as_millisecond())?;
        between_steps();
        let blobs = image.layers.iter().map(RemoteLayer::blob);
        self.remember(id, &reference, &image.manifest, chain_ids.into_iter().zip(blobs))?;
        Ok(Pulled { id, digest, was_there })
    }
}

/// The layers of one image on their way.
struct Download<'a> {
    store: &'a Store,
    layers: &'a [RemoteLayer],
    diff_ids: &'a [DiffId],
    chain_ids: &'a [ChainId],
    work_dir: &'a Path,
    progress: &'a dyn PullProgress,
    pending: Mutex<PendingLayers<'a>>,
}

/// Layers that are unpacked and wait for those below them.
struct PendingLayers<'a> {
    layers: Vec<Option<PendingLayer<'a>>>,
    /// So many, from the lowest on, are in the store.
    published: usize,
    /// Somebody is at it.
    is_publishing: bool,
}

enum PendingLayer<'a> {
    /// It was in the store.
    Present,
    /// It has been unpacked.
    Unpacked(Unpacked, UnpackGuard<'a>),
}

impl<'a> Download<'a> {
    fn new(
        store: &'a Store,
        image: &'a RemoteImage,
        chain_ids: &'a [ChainId],
        work_dir: &'a Path,
        progress: &'a dyn PullProgress,
    ) -> Self {
        let layers = image.layers.iter().map(|_| None).collect();
        Self {
            store,
            layers: &image.layers,
            diff_ids: &image.config.rootfs.diff_ids,
            chain_ids,
            work_dir,
            progress,
            pending: Mutex::new(PendingLayers { layers, published: 0, is_publishing: false }),
        }
    }

    fn take_layer(&self, at: usize, layer: &RemoteLayer, called_off: &CancellationToken) -> Result<(), Error> {
        let waiting = || self.progress.report(layer.blob, PullStep::Waiting);
        let pending_layer = match self.store.lock_unpack(self.chain_ids[at], called_off, waiting)? {
            UnpackLock::Present => {
                self.progress.report(layer.blob, PullStep::AlreadyExists);
                PendingLayer::Present
            }
            UnpackLock::Locked(claim) => PendingLayer::Unpacked(self.unpack(at, layer)?, claim),
        };
        between_steps();
        self.add_pending(at, pending_layer)
    }

    fn layer_work_dir(&self, at: usize) -> PathBuf {
        self.work_dir.join(self.chain_ids[at].0.hex())
    }

    fn unpack(&self, at: usize, layer: &RemoteLayer) -> Result<Unpacked, Error> {
        let mut blob = layer.open();
        let outcome = {
            let watched = ProgressReader::new(&mut blob, |done_bytes| {
                self.progress.report(layer.blob, PullStep::Downloading { done_bytes, total_bytes: layer.size_bytes });
            });
            let dir = self.layer_work_dir(at);
            unpacking::unpack(
                self.store.processors.reading(watched),
                layer.blob,
                &dir,
                self.diff_ids[at],
                self.store.limits,
            )
        };
        // A stream can go on after its content: only its end says that all of it is right.
        let rest = outcome.and_then(|unpacked| {
            io::copy(&mut blob, &mut io::sink()).map_err(Error::file("read", layer.blob.to_string()))?;
            Ok(unpacked)
        });
        match blob.take_failure() {
            // Whoever unpacks only knows that reading failed.
            Some(failure) => Err(failure.into()),
            None => rest,
        }
    }

    fn pending(&self) -> MutexGuard<'_, PendingLayers<'a>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a layer in its place if all below it are there, and those above it that waited for that.
    fn add_pending(&self, at: usize, pending_layer: PendingLayer<'a>) -> Result<(), Error> {
        let mut pending = self.pending();
        pending.layers[at] = Some(pending_layer);
        if pending.is_publishing {
            return Ok(());
        }
        pending.is_publishing = true;
        loop {
            let lowest = pending.published;
            let Some(pending_layer) = pending.layers.get_mut(lowest).and_then(Option::take) else {
                pending.is_publishing = false;
                return Ok(());
            };
            // Synchronising takes its time, in which others arrive.
            drop(pending);
            self.publish(lowest, pending_layer)?;
            pending = self.pending();
            pending.published += 1;
        }
    }

    fn publish(&self, at: usize, pending_layer: PendingLayer<'a>) -> Result<(), Error> {
        let PendingLayer::Unpacked(Unpacked { size_bytes, implied, .. }, claim) = pending_layer else { return Ok(()) };
        let below = &self.chain_ids[..at];
        let lowers: Vec<PathBuf> = below.iter().rev().map(|layer| self.store.layer_dir(layer).join("diff")).collect();
        let (dir, diff_id) = (self.layer_work_dir(at), self.diff_ids[at]);
        unpack::apply_lower_layers(&dir.join("diff"), &implied, &lowers)
            .map_err(|source| Error::Layer { layer: diff_id, source })?;
        let layer = NewLayer { chain_id: self.chain_ids[at], diff_id, parent: below.last().copied(), size_bytes, dir };
        self.store.publish(&[layer], &[], Timestamp::now().as_millisecond())?;
        drop(claim);
        self.progress.report(self.layers[at].blob, PullStep::Complete);
        Ok(())
    }
}

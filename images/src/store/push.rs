//! Pushes an image to a registry: layers side by side, each only sent if the repository can't have it otherwise, made into a
//! tar and compressed while it is sent.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::sync::Arc;

use backon::BackoffBuilder as _;
use flate2::write::GzEncoder;
use tokio_util::sync::CancellationToken;

use super::origin::{self, KnownBlob};
use super::{Image, Pushed, Store, catalog, database};
use crate::compression::Compression;
use crate::config::ImageConfig;
use crate::digest::{ChainId, DiffId, Digest, HashingReader, ImageId};
use crate::error::Error;
use crate::platform::Platform;
use crate::progress::{ProgressReader, PushProgress, PushStep};
use crate::reference::Reference;
use crate::registry::{Begun, Credentials, Endpoint, LayerBlob, Manifest, Registries, RegistryError, Upload, delays};
use crate::side_by_side::side_by_side;
use crate::unpack;

/// Docker's number, too.
const UPLOADS: usize = 5;
/// Asking for blobs must not take longer than sending one.
const BLOBS_ASKED_FOR_MAX: usize = 4;

/// What to push.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// Which image, with the tag that it is to have there.
    pub reference: Reference,
    /// Refused if the image is for another one.
    pub platform: Option<Platform>,
    /// Who asks.
    pub credentials: Credentials,
    /// Cancelled when nobody wants it any more.
    pub called_off: CancellationToken,
}

/// An image on its way.
struct Outgoing {
    id: ImageId,
    document: Vec<u8>,
    /// By which it was known at registries.
    manifests: Vec<Manifest>,
    /// Lowest first.
    layers: Vec<OutgoingLayer>,
}

struct OutgoingLayer {
    chain_id: ChainId,
    diff_id: DiffId,
    /// The likeliest first.
    known: Vec<KnownBlob>,
}

impl Store {
    /// The tags of a reference's repository.
    ///
    /// # Errors
    /// [`Error::NoTags`] when it has none.
    pub fn tags(&self, repository: &Reference) -> Result<Vec<Reference>, Error> {
        let tags = database::tags_of(&self.inner().connection, &repository.name());
        let tags = tags.map_err(Error::database("look for tags"))?;
        match tags.is_empty() {
            true => Err(Error::NoTags(repository.familiar_name())),
            false => Ok(tags.into_iter().map(|(reference, _)| reference).collect()),
        }
    }

    /// Gives an image to the registry of its name.
    ///
    /// # Errors
    /// [`Error::TagMissing`] when no image has the name, [`Error::Registry`] when the registry doesn't take it or can't be
    /// talked to, [`Error::CalledOff`] when the request is.
    pub fn push(
        &self,
        registries: &Registries,
        request: &PushRequest,
        progress: &dyn PushProgress,
    ) -> Result<Pushed, Error> {
        self.push_to(registries, request, progress).map_err(|error| match error {
            Error::Registry(error) => Error::Registry(error.of_push()),
            other => other,
        })
    }

    fn push_to(
        &self,
        registries: &Registries,
        request: &PushRequest,
        progress: &dyn PushProgress,
    ) -> Result<Pushed, Error> {
        let PushRequest { reference, platform, credentials, called_off } = request;
        let tag = match (reference.tag(), reference.digest()) {
            (Some(tag), None) => tag,
            _ => return Err(Error::PushDigest(reference.familiar())),
        };
        let image = self.outgoing(reference, platform.as_ref())?;
        let (_lease, _) = self.lease(image.layers.iter().map(|layer| layer.chain_id).collect())?;
        for layer in &image.layers {
            progress.report(layer.diff_id, PushStep::Preparing);
        }
        let known = image.layers.iter().flat_map(|layer| &layer.known);
        let sources: BTreeSet<String> =
            known.filter(|known| may_be_mounted(known, reference)).map(|known| known.path.clone()).collect();
        // One's own: a failure ends this push, and no other of the same request.
        let called_off = called_off.child_token();
        let target = registries.push_target(reference, &sources, credentials, &called_off)?;
        let push = Push { store: self, reference, target: &target, progress };
        let blobs = side_by_side(&image.layers, UPLOADS, &called_off, |_, layer| push.place(layer))?;
        let manifest = image.manifest(&blobs);
        target.put_blob(&image.document.into())?;
        target.put_manifest(tag, &manifest)?;
        let chain_ids = image.layers.iter().map(|layer| layer.chain_id);
        self.remember(image.id, reference, &manifest, chain_ids.zip(blobs))?;
        let digest = manifest.digest();
        self.name(image.id, &reference.with_digest(digest))?;
        Ok(Pushed { digest, size_bytes: manifest.document.len() as u64 })
    }

    fn outgoing(&self, reference: &Reference, platform: Option<&Platform>) -> Result<Outgoing, Error> {
        let inner = self.inner();
        let id = database::named(&inner.connection, reference).map_err(Error::database("look for an image"))?;
        let id = id.ok_or_else(|| Error::TagMissing(reference.familiar()))?;
        let Image { config, layers, .. } = catalog::image(&inner.connection, &id)?;
        refuse_other_platform(reference, &config, platform)?;
        let document = catalog::row(&inner.connection, &id)?.document;
        let failed = || Error::database("look where an image's layers are");
        let manifests = origin::manifests(&inner.connection, &id).map_err(failed())?;
        let wanted: BTreeSet<Digest> = manifests.iter().filter_map(Manifest::layers).flatten().collect();
        let layers = layers.into_iter().zip(config.rootfs.diff_ids).map(|(chain_id, diff_id)| {
            let mut known = origin::blobs(&inner.connection, &diff_id).map_err(failed())?;
            known.sort_by_key(|known| {
                let is_here = known.domain == reference.domain() && known.path == reference.path();
                Reverse((wanted.contains(&known.blob.digest), is_here, known.domain == reference.domain()))
            });
            Ok(OutgoingLayer { chain_id, diff_id, known })
        });
        Ok(Outgoing { id, document, manifests, layers: layers.collect::<Result<_, Error>>()? })
    }
}

fn refuse_other_platform(reference: &Reference, config: &ImageConfig, wanted: Option<&Platform>) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = config.platform();
    match found.runs_on(wanted) {
        true => Ok(()),
        false => Err(Error::OtherPlatform {
            reference: reference.familiar(),
            wanted: wanted.to_string(),
            found: found.to_string(),
        }),
    }
}

/// Whether a registry could take a blob over from where it is known to be.
fn may_be_mounted(known: &KnownBlob, target: &Reference) -> bool {
    known.domain == target.domain() && known.path != target.path()
}

impl Outgoing {
    /// The manifest that names these blobs: one that the image had already, if there is one.
    fn manifest(&self, blobs: &[LayerBlob]) -> Manifest {
        let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
        let same = self.manifests.iter().find(|manifest| manifest.layers().is_some_and(|layers| layers == digests));
        same.cloned().unwrap_or_else(|| Manifest::new(self.id, &self.document, blobs))
    }
}

/// The layers of one image on their way.
struct Push<'a> {
    store: &'a Store,
    reference: &'a Reference,
    target: &'a Arc<Endpoint>,
    progress: &'a dyn PushProgress,
}

impl Push<'_> {
    /// Sees to it that the repository has a layer.
    fn place(&self, layer: &OutgoingLayer) -> Result<LayerBlob, Error> {
        let mut asked: Vec<LayerBlob> = Vec::new();
        for KnownBlob { blob, .. } in &layer.known {
            if asked.contains(blob) || asked.len() == BLOBS_ASKED_FOR_MAX {
                continue;
            }
            if self.target.has_blob(blob.digest)? {
                self.progress.report(layer.diff_id, PushStep::AlreadyExists);
                return Ok(*blob);
            }
            asked.push(*blob);
        }
        let mountable = layer.known.iter().filter(|known| may_be_mounted(known, self.reference));
        let mut upload = None;
        for known in mountable.take(BLOBS_ASKED_FOR_MAX) {
            match self.target.mount_blob(known.blob.digest, &known.path) {
                Ok(Begun::Mounted) => {
                    self.progress.report(layer.diff_id, PushStep::Mounted { from: &known.path });
                    return Ok(known.blob);
                }
                Ok(Begun::Upload(begun)) => upload = Some(begun),
                // It may be told that nobody may read there. What may be written here, sending it shows.
                Err(RegistryError::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.send(layer, upload)
    }

    /// Sends a layer, again and again if that may help.
    fn send(&self, layer: &OutgoingLayer, mut begun: Option<Upload>) -> Result<LayerBlob, Error> {
        let mut delays = delays().build();
        loop {
            let upload = match begun.take() {
                Some(upload) => upload,
                None => self.target.begin_upload()?,
            };
            match self.send_once(layer, upload) {
                Err(Error::Registry(error)) if error.is_passing() => {
                    let Some(delay) = delays.next() else { return Err(error.into()) };
                    tracing::warn!(%error, layer = %layer.diff_id, ?delay, "a layer is sent again after a break");
                    self.target.pause(delay)?;
                }
                outcome => return outcome,
            }
        }
    }

    fn send_once(&self, layer: &OutgoingLayer, upload: Upload) -> Result<LayerBlob, Error> {
        let failed = |source| Error::Push { layer: layer.diff_id, source };
        let tar = unpack::tar_of(&self.store.layer_dir(&layer.chain_id)).map_err(failed)?;
        let total_bytes = tar.size_bytes();
        let report = |done_bytes| self.progress.report(layer.diff_id, PushStep::Pushing { done_bytes, total_bytes });
        report(0);
        let mut tar = HashingReader::new(ProgressReader::new(tar, report));
        let mut encoder = GzEncoder::new(upload.open()?, flate2::Compression::default());
        let sent = io::copy(&mut tar.by_ref(), &mut encoder).and_then(|_| encoder.try_finish());
        if let Err(source) = sent {
            // Whoever copies only knows that something failed.
            return Err(encoder.get_mut().take_failure().map_or_else(|| failed(source), Error::from));
        }
        let found = tar.finish();
        if found != layer.diff_id.0 {
            let text = format!("it is damaged: made into a tar again, its digest is {found}");
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        let (digest, size_bytes) = encoder.finish().map_err(failed)?.finish().map_err(Error::from)?;
        self.progress.report(layer.diff_id, PushStep::Pushed);
        Ok(LayerBlob { digest, size_bytes, compression: Compression::Gzip })
    }
}

impl RegistryError {
    /// What a registry says to a push, as Docker says it.
    fn of_push(self) -> Self {
        match self {
            Self::Refused { status: 401 | 403, message, .. } => Self::PushDenied { message },
            other => other,
        }
    }
}

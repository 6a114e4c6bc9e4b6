//! Imports a root file system as an image.

use std::fs::File;
use std::io::{Read, Seek as _};

use tokio_util::sync::CancellationToken;

use super::layers::{NewImage, NewLayer};
use super::{Import, Store};
use crate::change::apply_written;
use crate::compression::Decoder;
use crate::config::{ContainerConfig, HistoryEntry, ImageConfig, RootFs};
use crate::digest::{ChainId, DiffId, Digest, HashingReader, ImageId};
use crate::error::Error;
use crate::fetch::{FetchProgress, get};
use crate::progress::{Progress, ProgressEvent, ProgressReader};
use crate::registry::Registries;
use crate::tarball::TarError;
use crate::unpack::{self, UnpackError};

impl Store {
    /// Fetches an archive by http or https. The file has no name, and is gone when it is dropped.
    ///
    /// # Errors
    /// [`Error::Fetch`], or [`Error::CalledOff`] as soon as it is.
    pub fn fetch(
        &self,
        registries: &Registries,
        url: &str,
        called_off: &CancellationToken,
        heard: FetchProgress<'_>,
    ) -> Result<File, Error> {
        let trouble = || Error::file("make a temporary file in", self.tmp_dir());
        let mut file = tempfile::tempfile_in(self.tmp_dir()).map_err(trouble())?;
        self.fetch_into(&mut file, registries, url, called_off, heard)?;
        file.rewind().map_err(trouble())?;
        Ok(file)
    }

    /// Fetches a file by http or https, to the end of this one. Answers when its server says that it was changed, in seconds
    /// since 1970.
    ///
    /// # Errors
    /// [`Error::Fetch`], or [`Error::CalledOff`] as soon as it is.
    pub fn fetch_into(
        &self,
        file: &mut File,
        registries: &Registries,
        url: &str,
        called_off: &CancellationToken,
        heard: FetchProgress<'_>,
    ) -> Result<Option<i64>, Error> {
        let coming = called_off.run_until_cancelled(get(url, file, self.limits.size_bytes, heard));
        let got = registries.runtime().block_on(coming).ok_or(Error::CalledOff)?;
        got.map_err(|source| Error::Fetch { url: url.to_owned(), source })
    }

    /// Makes an image of one layer from the tar of a root file system, which may be compressed.
    ///
    /// # Errors
    /// [`Error::Import`] when the tar is cut short or tries to leave its root.
    pub fn import(&self, rootfs: impl Read, import: &Import, progress: &dyn Progress) -> Result<ImageId, Error> {
        let config = apply_written(&import.changes, ContainerConfig::default())?;
        let work = self.work_dir()?;
        let watched = ProgressReader::new(rootfs, |done_bytes| {
            progress.report(ProgressEvent::Receiving { done_bytes });
        });
        let stream = Decoder::new(watched).map_err(|error| Error::Import(UnpackError::Tar(TarError::Read(error))))?;
        let dir = work.path().join("layer");
        std::fs::create_dir(&dir).map_err(Error::file("make directory", &dir))?;
        let (unpacked, stream) =
            unpack::unpack(HashingReader::new(stream), &dir, self.limits).map_err(Error::Import)?;
        let diff_id = DiffId(stream.finish());
        let chain_id = ChainId::on(None, diff_id);
        progress.report(ProgressEvent::Unpacked { layer: diff_id, size_bytes: unpacked.size_bytes });
        let document = serde_json::to_vec(&image_config(import, config, diff_id)).map_err(Error::Encode)?;
        let id = ImageId(Digest::of(&document));
        let layer = NewLayer { chain_id, diff_id, parent: None, size_bytes: unpacked.size_bytes, dir };
        let image = NewImage {
            id,
            document,
            top: Some(chain_id),
            references: import.reference.iter().cloned().map(|name| name.or_latest()).collect(),
        };
        let (_lease, _) = self.lease(vec![chain_id])?;
        self.publish(&[layer], &[image], import.created.as_millisecond())?;
        Ok(id)
    }
}

fn image_config(import: &Import, config: ContainerConfig, diff_id: DiffId) -> ImageConfig {
    ImageConfig {
        parent: None,
        architecture: import.platform.architecture.clone(),
        variant: import.platform.variant.clone(),
        os: import.platform.os.clone(),
        author: String::new(),
        comment: import.message.clone(),
        created: Some(import.created),
        config,
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id] },
        history: vec![HistoryEntry {
            created: Some(import.created),
            comment: import.message.clone(),
            ..HistoryEntry::default()
        }],
    }
}

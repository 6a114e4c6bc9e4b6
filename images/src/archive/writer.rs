//! Writes image archives that every tool reads: an OCI image layout which also has the `manifest.json` of a docker-archive, as
//! Docker itself has written them since version 25. Layers are stored uncompressed, and the same images always give the same
//! bytes.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::docker::MANIFEST;
use super::oci::{FULL_NAME, INDEX, REF_NAME};
use crate::digest::{DiffId, Digest, HashingReader, ImageId};
use crate::reference::Reference;

/// Images on their way into an archive.
pub(crate) struct Writer<W: Write> {
    tar: Builder<W>,
    written: BTreeSet<Digest>,
    /// Of `index.json`.
    descriptors: Vec<Value>,
    /// Of `manifest.json`.
    items: Vec<Value>,
}

/// A blob's digest and size.
#[derive(Clone, Copy)]
pub(crate) struct Descriptor {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(output: W) -> io::Result<Self> {
        let mut writer =
            Self { tar: Builder::new(output), written: BTreeSet::new(), descriptors: Vec::new(), items: Vec::new() };
        writer.directory("blobs/")?;
        writer.directory("blobs/sha256/")?;
        Ok(writer)
    }

    /// Adds a layer, unless it is there.
    pub(crate) fn layer(&mut self, layer: DiffId, tar: impl Read, size_bytes: u64) -> io::Result<Descriptor> {
        if self.written.insert(layer.0) {
            let mut tar = HashingReader::new(tar);
            self.member(&blob_path(&layer.0), size_bytes, &mut tar)?;
            let found = tar.finish();
            if found != layer.0 {
                let text = format!("layer {layer} is damaged: made into a tar again, its digest is {found}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(Descriptor { digest: layer.0, size_bytes })
    }

    /// Adds an image whose layers have been added.
    pub(crate) fn image(
        &mut self,
        id: ImageId,
        document: &[u8],
        layers: &[Descriptor],
        references: &[Reference],
    ) -> io::Result<()> {
        self.blob(id.0, document)?;
        let describe = |media_type: &str, Descriptor { digest, size_bytes }: Descriptor| json!({"mediaType": media_type, "digest": digest, "size": size_bytes});
        let config = Descriptor { digest: id.0, size_bytes: document.len() as u64 };
        let layer = |layer: &Descriptor| describe("application/vnd.oci.image.layer.v1.tar", *layer);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": describe("application/vnd.oci.image.config.v1+json", config),
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string();
        let digest = Digest::of(manifest.as_bytes());
        self.blob(digest, manifest.as_bytes())?;
        let size_bytes = manifest.len() as u64;
        let descriptor = describe("application/vnd.oci.image.manifest.v1+json", Descriptor { digest, size_bytes });
        if references.is_empty() {
            self.descriptors.push(descriptor.clone());
        }
        for reference in references {
            let mut named = descriptor.clone();
            named["annotations"] =
                json!({FULL_NAME: reference.to_string(), REF_NAME: reference.tag().unwrap_or_default()});
            self.descriptors.push(named);
        }
        let tags: Vec<_> = references.iter().map(Reference::familiar).collect();
        self.items.push(json!({
            "Config": blob_path(&id.0),
            "RepoTags": if tags.is_empty() { Value::Null } else { tags.into() },
            "Layers": layers.iter().map(|layer| blob_path(&layer.digest)).collect::<Vec<_>>(),
        }));
        Ok(())
    }

    /// Adds the documents that lead to the images, and ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": self.descriptors,
        });
        let items = Value::from(std::mem::take(&mut self.items));
        self.document(INDEX, &index)?;
        self.document(MANIFEST, &items)?;
        self.document("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
        self.tar.into_inner()?.flush()
    }

    fn blob(&mut self, digest: Digest, content: &[u8]) -> io::Result<()> {
        match self.written.insert(digest) {
            true => self.member(&blob_path(&digest), content.len() as u64, content),
            false => Ok(()),
        }
    }

    fn document(&mut self, name: &str, document: &Value) -> io::Result<()> {
        let text = document.to_string();
        self.member(name, text.len() as u64, text.as_bytes())
    }

    fn member(&mut self, name: &str, size_bytes: u64, content: impl Read) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(size_bytes);
        self.tar.append_data(&mut header, name, content)
    }

    fn directory(&mut self, name: &str) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        self.tar.append_data(&mut header, name, io::empty())
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

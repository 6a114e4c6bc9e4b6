//! Takes an archive into a directory of its own, hashing each member on the way.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::ArchiveError;
use crate::compression::Decoder;
use crate::config::DOCUMENT_BYTES_MAX;
use crate::digest::Digest;
use crate::progress::{Progress, ProgressEvent, ProgressReader};
use crate::tarball::{Member, MemberKind, TarReader};

/// An image has at most some hundred layers, an archive some images.
const MEMBERS_MAX: usize = 100_000;
const COPY_BYTES: usize = 256 * 1024;
const ALIASES_MAX: usize = 8;

/// A member of the archive in a file of ours, which its name in the archive has no influence on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) digest: Digest,
}

/// An archive's members.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: TempDir,
    blobs: BTreeMap<String, Blob>,
    /// Links within the archive: older Dockers name a layer that two images share twice.
    aliases: BTreeMap<String, String>,
    /// So far. A name may come more than once, each time with a file of its own.
    members: usize,
}

impl Spool {
    /// Takes in all of `archive`, below `parent_dir`.
    pub(crate) fn receive(
        archive: impl Read,
        parent_dir: &Path,
        limit_bytes: u64,
        progress: &dyn Progress,
    ) -> Result<Self, ArchiveError> {
        let dir =
            tempfile::Builder::new().prefix("archive-").tempdir_in(parent_dir).map_err(failed("make a directory"))?;
        let mut spool = Self { dir, blobs: BTreeMap::new(), aliases: BTreeMap::new(), members: 0 };
        let watched = ProgressReader::new(archive, |done_bytes| {
            progress.report(ProgressEvent::Receiving { done_bytes });
        });
        let stream = Decoder::new(watched).map_err(|error| ArchiveError::Tar(crate::tarball::TarError::Read(error)))?;
        let mut tar = TarReader::new(stream);
        let mut size_bytes: u64 = 0;
        while let Some(member) = tar.next_member().map_err(ArchiveError::Tar)? {
            size_bytes = size_bytes.saturating_add(member.size_bytes);
            if size_bytes > limit_bytes {
                return Err(ArchiveError::TooLarge(limit_bytes));
            }
            spool.take(&member, &mut tar)?;
        }
        // A cut in the compressed stream shows only at its end.
        tar.drain().map_err(ArchiveError::Tar)?;
        Ok(spool)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(super) fn blob(&self, name: &str) -> Result<&Blob, ArchiveError> {
        self.find(name).ok_or_else(|| ArchiveError::Missing(name.to_owned()))
    }

    /// The blob of an OCI layout, which must be what its name says.
    pub(super) fn blob_by_digest(&self, digest: &Digest) -> Result<&Blob, ArchiveError> {
        let name = format!("blobs/sha256/{}", digest.hex());
        let blob = self.blob(&name)?;
        super::check_digest(&name, *digest, blob.digest)?;
        Ok(blob)
    }

    /// A whole member in memory, if it is as small as documents are.
    pub(super) fn document(&self, name: &str, blob: &Blob) -> Result<Vec<u8>, ArchiveError> {
        if blob.size_bytes > DOCUMENT_BYTES_MAX {
            return Err(ArchiveError::Member {
                name: name.to_owned(),
                reason: "is larger than any document of an image",
            });
        }
        fs::read(&blob.path).map_err(failed("read a document"))
    }

    fn find(&self, name: &str) -> Option<&Blob> {
        let mut name = name;
        for _ in 0..ALIASES_MAX {
            match self.aliases.get(name) {
                Some(target) => name = target,
                None => return self.blobs.get(name),
            }
        }
        None
    }

    fn take<R: Read>(&mut self, member: &Member, tar: &mut TarReader<R>) -> Result<(), ArchiveError> {
        let wrong = |reason| ArchiveError::Member { name: String::from_utf8_lossy(&member.path).into_owned(), reason };
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(wrong("has a name that isn't UTF-8")),
        };
        if self.members == MEMBERS_MAX {
            return Err(wrong("is one too many: no image archive has as many members"));
        }
        self.members += 1;
        let name = resolve("", &text(&member.path)?);
        match &member.kind {
            MemberKind::File { segments: None } => {
                let path = self.dir.path().join(self.members.to_string());
                let blob = copy(tar, path, member.size_bytes)?;
                self.aliases.remove(&name);
                self.blobs.insert(name, blob);
            }
            MemberKind::HardLink => {
                self.aliases.insert(name, resolve("", &text(&member.link)?));
            }
            MemberKind::SymbolicLink => {
                let dir = name.rsplit_once('/').map_or("", |(dir, _)| dir);
                let target = resolve(dir, &text(&member.link)?);
                self.aliases.insert(name, target);
            }
            MemberKind::Directory => {}
            _ => return Err(wrong("is neither a file, a directory nor a link")),
        }
        Ok(())
    }
}

fn copy<R: Read>(tar: &mut TarReader<R>, path: PathBuf, size_bytes: u64) -> Result<Blob, ArchiveError> {
    let mut file = File::create(&path).map_err(failed("make a file"))?;
    let mut hasher = Sha256::new();
    let capacity = usize::try_from(size_bytes).unwrap_or(usize::MAX).clamp(1, COPY_BYTES);
    let mut buffer = vec![0; capacity];
    loop {
        let read = tar.read_data(&mut buffer).map_err(ArchiveError::Tar)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(failed("write a file"))?;
    }
    let digest = Digest::from_hash(hasher);
    Ok(Blob { path, size_bytes, digest })
}

/// Names in an archive are only compared with each other: `./a//b`, and `../b` as seen from `x`, both lose their dots.
fn resolve(dir: &str, name: &str) -> String {
    let mut components: Vec<&str> = Vec::new();
    for component in dir.split('/').chain(name.split('/')) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop();
            }
            component => components.push(component),
        }
    }
    components.join("/")
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> ArchiveError {
    move |source| ArchiveError::Spool { doing, source }
}

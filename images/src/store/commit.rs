//! What a container changed: told, and made an image of.

use std::collections::BTreeSet;
use std::io::{self, PipeWriter};
use std::path::{Path, PathBuf};

use super::layers::{NewImage, NewLayer};
use super::{Commit, Store, between_steps};
use crate::change::apply;
use crate::config::{HistoryEntry, ImageConfig};
use crate::diff::{self, FileChange};
use crate::digest::{ChainId, DiffId, Digest, HashingReader, ImageId};
use crate::error::Error;
use crate::files::{PackError, Packer, Style, Tree};
use crate::unpack::{self, Unpacked};

/// A layer that came of a container, unless it changed nothing.
struct Committed {
    unpacked: Unpacked,
    diff_id: DiffId,
    is_empty: bool,
}

impl Store {
    /// What a container changed, by path.
    pub fn changes(&self, container_id: &str) -> Result<Vec<FileChange>, Error> {
        let rootfs = self.rootfs(container_id)?;
        diff::changes(&rootfs.upper, &rootfs.lowers).map_err(Error::Changes)
    }

    /// Makes an image of a container: of its image, and what it changed as one more layer. What the container writes
    /// meanwhile may be in it or not.
    pub fn commit(&self, container_id: &str, commit: &Commit) -> Result<ImageId, Error> {
        let config = apply(&commit.changes, commit.config.clone())?;
        let rootfs = self.rootfs(container_id)?;
        let image = self.get(&commit.image.to_string())?;
        // The container and its image may be removed meanwhile.
        let (_below, _) = self.lease(image.layers.clone())?;
        let work = self.work_dir()?;
        let dir = work.path().join("layer");
        std::fs::create_dir(&dir).map_err(Error::file("make directory", &dir))?;
        let hidden = diff::mount_points_of(&rootfs.upper, &rootfs.lowers).map_err(Error::Changes)?;
        let Committed { unpacked, diff_id, is_empty } = self.take_in(&rootfs.upper, &hidden, &dir)?;
        let parent = image.layers.last().copied();
        let mut image = ImageConfig {
            author: commit.author.clone(),
            comment: commit.comment.clone(),
            created: Some(commit.created),
            config,
            ..image.config
        };
        image.history.push(HistoryEntry {
            created: Some(commit.created),
            created_by: commit.created_by.clone(),
            author: commit.author.clone(),
            comment: commit.comment.clone(),
            empty_layer: is_empty,
        });
        let (mut layers, mut top) = (Vec::new(), parent);
        if !is_empty {
            image.rootfs.diff_ids.push(diff_id);
            let chain_id = ChainId::on(parent, diff_id);
            unpack::inherit(&dir.join("diff"), &unpacked.implied, &rootfs.lowers).map_err(Error::Commit)?;
            layers.push(NewLayer { chain_id, diff_id, parent, size_bytes: unpacked.size_bytes, dir });
            top = Some(chain_id);
        }
        between_steps();
        let document = serde_json::to_vec(&image).map_err(Error::Encode)?;
        let id = ImageId(Digest::of(&document));
        let references = commit.reference.iter().cloned().map(|name| name.or_latest()).collect();
        let (_new, _) = self.lease(top.into_iter().collect())?;
        self.publish(&layers, &[NewImage { id, document, top, references }], commit.created.as_millisecond())?;
        Ok(id)
    }

    /// Packs what the container changed and unpacks that as any other layer, so that its tar can be made again.
    fn take_in(&self, upper: &Path, hidden: &BTreeSet<PathBuf>, dir: &Path) -> Result<Committed, Error> {
        let (reader, writer) = io::pipe().map_err(Error::file("make a pipe for", upper))?;
        std::thread::scope(|scope| {
            let packing = scope.spawn(|| pack(upper, hidden, writer));
            let unpacked = unpack::unpack(HashingReader::new(reader), dir, self.limits);
            let packed = packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (packed, unpacked) {
                // Whoever can't write to the pipe any more has its reader to blame.
                (Err(PackError::Write(_)), Err(error)) | (Ok(_), Err(error)) => Err(Error::Commit(error)),
                (Err(error), _) => Err(Error::Pack(error)),
                (Ok(members), Ok((unpacked, reader))) => {
                    Ok(Committed { unpacked, diff_id: DiffId(reader.finish()), is_empty: members == 0 })
                }
            }
        })
    }
}

/// Answers how many members there are.
fn pack(upper: &Path, hidden: &BTreeSet<PathBuf>, output: PipeWriter) -> Result<u64, PackError> {
    let tree = Tree::open(upper).map_err(crate::files::ReadError::at(upper))?;
    let mut packer = Packer::new(io::BufWriter::with_capacity(64 * 1024, output), Style::Layer);
    packer.add_below(&tree, &|path| !hidden.contains(path))?;
    let members = packer.members();
    packer.finish()?;
    Ok(members)
}

//! The changes of a container: listed, and committed as an image.

use super::layers::NewImage;
use super::{Commit, Store, between_steps};
use crate::change::apply_written;
use crate::config::{HistoryEntry, ImageConfig};
use crate::diff::{self, FileChange};
use crate::digest::{Digest, ImageId};
use crate::error::Error;
use crate::files;

impl Store {
    /// What a container changed, by path.
    pub fn changes(&self, container_id: &str) -> Result<Vec<FileChange>, Error> {
        let rootfs = self.rootfs(container_id)?;
        diff::changes(&rootfs.upper, &rootfs.lowers).map_err(Error::Changes)
    }

    /// Makes an image of a container: of its image, and what it changed as one more layer. What the container writes
    /// meanwhile may be in it or not.
    pub fn commit(&self, container_id: &str, commit: &Commit) -> Result<ImageId, Error> {
        let config = apply_written(&commit.changes, commit.config.clone())?;
        let rootfs = self.rootfs(container_id)?;
        let image = self.get(&commit.image.to_string())?;
        // The container and its image may be removed meanwhile.
        let (_below, _) = self.lease(image.layers.clone())?;
        let work = self.work_dir()?;
        let hidden = diff::mount_points_of(&rootfs.upper, &rootfs.lowers).map_err(Error::Changes)?;
        let parent = image.layers.last().copied();
        let pack = |pipe| files::pack_layer(&rootfs.upper, &hidden, None, pipe);
        let (layer, members) = self.make_layer(parent, work.path(), pack)?;
        let is_empty = members == 0;
        let mut image = ImageConfig {
            author: commit.author.clone(),
            comment: commit.comment.clone(),
            created: Some(commit.created),
            config,
            parent: Some(commit.image),
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
            image.rootfs.diff_ids.push(layer.diff_id);
            top = Some(layer.chain_id);
            layers.push(layer);
        }
        between_steps();
        let document = serde_json::to_vec(&image).map_err(Error::Encode)?;
        let id = ImageId(Digest::of(&document));
        let references = commit.reference.iter().cloned().map(|name| name.or_latest()).collect();
        let (_new, _) = self.lease(top.into_iter().collect())?;
        self.publish(&layers, &[NewImage { id, document, top, references }], commit.created.as_millisecond())?;
        Ok(id)
    }
}

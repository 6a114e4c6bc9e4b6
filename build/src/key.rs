//! The cache key of a step: one digest of all that decides about its result.

use std::io;
use std::os::unix::ffi::OsStrExt;

use images::files::Tree;
use images::tarball::MemberKind;
use images::{ChainId, ContainerConfig, Digest};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::stage::StageState;
use super::tree_search::FoundFile;

/// Changed when the same instruction comes to mean something else.
const VERSION: u32 = 2;

/// What a step follows: the configuration and the topmost layer.
#[derive(Serialize)]
struct Parent<'a> {
    version: u32,
    config: &'a ContainerConfig,
    author: &'a str,
    platform: String,
    top: Option<ChainId>,
}

/// The digest of all that later steps see of a stage.
pub(super) fn parent_key(state: &StageState) -> Digest {
    let parent_key = Parent {
        version: VERSION,
        config: &state.config,
        author: &state.author,
        platform: state.platform.to_string(),
        top: state.top,
    };
    of(&parent_key)
}

/// The digest of a value.
pub(super) fn of(value: &impl Serialize) -> Digest {
    Digest::of(&serde_json::to_vec(value).expect("strings, numbers and lists of them have JSON forms"))
}

/// A digest of files: names, kinds, modes and contents, not times.
#[derive(Default)]
pub(super) struct ContentHash(Sha256);

impl ContentHash {
    /// A text of any length, told apart from those around it.
    pub(super) fn text(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Something that was found in a tree; its owner counts if it is kept.
    pub(super) fn file(&mut self, tree: &Tree, found: &FoundFile, has_owner: bool) -> io::Result<()> {
        let Some(entry) = tree.entry(&found.path)? else { return Ok(()) };
        let Some(member) = entry.member(found.relative.as_os_str().as_bytes())? else { return Ok(()) };
        self.text(&member.path);
        self.text(format!("{:?} {:o} {}", member.kind, member.mode, member.size_bytes).as_bytes());
        if has_owner {
            self.text(format!("{}:{}", member.uid, member.gid).as_bytes());
        }
        self.text(&member.link);
        for (name, value) in &member.xattrs {
            self.text(name);
            self.text(value);
        }
        if matches!(member.kind, MemberKind::File { .. }) {
            self.text(Digest::of_reader(entry.open_file()?)?.to_string().as_bytes());
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Digest {
        Digest::from_hash(self.0)
    }
}

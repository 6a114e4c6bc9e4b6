//! The files of a `COPY` or `ADD`, each at its path in the layer: a directory is filled through the symbolic links that
//! lead to it, of the image and of what was copied before, and never outside of the root.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use images::files::{Tree, follow_links, plain};
use images::tarball::{Member, MemberKind};
use rustix::fs::FileType;

use super::copy_layer::{Destination, Layer, Preserve};
use super::copy_step::Piece;
use super::tree_search::{FoundFile, WalkDecision, find};
use super::{StepError, owner};

const DIRECTORY_MODE: u32 = 0o755;

/// What a tar's member is filled from.
pub(super) enum Content<'a> {
    Nothing,
    Of(&'a Tree, PathBuf),
    File(&'a Path),
    Text(&'a str),
}

impl<'a> Content<'a> {
    pub(super) fn open(self) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Nothing => Box::new(io::empty()),
            Self::Of(tree, path) => Box::new(tree.file(&path)?),
            Self::File(path) => Box::new(File::open(path)?),
            Self::Text(text) => Box::new(text.as_bytes()),
        })
    }
}

/// A member of the layer's tar.
pub(super) struct Entry<'a> {
    pub(super) member: Member,
    pub(super) content: Content<'a>,
    /// Which file it is, if that has several names.
    pub(super) inode: Option<(u64, u64)>,
}

/// Where the sources go.
pub(super) struct CopyTarget {
    pub(super) path: PathBuf,
    is_dir: bool,
}

impl CopyTarget {
    /// The path of a file that is called `name`.
    pub(super) fn of(&self, name: Option<&str>, source: &str) -> Result<PathBuf, StepError> {
        match (self.is_dir, name) {
            (false, _) => Ok(self.path.clone()),
            (true, Some(name)) => Ok(self.path.join(name)),
            (true, None) => {
                Err(StepError::Invalid(format!("{source} has no file name: say what to call it in the destination")))
            }
        }
    }
}

/// What is at a path.
enum Existing {
    Nothing,
    Directory,
    /// A symbolic link, and where it leads.
    Link(PathBuf),
    Other,
}

/// Times of what is copied, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Of what has none of its own.
    pub(super) now_seconds: i64,
    /// Of all that the context brings, if `SOURCE_DATE_EPOCH` sets it: when somebody fetched or unpacked the context says
    /// nothing of it.
    pub(super) context_seconds: Option<i64>,
}

/// The members of the layer's tar, by their paths.
pub(super) struct Entries<'a> {
    layer: &'a Layer,
    owner: Option<(u32, u32)>,
    /// What the files are copied to.
    root: &'a Tree,
    times: Times,
    /// No path leads through a link.
    all: BTreeMap<PathBuf, Entry<'a>>,
    /// The directory that the last one went to, as it was named and as it is: others of it follow.
    last_parent: Option<(PathBuf, PathBuf)>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(layer: &'a Layer, root: &'a Tree, times: Times) -> Result<Self, StepError> {
        let owner = layer.owner.as_deref().map(|text| owner::ids(text, root)).transpose()?;
        Ok(Self { layer, owner, root, times, all: BTreeMap::new(), last_parent: None })
    }

    pub(super) fn place(&self, sources: usize) -> Result<CopyTarget, StepError> {
        let Destination { text, working_dir, .. } = &self.layer.destination;
        let named_as_dir = text.ends_with('/') || matches!(text.rsplit('/').next(), Some("." | ".."));
        let whole = if text.starts_with('/') { text.clone() } else { format!("{working_dir}/{text}") };
        let path = self.real(&plain(&whole))?;
        let is_there = matches!(self.look(&path)?, Existing::Directory);
        let is_dir = named_as_dir || is_there || self.layer.parents;
        if sources > 1 && !is_dir {
            return Err(StepError::Invalid(format!(
                "with more than one source, the destination must be a directory: write it as {text}/"
            )));
        }
        Ok(CopyTarget { path, is_dir })
    }

    pub(super) fn add_tree(&mut self, tree: &'a Tree, piece: &Piece, place: &CopyTarget) -> Result<(), StepError> {
        let Piece::Tree { name, is_dir: is_directory, parent, entries, .. } = piece else { return Ok(()) };
        let base = if self.layer.parents { place.path.join(parent) } else { place.path.clone() };
        let base = match (is_directory, self.layer.parents) {
            (true, false) => base,
            (true, true) => base.join(name),
            (false, _) if place.is_dir => base.join(name),
            (false, _) => base,
        };
        for found in entries {
            self.add_found(tree, found, &base, self.layer.kept)?;
        }
        Ok(())
    }

    pub(super) fn add_archive(&mut self, tree: &'a Tree, base: &Path) -> Result<(), StepError> {
        let trouble = StepError::file("read an unpacked archive");
        let all = find(tree, Path::new(""), &mut |_, _| WalkDecision::It).map_err(trouble)?;
        all.iter().try_for_each(|found| self.add_found(tree, found, base, Preserve::Owner))
    }

    fn add_found(&mut self, tree: &'a Tree, found: &FoundFile, base: &Path, kept: Preserve) -> Result<(), StepError> {
        let is_base = found.relative.as_os_str().is_empty();
        let named = if is_base { base.to_owned() } else { base.join(&found.relative) };
        let path = if found.is_dir() { self.real(&named)? } else { self.in_real_parent(&named)? };
        if found.is_dir() {
            match self.look(&path)? {
                // A directory's content is copied; the one that it comes to is as it is, if it is there.
                Existing::Directory if is_base || path.as_os_str().is_empty() => return Ok(()),
                // Or it is new: what it was called and whose it was where it comes from doesn't matter here.
                Existing::Nothing if is_base && !self.layer.parents => {
                    self.add_new_directory(path);
                    return Ok(());
                }
                Existing::Directory | Existing::Nothing => {}
                Existing::Link(_) | Existing::Other => return Err(no_directory(&path)),
            }
        }
        let trouble = || StepError::file(format!("look at {}", found.path.display()));
        let Some(entry) = tree.entry(&found.path).map_err(trouble())? else { return Ok(()) };
        let Some(mut member) = entry.member(&[]).map_err(trouble())? else { return Ok(()) };
        self.adapt(&mut member, kept);
        if let (Some(seconds), Preserve::Nothing) = (self.times.context_seconds, kept) {
            member.mtime_seconds = seconds;
        }
        let has_names = !found.is_dir() && found.stat.st_nlink > 1;
        let content = match found.is_file() {
            true => Content::Of(tree, found.path.clone()),
            false => Content::Nothing,
        };
        let inode = has_names.then_some((found.stat.st_dev, found.stat.st_ino));
        self.insert(path, Entry { member, content, inode });
        Ok(())
    }

    /// A file that is in no tree; without a time of its own it is of now.
    pub(super) fn add_own(
        &mut self,
        named: &Path,
        (mode, size_bytes, mtime_seconds): (u32, u64, Option<i64>),
        content: Content<'a>,
    ) -> Result<(), StepError> {
        let mut member =
            member(MemberKind::File { segments: None }, mode, mtime_seconds.unwrap_or(self.times.now_seconds));
        member.size_bytes = size_bytes;
        self.adapt(&mut member, Preserve::Nothing);
        let path = self.in_real_parent(named)?;
        self.insert(path, Entry { member, content, inode: None });
        Ok(())
    }

    /// Makes a directory. Answers whether it isn't there yet.
    pub(super) fn add_directory(&mut self, named: &Path) -> Result<bool, StepError> {
        let path = self.real(named)?;
        match self.look(&path)? {
            Existing::Directory => return Ok(false),
            Existing::Nothing => self.add_new_directory(path),
            Existing::Link(_) | Existing::Other => {
                return Err(StepError::Invalid(format!("Cannot mkdir: {} is not a directory", named.display())));
            }
        }
        Ok(true)
    }

    fn add_new_directory(&mut self, path: PathBuf) {
        let mut member = member(MemberKind::Directory, DIRECTORY_MODE, self.times.now_seconds);
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        (member.uid, member.gid) = (uid.into(), gid.into());
        self.insert(path, Entry { member, content: Content::Nothing, inode: None });
    }

    fn adapt(&self, member: &mut Member, kept: Preserve) {
        match (self.owner, kept) {
            (Some((uid, gid)), _) => (member.uid, member.gid) = (uid.into(), gid.into()),
            (None, Preserve::Nothing) => (member.uid, member.gid) = (0, 0),
            (None, Preserve::Owner) => {}
        }
        if let Some(mode) = self.layer.mode.as_ref().filter(|_| member.kind != MemberKind::SymbolicLink) {
            member.mode = mode.apply(member.mode, member.kind == MemberKind::Directory);
        }
    }

    /// Puts something at a path that leads through no link. It takes the place of what is there, and of all below that.
    fn insert(&mut self, path: PathBuf, entry: Entry<'a>) {
        if entry.member.kind != MemberKind::Directory {
            let behind = self.all.range::<Path, _>((Bound::Excluded(path.as_path()), Bound::Unbounded));
            let below: Vec<PathBuf> =
                behind.map(|(other, _)| other).take_while(|other| other.starts_with(&path)).cloned().collect();
            below.iter().for_each(|other| drop(self.all.remove(other)));
        }
        let is_link = entry.member.kind == MemberKind::SymbolicLink;
        if self.all.insert(path, entry).is_some() || is_link {
            // Paths may lead elsewhere now.
            self.last_parent = None;
        }
    }

    /// A path with all links followed, the last one too, when everything so far is in its place.
    fn real(&self, named: &Path) -> Result<PathBuf, StepError> {
        let leads_to = |path: &Path| match self.at(path)? {
            Existing::Link(target) => Ok(Some(target)),
            _ => Ok(None),
        };
        follow_links(named, leads_to).map_err(trouble(named))
    }

    /// The same, but what it ends in is left as it is.
    fn in_real_parent(&mut self, named: &Path) -> Result<PathBuf, StepError> {
        let (Some(parent), Some(name)) = (named.parent(), named.file_name()) else { return Ok(named.to_owned()) };
        if let Some((known, real)) = &self.last_parent
            && known == parent
        {
            return Ok(real.join(name));
        }
        let real = self.real(parent)?;
        let path = real.join(name);
        self.last_parent = Some((parent.to_owned(), real));
        Ok(path)
    }

    /// What is at a path that leads through no link.
    fn look(&self, path: &Path) -> Result<Existing, StepError> {
        self.at(path).map_err(trouble(path))
    }

    fn at(&self, path: &Path) -> io::Result<Existing> {
        if path.as_os_str().is_empty() {
            return Ok(Existing::Directory);
        }
        if let Some(Entry { member, .. }) = self.all.get(path) {
            return Ok(match member.kind {
                MemberKind::Directory => Existing::Directory,
                MemberKind::SymbolicLink => Existing::Link(OsStr::from_bytes(&member.link).into()),
                _ => Existing::Other,
            });
        }
        if self.layer.destination.is_link {
            return Ok(Existing::Nothing);
        }
        // The mark of a lower layer that nothing stands below, too, says that nothing is there.
        let entry = self.root.entry(path)?.filter(|entry| !entry.is_whiteout());
        let Some(entry) = entry else { return Ok(Existing::Nothing) };
        Ok(match entry.leads_to()? {
            Some(target) => Existing::Link(target),
            None if entry.kind() == FileType::Directory => Existing::Directory,
            None => Existing::Other,
        })
    }

    /// All of it, with the directories that nothing brings and that aren't there.
    pub(super) fn with_parents(mut self) -> Result<BTreeMap<PathBuf, Entry<'a>>, StepError> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for path in self.all.keys() {
            // Where one was seen, so were those above it.
            for parent in path.ancestors().skip(1).take_while(|parent| seen.insert(*parent)) {
                match self.look(parent)? {
                    Existing::Directory => {}
                    Existing::Nothing => missing.push(parent.to_owned()),
                    Existing::Link(_) | Existing::Other => return Err(no_directory(parent)),
                }
            }
        }
        missing.into_iter().for_each(|path| self.add_new_directory(path));
        Ok(self.all)
    }
}

fn trouble(path: &Path) -> impl FnOnce(io::Error) -> StepError {
    StepError::file(format!("look at {} of the stage", Path::new("/").join(path).display()))
}

fn no_directory(path: &Path) -> StepError {
    StepError::Invalid(format!("cannot copy to non-directory: /{}", path.display()))
}

fn member(kind: MemberKind, mode: u32, mtime_seconds: i64) -> Member {
    Member { mtime_seconds, ..Member::new(Vec::new(), kind, mode) }
}

#[cfg(test)]
mod tests;

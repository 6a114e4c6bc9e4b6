//! The layer that `COPY`, `ADD` and `WORKDIR` make: where everything goes, and the tar of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::copy_step::Piece;
use super::found::{Found, Keep, find};
use super::mode::Mode;
use super::schedule::Build;
use super::{StepError, owner};
use crate::compression::Decoder;
use crate::digest::ChainId;
use crate::files::{PackError, ReadError, Tree, plain};
use crate::store::StepLayer;
use crate::tarball::{Member, MemberKind, TarWriter};
use crate::unpack;

const FETCHED_MODE: u32 = 0o600;
const TEXT_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;
/// Where a tar says in its first block that it is one.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// How a layer of copied files is made.
pub(super) struct Layer {
    /// `--chown`
    pub(super) owner: Option<String>,
    /// `--chmod`
    pub(super) mode: Option<Mode>,
    pub(super) kept: Kept,
    /// For `ADD`: whether archives are unpacked, if it says so.
    pub(super) unpack: Option<Option<bool>>,
    pub(super) parents: bool,
    pub(super) destination: Destination,
    pub(super) top: Option<ChainId>,
}

/// What files keep of where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// They are root's.
    Nothing,
    Owner,
}

/// Where the files go.
pub(super) struct Destination {
    pub(super) text: String,
    pub(super) working_dir: String,
    /// The links of what is below aren't followed.
    pub(super) is_link: bool,
}

/// What a tar's member is filled from.
enum Content<'a> {
    Nothing,
    Of(&'a Tree, PathBuf),
    File(&'a Path),
    Text(&'a str),
}

impl<'a> Content<'a> {
    fn open(self) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Nothing => Box::new(io::empty()),
            Self::Of(tree, path) => Box::new(tree.file(&path)?),
            Self::File(path) => Box::new(File::open(path)?),
            Self::Text(text) => Box::new(text.as_bytes()),
        })
    }
}

struct Entry<'a> {
    member: Member,
    content: Content<'a>,
    /// Which file it is, if that has several names.
    inode: Option<(u64, u64)>,
}

/// Makes the layer.
pub(super) fn make(
    build: &Build<'_>,
    layer: &Layer,
    root: &Tree,
    origin: &Tree,
    pieces: &[Piece],
) -> Result<StepLayer, StepError> {
    let owner = layer.owner.as_deref().map(|text| owner::ids(text, &owner::reader(root))).transpose()?;
    let archives = pieces.iter().map(|piece| archive(build, layer, origin, piece)).collect::<Result<Vec<_>, _>>()?;
    let mut entries = Entries { layer, owner, root, now_seconds: build.now().as_second(), all: BTreeMap::new() };
    let place = entries.place(pieces.len())?;
    for (piece, archive) in pieces.iter().zip(&archives) {
        match (piece, archive) {
            (_, Some(archive)) => entries.add_archive(&archive.tree, &place.path)?,
            (Piece::Tree { .. }, None) => entries.add_tree(origin, piece, &place)?,
            (Piece::Fetched { name, url, file }, None) => {
                let path = place.of(name.as_deref(), url)?;
                let content = Content::File(&file.path);
                let length = file.path.metadata().map(|metadata| metadata.len());
                let length = length.map_err(StepError::file(format!("look at what came from {url}")))?;
                let modified = file.modified_seconds.unwrap_or(0);
                entries.add_own(path, FETCHED_MODE, length, modified, content);
            }
            (Piece::Text { name, content }, None) => {
                let path = place.of(Some(name), name)?;
                let now = entries.now_seconds;
                entries.add_own(path, TEXT_MODE, content.len() as u64, now, Content::Text(content));
            }
        }
    }
    entries.add_parents()?;
    write(build, layer.top, entries.all)
}

/// Makes a layer with a directory, if it isn't there.
pub(super) fn make_directory(
    build: &Build<'_>,
    top: Option<ChainId>,
    root: &Tree,
    path: &str,
) -> Result<Option<StepLayer>, StepError> {
    let trouble = || StepError::file(format!("look at {path} of the stage"));
    let real = root.real(Path::new(path)).map_err(trouble())?;
    if root.is_dir(&real).map_err(trouble())? {
        return Ok(None);
    }
    let destination = Destination { text: path.to_owned(), working_dir: String::new(), is_link: false };
    let layer = Layer { owner: None, mode: None, kept: Kept::Nothing, unpack: None, parents: false, destination, top };
    let mut entries =
        Entries { layer: &layer, owner: None, root, now_seconds: build.now().as_second(), all: BTreeMap::new() };
    let now = entries.now_seconds;
    entries.add_directory(real, now);
    entries.add_parents()?;
    write(build, top, entries.all).map(Some)
}

/// Where the sources go.
struct Place {
    path: PathBuf,
    is_dir: bool,
}

impl Place {
    /// The path of a file that is called `name`.
    fn of(&self, name: Option<&str>, source: &str) -> Result<PathBuf, StepError> {
        match (self.is_dir, name) {
            (false, _) => Ok(self.path.clone()),
            (true, Some(name)) => Ok(self.path.join(name)),
            (true, None) => {
                Err(StepError::Invalid(format!("{source} has no file name: say what to call it in the destination")))
            }
        }
    }
}

/// The members of the layer's tar, by their paths.
struct Entries<'a> {
    layer: &'a Layer,
    owner: Option<(u32, u32)>,
    /// What the files are copied to.
    root: &'a Tree,
    now_seconds: i64,
    all: BTreeMap<PathBuf, Entry<'a>>,
}

impl<'a> Entries<'a> {
    fn place(&self, sources: usize) -> Result<Place, StepError> {
        let Destination { text, working_dir, is_link } = &self.layer.destination;
        let named_as_dir = text.ends_with('/') || matches!(text.rsplit('/').next(), Some("." | ".."));
        let whole = if text.starts_with('/') { text.clone() } else { format!("{working_dir}/{text}") };
        let named = plain(&whole);
        let trouble = || StepError::file(format!("look at {whole} of the stage"));
        let (path, is_there) = match is_link {
            true => (named, false),
            false => {
                let real = self.root.real(&named).map_err(trouble())?;
                let is_there = self.root.is_dir(&real).map_err(trouble())?;
                (real, is_there)
            }
        };
        let is_dir = named_as_dir || is_there || self.layer.parents || path.as_os_str().is_empty();
        if sources > 1 && !is_dir {
            return Err(StepError::Invalid(format!(
                "with more than one source, the destination must be a directory: write it as {text}/"
            )));
        }
        Ok(Place { path, is_dir })
    }

    fn add_tree(&mut self, tree: &'a Tree, piece: &Piece, place: &Place) -> Result<(), StepError> {
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

    fn add_archive(&mut self, tree: &'a Tree, base: &Path) -> Result<(), StepError> {
        let trouble = StepError::file("read an unpacked archive");
        let all = find(tree, Path::new(""), &mut |_, _| Keep::It).map_err(trouble)?;
        all.iter().try_for_each(|found| self.add_found(tree, found, base, Kept::Owner))
    }

    fn add_found(&mut self, tree: &'a Tree, found: &Found, base: &Path, kept: Kept) -> Result<(), StepError> {
        let is_base = found.relative.as_os_str().is_empty();
        let path = if is_base { base.to_owned() } else { base.join(&found.relative) };
        let trouble = || StepError::file(format!("look at {}", path.display()));
        // A directory's content is copied; the one that it comes to is as it is, if it is there.
        let is_there = is_base && found.is_dir() && self.root.is_dir(&path).map_err(trouble())?;
        if is_there || path.as_os_str().is_empty() {
            return Ok(());
        }
        let Some(entry) = tree.entry(&found.path).map_err(trouble())? else { return Ok(()) };
        let Some(mut member) = entry.member(&[]).map_err(trouble())? else { return Ok(()) };
        self.adapt(&mut member, kept);
        let has_names = !found.is_dir() && found.stat.st_nlink > 1;
        let content = match found.is_file() {
            true => Content::Of(tree, found.path.clone()),
            false => Content::Nothing,
        };
        let inode = has_names.then_some((found.stat.st_dev, found.stat.st_ino));
        self.all.insert(path, Entry { member, content, inode });
        Ok(())
    }

    /// A file that is in no tree.
    fn add_own(&mut self, path: PathBuf, mode: u32, size_bytes: u64, mtime_seconds: i64, content: Content<'a>) {
        let mut member = member(MemberKind::File { segments: None }, mode, mtime_seconds);
        member.size_bytes = size_bytes;
        self.adapt(&mut member, Kept::Nothing);
        self.all.insert(path, Entry { member, content, inode: None });
    }

    fn add_directory(&mut self, path: PathBuf, mtime_seconds: i64) {
        let mut member = member(MemberKind::Directory, DIRECTORY_MODE, mtime_seconds);
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        (member.uid, member.gid) = (uid.into(), gid.into());
        self.all.insert(path, Entry { member, content: Content::Nothing, inode: None });
    }

    fn adapt(&self, member: &mut Member, kept: Kept) {
        match (self.owner, kept) {
            (Some((uid, gid)), _) => (member.uid, member.gid) = (uid.into(), gid.into()),
            (None, Kept::Nothing) => (member.uid, member.gid) = (0, 0),
            (None, Kept::Owner) => {}
        }
        if let Some(mode) = self.layer.mode.as_ref().filter(|_| member.kind != MemberKind::SymbolicLink) {
            member.mode = mode.apply(member.mode, member.kind == MemberKind::Directory);
        }
    }

    /// Directories that nothing brings and that aren't there.
    fn add_parents(&mut self) -> Result<(), StepError> {
        let mut wanted = Vec::new();
        for path in self.all.keys() {
            for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
                if self.all.contains_key(parent) || wanted.iter().any(|other| other == parent) {
                    continue;
                }
                let trouble = || StepError::file(format!("look at /{} of the stage", parent.display()));
                if !self.layer.destination.is_link && self.root.is_dir(parent).map_err(trouble())? {
                    continue;
                }
                if !self.layer.destination.is_link && matches!(self.root.entry(parent), Ok(Some(_))) {
                    let text = format!("cannot copy to non-directory: /{}", parent.display());
                    return Err(StepError::Invalid(text));
                }
                wanted.push(parent.to_owned());
            }
        }
        let now = self.now_seconds;
        wanted.into_iter().for_each(|parent| self.add_directory(parent, now));
        Ok(())
    }
}

fn member(kind: MemberKind, mode: u32, mtime_seconds: i64) -> Member {
    Member { mtime_seconds, ..Member::new(Vec::new(), kind, mode) }
}

/// Makes the layer of its members, in the order of their paths.
fn write(
    build: &Build<'_>,
    top: Option<ChainId>,
    entries: BTreeMap<PathBuf, Entry<'_>>,
) -> Result<StepLayer, StepError> {
    build.add_layer(top, move |pipe| {
        let mut tar = TarWriter::new(io::BufWriter::new(pipe));
        let mut names: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
        for (path, Entry { mut member, content, inode }) in entries {
            member.path = path.as_os_str().as_bytes().to_vec();
            member.mtime_seconds = build.clamp(member.mtime_seconds);
            if let Some(first) = inode.and_then(|inode| names.get(&inode)) {
                member.kind = MemberKind::HardLink;
                member.link.clone_from(first);
                member.size_bytes = 0;
                tar.append(&member, &mut io::empty()).map_err(PackError::Write)?;
                continue;
            }
            if let Some(inode) = inode {
                names.insert(inode, member.path.clone());
            }
            if member.kind == MemberKind::Directory {
                member.path.push(b'/');
            }
            let mut content = content.open().map_err(ReadError::at(&path))?;
            tar.append(&member, &mut content).map_err(PackError::Write)?;
        }
        tar.finish().map(drop).map_err(PackError::Write)
    })
}

/// An archive that `ADD` unpacks.
struct Archive {
    tree: Tree,
    /// Where it is unpacked; it goes with the step.
    _dir: tempfile::TempDir,
}

fn archive(build: &Build<'_>, layer: &Layer, origin: &Tree, piece: &Piece) -> Result<Option<Archive>, StepError> {
    let Some(wish) = layer.unpack else { return Ok(None) };
    let (file, name) = match piece {
        Piece::Tree { is_dir: false, real, name, .. } if wish != Some(false) => {
            (origin.file(real), name.to_string_lossy().into_owned())
        }
        // What comes from a URL is unpacked only if it is said to be.
        Piece::Fetched { url, file, .. } if wish == Some(true) => (File::open(&file.path), url.clone()),
        _ => return Ok(None),
    };
    let trouble = || StepError::file(format!("read {name}"));
    let mut file = file.map_err(trouble())?;
    let unreadable =
        |error: io::Error| StepError::Invalid(format!("{name}: {error}; or copy it as it is with --unpack=false"));
    if !is_archive(&file).map_err(unreadable)? {
        return match wish {
            Some(true) => Err(StepError::Invalid(format!("--unpack: {name} isn't a tar archive"))),
            _ => Ok(None),
        };
    }
    io::Seek::rewind(&mut file).map_err(trouble())?;
    let dir = tempfile::tempdir_in(build.context.work_dir()).map_err(trouble())?;
    let tar = Decoder::new(file).map_err(trouble())?;
    unpack::unpack_plain(tar, dir.path(), build.store.limits())
        .map_err(|source| StepError::Archive { name: name.clone(), source })?;
    let tree = Tree::open(&dir.path().join("diff")).map_err(trouble())?;
    Ok(Some(Archive { tree, _dir: dir }))
}

/// Whether a file is a tar, compressed or not; an error if it is compressed in a way that nothing here knows.
fn is_archive(file: &File) -> io::Result<bool> {
    let mut block = [0; 512];
    let mut content = Decoder::new(file)?;
    // What can't be decompressed is no archive, but a file like any other.
    match content.read_exact(&mut block) {
        Ok(()) => Ok(&block[TAR_MAGIC] == b"ustar"),
        Err(_) => Ok(false),
    }
}

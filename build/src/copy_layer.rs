//! The layer that `COPY`, `ADD` and `WORKDIR` make: what becomes of each source, and the tar of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use images::files::{self, PackError, ReadError, Tree};
use images::steps::StepLayer;
use images::tarball::{MemberKind, TarWriter};
use images::{ChainId, decompressed};

use super::copy_entries::{Content, Entries, Entry, Times};
use super::copy_step::Piece;
use super::mode::Mode;
use super::schedule::Build;
use super::{StepError, owner};

const FETCHED_MODE: u32 = 0o600;
const TEXT_MODE: u32 = 0o644;
/// Where a tar says in its first block that it is one.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// How a layer of copied files is made.
pub(super) struct Layer {
    /// `--chown`
    pub(super) owner: Option<String>,
    /// `--chmod`
    pub(super) mode: Option<Mode>,
    pub(super) kept: Preserve,
    /// For `ADD`: whether archives are unpacked, if it says so.
    pub(super) unpack: Option<Option<bool>>,
    pub(super) parents: bool,
    pub(super) destination: Destination,
    pub(super) top: Option<ChainId>,
}

/// What files keep of where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preserve {
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

/// Makes the layer.
pub(super) fn make(
    build: &Build<'_>,
    layer: &Layer,
    root: &Tree,
    origin: &Tree,
    pieces: &[Piece],
) -> Result<StepLayer, StepError> {
    let mut entries = Entries::new(layer, root, times(build))?;
    let archives = pieces.iter().map(|piece| archive(build, layer, origin, piece)).collect::<Result<Vec<_>, _>>()?;
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
                entries.add_own(&path, (FETCHED_MODE, length, Some(modified)), content)?;
            }
            (Piece::Text { name, content }, None) => {
                let path = place.of(Some(name), name)?;
                entries.add_own(&path, (TEXT_MODE, content.len() as u64, None), Content::Text(content))?;
            }
        }
    }
    write(build, layer.top, entries.with_parents()?)
}

/// Makes a layer with a directory of this user's, if it isn't there. Of somebody whom the image doesn't know it is root's.
pub(super) fn make_directory(
    build: &Build<'_>,
    top: Option<ChainId>,
    root: &Tree,
    (path, user): (&str, &str),
) -> Result<Option<StepLayer>, StepError> {
    let owner = match owner::ids(user, root) {
        Ok(_) => Some(user.to_owned()),
        Err(StepError::Owner(users::Error::UnknownUser(_) | users::Error::UnknownGroup(_))) => None,
        Err(error) => return Err(error),
    };
    let destination = Destination { text: path.to_owned(), working_dir: String::new(), is_link: false };
    let layer = Layer { owner, mode: None, kept: Preserve::Nothing, unpack: None, parents: false, destination, top };
    let mut entries = Entries::new(&layer, root, times(build))?;
    match entries.add_directory(Path::new(path))? {
        true => write(build, top, entries.with_parents()?).map(Some),
        false => Ok(None),
    }
}

fn times(build: &Build<'_>) -> Times {
    Times { now_seconds: build.now().as_second(), context_seconds: build.epoch }
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
            files::check_layer_name(&path)?;
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
    let tar = decompressed(file).map_err(trouble())?;
    let unpacked = build.store.unpack_files(tar, dir.path());
    let root = unpacked.map_err(|source| StepError::Archive { name: name.clone(), source })?;
    let tree = Tree::open(&root).map_err(trouble())?;
    Ok(Some(Archive { tree, _dir: dir }))
}

/// Whether a file is a tar, compressed or not; an error if it is compressed in a way that nothing here knows.
fn is_archive(file: &File) -> io::Result<bool> {
    let mut block = [0; 512];
    let mut content = decompressed(file)?;
    // What can't be decompressed is no archive, but a file like any other.
    match content.read_exact(&mut block) {
        Ok(()) => Ok(&block[TAR_MAGIC] == b"ustar"),
        Err(_) => Ok(false),
    }
}

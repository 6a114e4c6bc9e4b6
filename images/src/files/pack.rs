//! Packs files into a tar.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};

use super::{Entry, ReadError, Tree, resolve};
use crate::error::ErrorKind;
use crate::tarball::{Member, MemberKind, TarWriter};

/// proc, sysfs, cgroup, cgroup2, devpts and mqueue, by the numbers of statfs(2).
const KERNEL_FILE_SYSTEMS: [u32; 6] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x1cd1, 0x1980_0202];
/// As many as a pipe holds.
const BUFFER_BYTES: usize = 64 * 1024;
/// What overlayfs marks directories with.
const OPAQUE: &str = "trusted.overlay.opaque";
const REDIRECT: &str = "trusted.overlay.redirect";
/// What a layer's tar marks them with.
const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";
const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// Why files can't be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Overlayfs was let rename a directory of a lower layer in place.
    #[error("{} was renamed by overlayfs's redirect_dir, which layers can't say", path.display())]
    Redirected {
        /// Its new name.
        path: PathBuf,
    },
    /// A file whose name would mean in a layer that another one is deleted.
    #[error("/{} can't be in an image: in its layers, names that begin with '.wh.' mark what is deleted; rename or delete it", path.display())]
    ReservedName {
        /// From the root.
        path: PathBuf,
    },
    /// The tar can't be written: whoever wants it may be gone.
    #[error("can't write the archive")]
    Write(#[source] io::Error),
}

impl PackError {
    /// What a caller can do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::ReservedName { .. } => ErrorKind::Conflict,
            _ => ErrorKind::Internal,
        }
    }

    /// Whether whoever read the tar gave up, for reasons of its own.
    pub(crate) fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// What becomes of overlayfs's marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// There are none: it is a file system as its users see it.
    Files,
    /// It is an upper directory, to become a layer in which nothing is newer than this.
    Layer { latest_seconds: Option<i64> },
}

/// Writes what has this path below `root`, with all below it, as `docker cp` expects it: named by the path's last
/// component, a directory's content below that name.
pub fn pack_path(root: impl AsFd, path: &Path, output: impl Write) -> Result<(), PackError> {
    let root = root.as_fd();
    let top = resolve::open(root, path, OFlags::PATH | resolve::no_follow(path))
        .map_err(|errno| ReadError::at(path)(errno.into()))?;
    let name = match resolve::base(path) {
        // What is in it is then named `/bin`; clients put a directory's name before that.
        root if root == "/" => "".into(),
        name => name,
    };
    pack_tree(&Tree::new(top), &name, output)
}

/// Writes a tree under this name: its top, which needn't be a directory, with all below it.
pub(crate) fn pack_tree(tree: &Tree, name: &OsStr, output: impl Write) -> Result<(), PackError> {
    let mut packer = Packer::new(output, Style::Files);
    packer.add(tree, name)?;
    packer.finish().map(drop)
}

/// Writes everything below `root`, as `docker export` does.
pub fn pack_root(root: impl AsFd, output: impl Write) -> Result<(), PackError> {
    let top = root.as_fd().try_clone_to_owned().map_err(ReadError::at(Path::new("/")))?;
    let mut packer = Packer::new(output, Style::Files);
    packer.add_below(&Tree::new(top), &|_| true)?;
    packer.finish().map(drop)
}

/// Writes an upper directory as a layer's tar, without what is hidden. Times after `latest_seconds`, since 1970, become that.
/// Answers how many members the tar has.
///
/// # Errors
/// A file can't be read or has no place in a layer, or the tar can't be written.
pub fn pack_layer(
    upper: &Path,
    hidden: &BTreeSet<PathBuf>,
    latest_seconds: Option<i64>,
    output: impl Write,
) -> Result<u64, PackError> {
    let tree = Tree::open(upper).map_err(ReadError::at(upper))?;
    let output = io::BufWriter::with_capacity(BUFFER_BYTES, output);
    let mut packer = Packer::new(output, Style::Layer { latest_seconds });
    packer.add_below(&tree, &|path| !hidden.contains(path))?;
    packer.finish()
}

/// A tar in the making.
struct Packer<W> {
    tar: TarWriter<W>,
    style: Style,
    /// Files with several names, and the first of them.
    linked: HashMap<(u64, u64), Vec<u8>>,
    members: u64,
}

impl<W: Write> Packer<W> {
    fn new(output: W, style: Style) -> Self {
        Self { tar: TarWriter::new(output), style, linked: HashMap::new(), members: 0 }
    }

    /// Adds the top of a tree under a name, and all below it.
    fn add(&mut self, tree: &Tree, name: &OsStr) -> Result<(), PackError> {
        let top = Path::new("");
        let Some(entry) = tree.entry(top).map_err(ReadError::at(top))? else { return Ok(()) };
        self.member(top, name.as_bytes(), &entry)?;
        if is_of_the_kernel(&entry).map_err(ReadError::at(top))? {
            return Ok(());
        }
        let prefix = name.as_bytes();
        tree.walk(top, |path, entry| {
            self.chosen(path, &[prefix, b"/", path.as_os_str().as_bytes()].concat(), entry, &|_| true)
        })
    }

    /// Adds all below the top of a tree that `choose` agrees to, named by their paths.
    fn add_below(&mut self, tree: &Tree, choose: &dyn Fn(&Path) -> bool) -> Result<(), PackError> {
        tree.walk(Path::new(""), |path, entry| self.chosen(path, path.as_os_str().as_bytes(), entry, choose))
    }

    /// Ends the tar; answers how many members it has.
    fn finish(self) -> Result<u64, PackError> {
        self.tar.finish().map_err(PackError::Write)?;
        Ok(self.members)
    }

    fn chosen(
        &mut self,
        path: &Path,
        name: &[u8],
        entry: &Entry,
        choose: &dyn Fn(&Path) -> bool,
    ) -> Result<bool, PackError> {
        let chosen = choose(path);
        if chosen {
            self.member(path, name, entry)?;
        }
        Ok(chosen && !is_of_the_kernel(entry).map_err(ReadError::at(path))?)
    }

    fn member(&mut self, path: &Path, name: &[u8], entry: &Entry) -> Result<(), PackError> {
        let failed = |source| ReadError::at(path)(source);
        if self.is_layer() {
            check_layer_name(path)?;
            if entry.is_whiteout() {
                return self.marker(whiteout(name));
            }
        }
        let Some(mut member) = entry.member(name).map_err(failed)? else { return Ok(()) };
        if let Style::Layer { latest_seconds: Some(latest) } = self.style {
            member.mtime_seconds = member.mtime_seconds.min(latest);
        }
        if member.kind == MemberKind::Directory {
            return self.directory(path, member, entry);
        }
        if let Some(earlier) = self.earlier_name(entry, name) {
            let link =
                Member { link: earlier, size_bytes: 0, xattrs: Vec::new(), kind: MemberKind::HardLink, ..member };
            return self.append(&link, &mut io::empty());
        }
        match member.kind {
            MemberKind::File { .. } => {
                let file = entry.open_file().map_err(failed)?;
                // It may shrink and grow meanwhile; its size has been promised.
                self.append(&member, &mut file.take(member.size_bytes).chain(io::repeat(0)))
            }
            _ => self.append(&member, &mut io::empty()),
        }
    }

    fn directory(&mut self, path: &Path, mut member: Member, entry: &Entry) -> Result<(), PackError> {
        let failed = |source| ReadError::at(path)(source);
        member.path.push(b'/');
        if !self.is_layer() {
            return self.append(&member, &mut io::empty());
        }
        if entry.xattr(REDIRECT.as_ref()).map_err(failed)?.is_some() {
            return Err(PackError::Redirected { path: path.to_owned() });
        }
        self.append(&member, &mut io::empty())?;
        match is_opaque(entry).map_err(failed)? {
            true => self.marker([&member.path[..], OPAQUE_MARKER].concat()),
            false => Ok(()),
        }
    }

    fn is_layer(&self) -> bool {
        matches!(self.style, Style::Layer { .. })
    }

    /// The name under which the same file was added before.
    fn earlier_name(&mut self, entry: &Entry, name: &[u8]) -> Option<Vec<u8>> {
        if entry.stat.st_nlink < 2 {
            return None;
        }
        let file = (entry.stat.st_dev, entry.stat.st_ino);
        let earlier = self.linked.get(&file).cloned();
        if earlier.is_none() {
            self.linked.insert(file, name.to_vec());
        }
        earlier
    }

    /// An empty file whose name says something.
    fn marker(&mut self, path: Vec<u8>) -> Result<(), PackError> {
        self.append(&Member::new(path, MemberKind::File { segments: None }, 0o600), &mut io::empty())
    }

    fn append(&mut self, member: &Member, content: &mut dyn Read) -> Result<(), PackError> {
        self.members += 1;
        self.tar.append(member, content).map_err(PackError::Write)
    }
}

/// Whether what is in a directory are no files but views of the kernel: their sizes are made up, and some never end. Where
/// Docker copies from, nothing is mounted there.
fn is_of_the_kernel(entry: &Entry) -> io::Result<bool> {
    if entry.kind() != FileType::Directory {
        return Ok(false);
    }
    let kind = rustix::fs::fstatfs(entry)?.f_type;
    Ok(KERNEL_FILE_SYSTEMS.contains(&(kind as u32)))
}

/// `dir/name` hidden is `dir/.wh.name`.
fn whiteout(name: &[u8]) -> Vec<u8> {
    let begin = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    [&name[..begin], WHITEOUT_PREFIX, &name[begin..]].concat()
}

/// Refuses a file's path that would hide another one in a layer; those above it are refused by themselves.
///
/// # Errors
/// [`PackError::ReservedName`]
pub fn check_layer_name(path: &Path) -> Result<(), PackError> {
    match path.file_name().is_some_and(|name| name.as_bytes().starts_with(WHITEOUT_PREFIX)) {
        true => Err(PackError::ReservedName { path: path.to_owned() }),
        false => Ok(()),
    }
}

pub(crate) fn is_opaque(entry: &Entry) -> io::Result<bool> {
    Ok(entry.xattr(OPAQUE.as_ref())?.as_deref() == Some(b"y"))
}

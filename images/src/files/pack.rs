//! Files become a tar.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use tar::{Builder, EntryType, Header};

use super::{Entry, ReadError, Tree, resolve};

/// The name under which the names and targets that a header has no room for are written (GNU).
const LONG_NAME: &[u8] = b"././@LongLink";
/// proc, sysfs, cgroup, cgroup2, devpts and mqueue, by the numbers of statfs(2).
const KERNEL_FILE_SYSTEMS: [u32; 6] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x1cd1, 0x1980_0202];
const OPAQUE: &str = "trusted.overlay.opaque";

/// Why files can't be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The tar can't be written: whoever wants it may be gone.
    #[error("can't write the archive")]
    Write(#[source] io::Error),
}

/// What becomes of overlayfs's marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// There are none: it is a file system as its users see it.
    Files,
    /// It is an upper directory, to become a layer.
    Layer,
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
    let mut packer = Packer::new(output, Style::Files);
    packer.add(&Tree::new(top), &name, &|_| true)?;
    packer.finish()
}

/// Writes everything below `root`, as `docker export` does.
pub fn pack_root(root: impl AsFd, output: impl Write) -> Result<(), PackError> {
    let top = root.as_fd().try_clone_to_owned().map_err(ReadError::at(Path::new("/")))?;
    let mut packer = Packer::new(output, Style::Files);
    packer.add_below(&Tree::new(top), &|_| true)?;
    packer.finish()
}

/// A tar in the making.
pub(crate) struct Packer<W: Write> {
    tar: Builder<W>,
    style: Style,
    /// Files with several names, and the first of them.
    linked: HashMap<(u64, u64), Vec<u8>>,
    members: u64,
}

impl<W: Write> Packer<W> {
    pub(crate) fn new(output: W, style: Style) -> Self {
        Self { tar: Builder::new(output), style, linked: HashMap::new(), members: 0 }
    }

    /// How many members have been written.
    pub(crate) fn members(&self) -> u64 {
        self.members
    }

    /// Adds the top of a tree under a name, and all below it.
    fn add(&mut self, tree: &Tree, name: &OsStr, choose: &dyn Fn(&Path) -> bool) -> Result<(), PackError> {
        let top = Path::new("");
        let Some(entry) = tree.entry(top).map_err(ReadError::at(top))? else { return Ok(()) };
        self.member(top, name.as_bytes(), &entry)?;
        if is_of_the_kernel(&entry).map_err(ReadError::at(top))? {
            return Ok(());
        }
        let prefix = name.as_bytes();
        tree.walk(top, |path, entry| {
            self.chosen(path, &[prefix, b"/", path.as_os_str().as_bytes()].concat(), entry, choose)
        })
    }

    /// Adds all below the top of a tree that `choose` agrees to, named by their paths.
    pub(crate) fn add_below(&mut self, tree: &Tree, choose: &dyn Fn(&Path) -> bool) -> Result<(), PackError> {
        tree.walk(Path::new(""), |path, entry| self.chosen(path, path.as_os_str().as_bytes(), entry, choose))
    }

    pub(crate) fn finish(self) -> Result<(), PackError> {
        self.tar.into_inner().and_then(|mut output| output.flush()).map_err(PackError::Write)
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
        if self.style == Style::Layer && entry.is_whiteout() {
            return self.marker(&whiteout(name));
        }
        let stat = &entry.stat;
        let mut header = header(entry);
        let mut link = Vec::new();
        let mut content: Box<dyn Read> = Box::new(io::empty());
        let mut name = name.to_vec();
        match entry.kind() {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                name.push(b'/');
            }
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                link = entry.link_target().map_err(failed)?.into_encoded_bytes();
            }
            FileType::RegularFile => match self.earlier_name(entry, &name) {
                Some(earlier) => {
                    header.set_entry_type(EntryType::Link);
                    link = earlier;
                }
                None => {
                    let size_bytes = u64::try_from(stat.st_size).unwrap_or_default();
                    header.set_size(size_bytes);
                    let file = entry.open_file().map_err(failed)?;
                    // It may shrink and grow meanwhile; its size has been promised.
                    content = Box::new(file.take(size_bytes).chain(io::repeat(0)).take(size_bytes));
                }
            },
            FileType::CharacterDevice => set_device(&mut header, EntryType::Char, stat.st_rdev).map_err(failed)?,
            FileType::BlockDevice => set_device(&mut header, EntryType::Block, stat.st_rdev).map_err(failed)?,
            FileType::Fifo => header.set_entry_type(EntryType::Fifo),
            // A socket is of the program that listens on it; tar has no word for it.
            _ => return Ok(()),
        }
        if matches!(entry.kind(), FileType::RegularFile | FileType::Directory) {
            let records = xattrs(entry).map_err(failed)?;
            let records = records.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            self.tar.append_pax_extensions(records).map_err(PackError::Write)?;
        }
        self.append(header, &name, &link, content).map_err(PackError::Write)?;
        self.members += 1;
        if self.style == Style::Layer && entry.kind() == FileType::Directory && is_opaque(entry).map_err(failed)? {
            self.marker(&[&name[..], b".wh..wh..opq"].concat())?;
        }
        Ok(())
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
    fn marker(&mut self, name: &[u8]) -> Result<(), PackError> {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(0);
        self.members += 1;
        self.append(header, name, &[], io::empty()).map_err(PackError::Write)
    }

    fn append(&mut self, mut header: Header, name: &[u8], link: &[u8], content: impl Read) -> io::Result<()> {
        self.set_name(&mut header, EntryType::GNULongName, name)?;
        self.set_name(&mut header, EntryType::GNULongLink, link)?;
        header.set_cksum();
        self.tar.append(&header, content)
    }

    /// Writes a name or a link's target as it is: the `tar` crate would refuse what begins with a slash.
    fn set_name(&mut self, header: &mut Header, kind: EntryType, text: &[u8]) -> io::Result<()> {
        let old = header.as_old_mut();
        let field = if kind == EntryType::GNULongName { &mut old.name } else { &mut old.linkname };
        let kept = text.len().min(field.len());
        field[..kept].copy_from_slice(&text[..kept]);
        if text.len() <= field.len() {
            return Ok(());
        }
        let mut long = Header::new_gnu();
        long.as_old_mut().name[..LONG_NAME.len()].copy_from_slice(LONG_NAME);
        long.set_entry_type(kind);
        long.set_size(text.len() as u64 + 1);
        long.set_mode(0o644);
        long.set_cksum();
        self.tar.append(&long, text.chain(&[0][..]))
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

/// Attributes as PAX records.
fn xattrs(entry: &Entry) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut records = Vec::new();
    for name in entry.xattr_names()? {
        if is_portable(name.as_bytes())
            && let (Some(text), Some(value)) = (name.to_str(), entry.xattr(&name)?)
        {
            records.push((format!("SCHILY.xattr.{text}"), value));
        }
    }
    Ok(records)
}

fn header(entry: &Entry) -> Header {
    let stat = &entry.stat;
    let mut header = Header::new_gnu();
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
    header.set_size(0);
    header
}

fn set_device(header: &mut Header, kind: EntryType, device: u64) -> io::Result<()> {
    header.set_entry_type(kind);
    header.set_device_major(rustix::fs::major(device))?;
    header.set_device_minor(rustix::fs::minor(device))
}

/// `dir/name` hidden is `dir/.wh.name`.
fn whiteout(name: &[u8]) -> Vec<u8> {
    let begin = name.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    [&name[..begin], b".wh.", &name[begin..]].concat()
}

pub(crate) fn is_opaque(entry: &Entry) -> io::Result<bool> {
    Ok(entry.xattr(OPAQUE.as_ref())?.as_deref() == Some(b"y"))
}

/// Attributes that mean the same elsewhere. Others are of this file system or of this machine's policies.
fn is_portable(name: &[u8]) -> bool {
    name == b"security.capability" || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

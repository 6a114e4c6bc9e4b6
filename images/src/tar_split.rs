//! tar-split: what it takes to make a layer's tar again, byte for byte: everything in it but the contents of files, which are on
//! disk already.
//!
//! An unpacked layer has lost the order of its members, their headers and their padding, and with them its digest. tar-split data
//! keep those while the tar is read, as a stream of records compressed with zstd; replayed beside the layer's directory they
//! give the same tar. Files that a later member of the same tar replaced are kept for this in a directory of their own.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};

/// Raw bytes in one record, at most.
const RAW_BYTES: usize = 64 * 1024;
const FAST: i32 = 1;

/// A part of the tar.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Record {
    /// Bytes as they stand there.
    Raw(Vec<u8>),
    /// Bytes of a file.
    Content {
        /// Below the layer's root.
        #[serde(with = "path_bytes")]
        path: PathBuf,
        offset_bytes: u64,
        length_bytes: u64,
    },
    /// No bytes: what had this path until here is now in the directory of replaced things, under this number.
    Replaced {
        #[serde(with = "path_bytes")]
        path: PathBuf,
        number: u64,
    },
}

/// Paths as the bytes that they are: serde's own way takes none that isn't UTF-8.
mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| OsString::from_vec(bytes).into())
    }
}

/// Writes tar-split data while the tar is read.
pub(crate) struct Writer {
    out: zstd::Encoder<'static, BufWriter<File>>,
    raw: Vec<u8>,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let out = zstd::Encoder::new(BufWriter::new(File::create_new(path)?), FAST)?;
        Ok(Self { out, raw: Vec::with_capacity(RAW_BYTES) })
    }

    pub(crate) fn raw(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(RAW_BYTES - self.raw.len()));
            self.raw.extend_from_slice(taken);
            bytes = rest;
            if self.raw.len() == RAW_BYTES {
                self.flush_raw()?;
            }
        }
        Ok(())
    }

    pub(crate) fn content(&mut self, path: &Path, offset_bytes: u64, length_bytes: u64) -> io::Result<()> {
        if length_bytes == 0 {
            return Ok(());
        }
        self.record(&Record::Content { path: path.to_owned(), offset_bytes, length_bytes })
    }

    pub(crate) fn replaced(&mut self, path: &Path, number: u64) -> io::Result<()> {
        self.record(&Record::Replaced { path: path.to_owned(), number })
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush_raw()?;
        self.out.finish()?.into_inner().map_err(io::IntoInnerError::into_error).map(drop)
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.flush_raw()?;
        self.put(record)
    }

    fn flush_raw(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let raw = std::mem::replace(&mut self.raw, Vec::with_capacity(RAW_BYTES));
        self.put(&Record::Raw(raw))
    }

    fn put(&mut self, record: &Record) -> io::Result<()> {
        let bytes = postcard::to_stdvec(record).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&bytes)
    }
}

/// The records of tar-split data, in their order.
struct Records {
    input: zstd::Decoder<'static, BufReader<File>>,
}

impl Records {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { input: zstd::Decoder::new(File::open(path)?)? })
    }

    fn read(&mut self) -> io::Result<Option<Record>> {
        /// Longer ones aren't ours: paths are 4 KiB at most, raw bytes as above.
        const RECORD_BYTES_MAX: u32 = 2 * RAW_BYTES as u32;
        let mut length = [0; 4];
        match self.input.read(&mut length[..1])? {
            0 => return Ok(None),
            _ => self.input.read_exact(&mut length[1..])?,
        }
        let length = u32::from_le_bytes(length);
        if length > RECORD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a record is too long"));
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes)?;
        postcard::from_bytes(&bytes).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// A tar made again; reading it gives its bytes.
pub(crate) struct Tar {
    records: Records,
    /// Of the record that comes next.
    position: usize,
    /// At which record something was replaced, and where it went.
    replaced: Vec<(usize, PathBuf, u64)>,
    layer: OwnedFd,
    /// The directory of what was replaced, if anything was.
    replaced_dir: Option<OwnedFd>,
    size_bytes: u64,
    now: Now,
}

/// What is being read.
enum Now {
    Raw(io::Cursor<Vec<u8>>),
    Content { file: File, at: u64, end: u64 },
}

impl Tar {
    /// The tar that became the directory `layer`.
    pub(crate) fn open(tar_split: &Path, layer: &Path, replaced_dir: &Path) -> io::Result<Self> {
        let mut replaced = Vec::new();
        let mut records = Records::open(tar_split)?;
        let (mut position, mut size_bytes) = (0, 0);
        while let Some(record) = records.read()? {
            match record {
                Record::Raw(bytes) => size_bytes += bytes.len() as u64,
                Record::Content { length_bytes, .. } => size_bytes += length_bytes,
                Record::Replaced { path, number } => replaced.push((position, path, number)),
            }
            position += 1;
        }
        let directory = |path: &Path| Ok::<_, io::Error>(File::open(path)?.into());
        Ok(Self {
            records: Records::open(tar_split)?,
            position: 0,
            layer: directory(layer)?,
            replaced_dir: if replaced.is_empty() { None } else { Some(directory(replaced_dir)?) },
            replaced,
            size_bytes,
            now: Now::Raw(io::Cursor::default()),
        })
    }

    /// Of the whole tar.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Takes the next record. `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(record) = self.records.read()? else { return Ok(false) };
        match record {
            Record::Raw(bytes) => self.now = Now::Raw(io::Cursor::new(bytes)),
            Record::Content { path, offset_bytes, length_bytes } => {
                let file = self.open_content(&path)?;
                self.now = Now::Content { file, at: offset_bytes, end: offset_bytes.saturating_add(length_bytes) };
            }
            Record::Replaced { .. } => {}
        }
        self.position += 1;
        Ok(true)
    }

    fn open_content(&self, path: &Path) -> io::Result<File> {
        let later = self.replaced.iter().filter(|(position, ..)| *position > self.position);
        let moved = later.filter_map(|(_, replaced, number)| Some((path.strip_prefix(replaced).ok()?, number))).next();
        match (moved, &self.replaced_dir) {
            (Some((rest, number)), Some(dir)) => {
                let mut path = PathBuf::from(number.to_string());
                path.extend(rest.iter());
                open_within(dir, &path)
            }
            _ => open_within(&self.layer, path),
        }
    }
}

fn open_within(dir: impl AsFd, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(dir.as_fd(), path, flags, Mode::empty(), within).map(File::from).map_err(|errno| {
        let path = String::from_utf8_lossy(path.as_os_str().as_bytes());
        io::Error::new(io::Error::from(errno).kind(), format!("can't open {path:?} of the layer: {errno}"))
    })
}

impl Read for Tar {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = match &mut self.now {
                Now::Raw(bytes) => bytes.read(buffer)?,
                Now::Content { at, end, .. } if at == end => 0,
                Now::Content { file, at, end } => {
                    let wanted = usize::try_from(*end - *at).unwrap_or(usize::MAX).min(buffer.len());
                    let read = file.read_at(&mut buffer[..wanted], *at)?;
                    if read == 0 {
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file of the layer is too short"));
                    }
                    *at += read as u64;
                    read
                }
            };
            if read > 0 || !self.advance()? {
                return Ok(read);
            }
        }
    }
}

/// A reader that writes down what passes through it, but for what is said to be a file's content.
pub(crate) struct Recorder<R> {
    inner: R,
    writer: Writer,
    is_content: bool,
}

impl<R: Read> Recorder<R> {
    pub(crate) fn new(inner: R, writer: Writer) -> Self {
        Self { inner, writer, is_content: false }
    }

    /// What is read from now on is a file's content.
    pub(crate) fn begin_content(&mut self) {
        self.is_content = true;
    }

    /// What was read since was this.
    pub(crate) fn end_content(&mut self, path: &Path, offset_bytes: u64, length_bytes: u64) -> io::Result<()> {
        self.is_content = false;
        self.writer.content(path, offset_bytes, length_bytes)
    }

    pub(crate) fn replaced(&mut self, path: &Path, number: u64) -> io::Result<()> {
        self.writer.replaced(path, number)
    }

    /// Ends the tar-split data; hands the reader back.
    pub(crate) fn finish(self) -> io::Result<R> {
        self.writer.finish()?;
        Ok(self.inner)
    }
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if !self.is_content {
            self.writer.raw(&buffer[..read])?;
        }
        Ok(read)
    }
}

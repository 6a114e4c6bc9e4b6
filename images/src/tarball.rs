//! Reading tar streams member by member: old, POSIX (PAX) and GNU formats, sparse files, extended attributes.
//!
//! The `tar` crate supplies the layout of headers. Its own iterator isn't used because it splits PAX records at line
//! feeds (a binary attribute such as `security.capability` may contain one), keeps extension headers of any size in
//! memory, and doesn't know PAX sparse files.

mod header;
mod member;
mod pax;
mod sparse;
mod write;

use std::io::{self, Read};

use tar::{EntryType, Header};

use header::{checksum_is_right, device, is_extension, is_zero, number, signed_number};
pub use member::{Member, MemberKind};
use pax::Records;
pub use sparse::Segment;
pub use write::TarWriter;

const BLOCK_BYTES: usize = 512;
/// Names, attributes and sparse maps of one member together. Linux limits a file's attributes to 64 KiB each.
const EXTENSION_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What is wrong with a tar stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The stream can't be read or decompressed.
    #[error("the archive can't be read")]
    Read(#[source] io::Error),
    /// It doesn't begin as a tar does.
    #[error("it isn't a tar archive: give a tar, plain or compressed with gzip, zstd, bzip2 or xz")]
    NotTar,
    /// It ends too early.
    #[error("the archive is cut short after {after_bytes} bytes")]
    Truncated {
        /// How far it got, uncompressed.
        after_bytes: u64,
    },
    /// A header that isn't one.
    #[error("invalid tar header at byte {at_byte}: {reason}")]
    Header {
        /// Where.
        at_byte: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

impl TarError {
    /// Whether the stream is at fault, not the machine.
    pub(crate) fn is_content(&self) -> bool {
        match self {
            TarError::NotTar | TarError::Truncated { .. } | TarError::Header { .. } => true,
            TarError::Read(error) => {
                matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other)
            }
        }
    }
}

/// A tar stream. After each [`TarReader::next_member`], reading it gives that member's stored bytes.
pub(crate) struct TarReader<R> {
    inner: R,
    position_bytes: u64,
    /// Of the current member, not read yet.
    remaining_bytes: u64,
    padding_bytes: u64,
    buffer: Vec<u8>,
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, position_bytes: 0, remaining_bytes: 0, padding_bytes: 0, buffer: vec![0; 64 * 1024] }
    }

    /// What it reads from.
    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The next member; what was left of the one before is skipped.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, TarError> {
        let mut long_path = None;
        let mut long_link = None;
        let mut records = Records::default();
        let mut extension_bytes = 0;
        loop {
            self.skip_rest()?;
            let at_byte = self.position_bytes;
            let wrong = |reason| TarError::Header { at_byte, reason };
            let Some(header) = self.read_header()? else {
                let dangling = long_path.is_some() || long_link.is_some() || !records.is_empty();
                return match dangling {
                    true => Err(wrong("an extension header without a member")),
                    false => Ok(None),
                };
            };
            let size = number(&header.as_old().size).ok_or_else(|| wrong("invalid size"))?;
            let kind = header.entry_type();
            if !is_extension(kind) {
                return self
                    .describe(&header, size, records, long_path, long_link)
                    .map(Some)
                    .map_err(|error| error.at(at_byte));
            }
            self.expect_payload(size);
            extension_bytes += size;
            if extension_bytes > EXTENSION_BYTES_MAX {
                return Err(wrong("names and attributes of more than 8 MiB"));
            }
            let content = self.read_rest()?;
            match kind {
                EntryType::GNULongName => long_path = Some(until_nul(content)),
                EntryType::GNULongLink => long_link = Some(until_nul(content)),
                EntryType::XHeader => {
                    records = Records::parse(&content).ok_or_else(|| wrong("malformed PAX records"))?;
                }
                // A global header only carries comments (git's) in practice; Docker ignores it too.
                _ => {}
            }
        }
    }

    /// Reads the stream to its end, so that whoever hashes it has seen all of it.
    pub(crate) fn drain(mut self) -> Result<R, TarError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        while self.read_some(&mut buffer)? > 0 {}
        Ok(self.inner)
    }

    /// Reads up to the buffer's length of the current member; 0 at its end, never because the stream ended.
    pub(crate) fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let wanted = buffer.len().min(usize::try_from(self.remaining_bytes).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.read_some(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(self.truncated());
        }
        self.remaining_bytes -= read as u64;
        Ok(read)
    }

    fn describe(
        &mut self,
        header: &Header,
        header_size: u64,
        mut records: Records,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Member, MemberError> {
        let old = header.as_old();
        let mut path = records.take("path").or(long_path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = records
            .take("linkpath")
            .or(long_link)
            .or_else(|| header.link_name_bytes().map(|link| link.into_owned()))
            .unwrap_or_default();
        let stored_bytes = records.number("size")?.unwrap_or(header_size);
        let field = |bytes: &[u8], reason| number(bytes).ok_or(MemberError::Field(reason));
        let uid = match records.number("uid")? {
            Some(uid) => uid,
            None => field(&old.uid, "invalid uid")?,
        };
        let gid = match records.number("gid")? {
            Some(gid) => gid,
            None => field(&old.gid, "invalid gid")?,
        };
        let (mtime_seconds, mtime_nanoseconds) = match records.take("mtime") {
            Some(text) => pax::time(&text).ok_or(MemberError::Field("invalid mtime"))?,
            None => (signed_number(&old.mtime).ok_or(MemberError::Field("invalid mtime"))?, 0),
        };
        let mode = field(&old.mode, "invalid mode")?;
        let is_plain_file =
            matches!(header.entry_type(), EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse);
        // Only files have content; other members' size fields are ignored by everybody (Go, GNU tar).
        self.expect_payload(if is_plain_file { stored_bytes } else { 0 });
        let mut size_bytes = if is_plain_file { stored_bytes } else { 0 };
        let kind = match header.entry_type() {
            // Before POSIX, a directory was a file whose name ends in a slash.
            EntryType::Regular if path.ends_with(b"/") && header.as_ustar().is_none() => MemberKind::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let sparse = sparse::map(self, header, &mut records)?;
                if let Some(name) = records.take("GNU.sparse.name") {
                    path = name;
                }
                let segments = sparse.map(|map| {
                    size_bytes = map.size_bytes;
                    map.segments
                });
                MemberKind::File { segments }
            }
            EntryType::Link => MemberKind::HardLink,
            EntryType::Symlink => MemberKind::SymbolicLink,
            EntryType::Directory => MemberKind::Directory,
            EntryType::Fifo => MemberKind::Fifo,
            kind @ (EntryType::Char | EntryType::Block) => {
                let (major, minor) = device(header)?;
                match kind {
                    EntryType::Char => MemberKind::CharacterDevice { major, minor },
                    _ => MemberKind::BlockDevice { major, minor },
                }
            }
            _ => return Err(MemberError::Field("unknown kind of member")),
        };
        Ok(Member {
            path,
            kind,
            link,
            // The upper bits say what kind of file it is, which the header says already.
            mode: (mode & 0o7777) as u32,
            uid,
            gid,
            mtime_seconds,
            mtime_nanoseconds,
            size_bytes,
            xattrs: records.xattrs(),
        })
    }

    fn read_header(&mut self) -> Result<Option<Header>, TarError> {
        let at_byte = self.position_bytes;
        let mut header = Header::new_old();
        if !self.read_block(header.as_mut_bytes())? {
            return Ok(None);
        }
        if is_zero(header.as_bytes()) {
            // Two blocks of zeros end an archive; what follows is padding. One alone is a hole that readers disagree on.
            let mut second = [0; BLOCK_BYTES];
            return match self.read_block(&mut second)? && !is_zero(&second) {
                true => Err(TarError::Header { at_byte, reason: "a block of zeros between members" }),
                false => Ok(None),
            };
        }
        match checksum_is_right(&header) {
            true => Ok(Some(header)),
            false if at_byte == 0 => Err(TarError::NotTar),
            false => Err(TarError::Header { at_byte, reason: "wrong checksum" }),
        }
    }

    /// Fills a block. `false` if the stream ends exactly before it.
    fn read_block(&mut self, block: &mut [u8; BLOCK_BYTES]) -> Result<bool, TarError> {
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.read_some(&mut block[filled..])? {
                0 if filled == 0 => return Ok(false),
                // Not even a header: more likely something else than a cut.
                0 if self.position_bytes < BLOCK_BYTES as u64 => return Err(TarError::NotTar),
                0 => return Err(self.truncated()),
                read => filled += read,
            }
        }
        Ok(true)
    }

    fn read_rest(&mut self) -> Result<Vec<u8>, TarError> {
        let mut content = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = loop {
            match self.read_data(&mut buffer) {
                Ok(0) => break Ok(content),
                Ok(read) => content.extend_from_slice(&buffer[..read]),
                Err(error) => break Err(error),
            }
        };
        self.buffer = buffer;
        outcome
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = loop {
            match self.read_data(&mut buffer) {
                Ok(0) => break self.skip_padding(&mut buffer),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        self.buffer = buffer;
        outcome
    }

    /// Padding has nothing in it, and some writers (the docker client, when it puts a Dockerfile into a context) leave it
    /// out at the end.
    fn skip_padding(&mut self, buffer: &mut [u8]) -> Result<(), TarError> {
        while self.padding_bytes > 0 {
            let wanted = buffer.len().min(usize::try_from(self.padding_bytes).unwrap_or(usize::MAX));
            match self.read_some(&mut buffer[..wanted])? {
                0 => self.padding_bytes = 0,
                read => self.padding_bytes -= read as u64,
            }
        }
        Ok(())
    }

    fn expect_payload(&mut self, size_bytes: u64) {
        let block = BLOCK_BYTES as u64;
        self.remaining_bytes = size_bytes;
        self.padding_bytes = (block - size_bytes % block) % block;
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.inner.read(buffer) {
                Ok(read) => {
                    self.position_bytes += read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Decompressors say so where a file would just end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.truncated()),
                Err(error) => return Err(TarError::Read(error)),
            }
        }
    }

    fn truncated(&self) -> TarError {
        TarError::Truncated { after_bytes: self.position_bytes }
    }
}

/// What is wrong with one member; where it stands is known one level up.
enum MemberError {
    Field(&'static str),
    Tar(TarError),
}

impl MemberError {
    fn at(self, at_byte: u64) -> TarError {
        match self {
            MemberError::Field(reason) => TarError::Header { at_byte, reason },
            MemberError::Tar(error) => error,
        }
    }
}

impl From<TarError> for MemberError {
    fn from(error: TarError) -> Self {
        MemberError::Tar(error)
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
mod tests;

//! Writing tars, member by member: POSIX format, with PAX records where a header has no room.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::{BLOCK_BYTES, Member, MemberKind};

const NAME_BYTES: usize = 100;
/// What eleven octal digits hold.
const SIZE_MAX: u64 = 0o77_777_777_777;
/// What seven hold.
const ID_MAX: u64 = 0o7_777_777;

/// A tar in the making.
pub struct TarWriter<W> {
    inner: W,
}

impl<W: Write> TarWriter<W> {
    /// A tar that is written to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Adds a member. A file's content must have as many bytes as it says.
    ///
    /// # Errors
    /// It has fewer, or can't be read, or `inner` can't be written to.
    pub fn append(&mut self, member: &Member, content: &mut dyn Read) -> io::Result<()> {
        let size_bytes = match &member.kind {
            MemberKind::File { .. } => member.size_bytes,
            _ => 0,
        };
        let records = pax_records(member, size_bytes);
        if !records.is_empty() {
            let mut header = Header::new_ustar();
            header.as_old_mut().name[..3].copy_from_slice(b"pax");
            header.set_entry_type(EntryType::XHeader);
            header.set_mode(0o644);
            self.put(header, records.len() as u64, &mut &records[..])?;
        }
        self.put(header(member)?, size_bytes, content)
    }

    /// Ends the tar; hands the writer back.
    ///
    /// # Errors
    /// That can't be written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&[0; 2 * BLOCK_BYTES])?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn put(&mut self, mut header: Header, size_bytes: u64, content: &mut dyn Read) -> io::Result<()> {
        header.set_size(size_bytes.min(SIZE_MAX));
        header.set_cksum();
        self.inner.write_all(header.as_bytes())?;
        let copied = io::copy(&mut content.take(size_bytes), &mut self.inner)?;
        if copied != size_bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
        }
        let padding = usize::try_from(size_bytes.next_multiple_of(BLOCK_BYTES as u64) - size_bytes).unwrap_or(0);
        self.inner.write_all(&[0; BLOCK_BYTES][..padding])
    }
}

fn header(member: &Member) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    let kind = match &member.kind {
        MemberKind::File { .. } => EntryType::Regular,
        MemberKind::HardLink => EntryType::Link,
        MemberKind::SymbolicLink => EntryType::Symlink,
        MemberKind::CharacterDevice { major, minor } => {
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            EntryType::Char
        }
        MemberKind::BlockDevice { major, minor } => {
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            EntryType::Block
        }
        MemberKind::Directory => EntryType::Directory,
        MemberKind::Fifo => EntryType::Fifo,
    };
    header.set_entry_type(kind);
    header.set_mode(member.mode & 0o7777);
    header.set_uid(member.uid.min(ID_MAX));
    header.set_gid(member.gid.min(ID_MAX));
    header.set_mtime(u64::try_from(member.mtime_seconds).unwrap_or(0).min(SIZE_MAX));
    let old = header.as_old_mut();
    copy_into(&mut old.name, &member.path);
    copy_into(&mut old.linkname, &member.link);
    Ok(header)
}

fn copy_into(field: &mut [u8; NAME_BYTES], value: &[u8]) {
    let length = value.len().min(NAME_BYTES);
    field[..length].copy_from_slice(&value[..length]);
}

/// What the header has no room for.
fn pax_records(member: &Member, size_bytes: u64) -> Vec<u8> {
    let mut records = Vec::new();
    let mut put = |key: &[u8], value: &[u8]| records.extend_from_slice(&pax_record(key, value));
    if member.path.len() > NAME_BYTES {
        put(b"path", &member.path);
    }
    if member.link.len() > NAME_BYTES {
        put(b"linkpath", &member.link);
    }
    if size_bytes > SIZE_MAX {
        put(b"size", size_bytes.to_string().as_bytes());
    }
    if member.uid > ID_MAX {
        put(b"uid", member.uid.to_string().as_bytes());
    }
    if member.gid > ID_MAX {
        put(b"gid", member.gid.to_string().as_bytes());
    }
    let time_fits = u64::try_from(member.mtime_seconds).is_ok_and(|seconds| seconds <= SIZE_MAX);
    if !time_fits {
        put(b"mtime", member.mtime_seconds.to_string().as_bytes());
    }
    for (name, value) in &member.xattrs {
        put(&[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    records
}

/// `length key=value\n`, where the length counts itself.
fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() > rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} ").into_bytes();
    record.extend_from_slice(key);
    record.push(b'=');
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tarball::TarReader;

    fn member(path: &str, kind: MemberKind) -> Member {
        Member {
            path: path.into(),
            kind,
            link: Vec::new(),
            mode: 0o4755,
            uid: 1000,
            gid: 5,
            mtime_seconds: 1_700_000_000,
            mtime_nanoseconds: 0,
            size_bytes: 0,
            xattrs: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut file = member(&"long/".repeat(40), MemberKind::File { segments: None });
        file.size_bytes = 5;
        file.uid = 3_000_000_000;
        file.mtime_seconds = -7;
        file.xattrs = vec![(b"security.capability".to_vec(), b"a\nb=c\0".to_vec())];
        let mut link = member("link", MemberKind::SymbolicLink);
        link.link = b"../target/".repeat(20);
        let device = member("null", MemberKind::CharacterDevice { major: 1, minor: 3 });
        let mut writer = TarWriter::new(Vec::new());
        writer.append(&file, &mut &b"hello"[..]).unwrap();
        writer.append(&link, &mut io::empty()).unwrap();
        writer.append(&device, &mut io::empty()).unwrap();
        let tar = writer.finish().unwrap();
        let mut reader = TarReader::new(&tar[..]);
        for written in [file, link, device] {
            let read = reader.next_member().unwrap().unwrap();
            assert_eq!(format!("{read:?}"), format!("{written:?}"));
        }
        assert!(reader.next_member().unwrap().is_none());
    }

    #[test]
    fn a_file_that_is_too_short_is_an_error() {
        let mut file = member("x", MemberKind::File { segments: None });
        file.size_bytes = 5;
        assert!(TarWriter::new(Vec::new()).append(&file, &mut &b"hell"[..]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn records_count_themselves(key in "[a-z]{1,20}", value in ".{0,1100}") {
            let record = pax_record(key.as_bytes(), value.as_bytes());
            let length = String::from_utf8_lossy(&record).split(' ').next().unwrap().parse::<usize>().unwrap();
            proptest::prop_assert_eq!(length, record.len());
        }
    }
}

//! Files with holes: where the stored bytes belong. GNU's old format and the PAX formats 0.1 and 1.0.

use std::io::Read;

use tar::{EntryType, GnuExtSparseHeader, Header};

use super::pax::{self, Records};
use super::{BLOCK_BYTES, MemberError, TarReader, number};

/// More pieces than any file system would make of a file.
const SEGMENTS_MAX: usize = 1 << 20;

/// Stored bytes that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where they begin in the file.
    pub offset_bytes: u64,
    /// How many there are.
    pub length_bytes: u64,
}

pub(super) struct Map {
    pub(super) size_bytes: u64,
    pub(super) segments: Vec<Segment>,
}

const MALFORMED: MemberError = MemberError::Field("malformed map of a sparse file");

/// The map of a sparse file, `None` for an ordinary one. Leaves the reader at the first stored byte.
pub(super) fn map<R: Read>(
    reader: &mut TarReader<R>,
    header: &Header,
    records: &mut Records,
) -> Result<Option<Map>, MemberError> {
    let map = if header.entry_type() == EntryType::GNUSparse {
        old_gnu(reader, header)?
    } else if records.any("GNU.sparse.") {
        let version = (records.take("GNU.sparse.major"), records.take("GNU.sparse.minor"));
        match (version.0.as_deref(), version.1.as_deref()) {
            (Some(b"1"), Some(b"0")) => pax_1_0(reader, records)?,
            (None | Some(b"0"), None | Some(b"1")) => pax_0_1(records)?,
            _ => return Err(MemberError::Field("this format of sparse files isn't supported")),
        }
    } else {
        return Ok(None);
    };
    check(&map, reader.remaining_bytes)?;
    Ok(Some(map))
}

fn check(map: &Map, stored_bytes: u64) -> Result<(), MemberError> {
    let mut end = 0;
    let mut sum: u64 = 0;
    for segment in &map.segments {
        if segment.offset_bytes < end {
            return Err(MALFORMED);
        }
        end = segment.offset_bytes.checked_add(segment.length_bytes).ok_or(MALFORMED)?;
        sum += segment.length_bytes;
    }
    match end <= map.size_bytes && sum == stored_bytes {
        true => Ok(()),
        false => Err(MALFORMED),
    }
}

/// Four pieces in the header, then 21 in each further block.
fn old_gnu<R: Read>(reader: &mut TarReader<R>, header: &Header) -> Result<Map, MemberError> {
    let gnu = header.as_gnu().ok_or(MALFORMED)?;
    let mut segments = Vec::new();
    for piece in &gnu.sparse {
        add(&mut segments, number(&piece.offset), number(&piece.numbytes))?;
    }
    let mut more = gnu.isextended[0] != 0;
    while more {
        let mut block = GnuExtSparseHeader::new();
        if !reader.read_block(block.as_mut_bytes())? {
            return Err(reader.truncated().into());
        }
        for piece in &block.sparse {
            add(&mut segments, number(&piece.offset), number(&piece.numbytes))?;
        }
        more = block.isextended[0] != 0;
    }
    let size_bytes = number(&gnu.realsize).ok_or(MALFORMED)?;
    Ok(Map { size_bytes, segments })
}

/// `GNU.sparse.map=offset,length,…`
fn pax_0_1(records: &mut Records) -> Result<Map, MemberError> {
    let size_bytes = records.number("GNU.sparse.size")?.ok_or(MALFORMED)?;
    let text = records.take("GNU.sparse.map").unwrap_or_default();
    let mut segments = Vec::new();
    let mut numbers = text.split(|byte| *byte == b',').filter(|word| !word.is_empty());
    while let Some(offset) = numbers.next() {
        let length = numbers.next().ok_or(MALFORMED)?;
        add(&mut segments, pax::decimal(offset), pax::decimal(length))?;
    }
    Ok(Map { size_bytes, segments })
}

/// The map stands in front of the content, one number a line, filled up to a block.
fn pax_1_0<R: Read>(reader: &mut TarReader<R>, records: &mut Records) -> Result<Map, MemberError> {
    let size_bytes = records.number("GNU.sparse.realsize")?.ok_or(MALFORMED)?;
    let mut lines = Lines { reader, block: [0; BLOCK_BYTES], at: BLOCK_BYTES };
    let count = lines.number()?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let (offset, length) = (lines.number()?, lines.number()?);
        add(&mut segments, Some(offset), Some(length))?;
    }
    Ok(Map { size_bytes, segments })
}

struct Lines<'a, R> {
    reader: &'a mut TarReader<R>,
    block: [u8; BLOCK_BYTES],
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64, MemberError> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK_BYTES {
                self.fill()?;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' if !digits.is_empty() => return pax::decimal(&digits).ok_or(MALFORMED),
                b'0'..=b'9' if digits.len() < 20 => digits.push(byte),
                _ => return Err(MALFORMED),
            }
        }
    }

    fn fill(&mut self) -> Result<(), MemberError> {
        self.at = 0;
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.reader.read_data(&mut self.block[filled..])? {
                0 => return Err(MALFORMED),
                read => filled += read,
            }
        }
        Ok(())
    }
}

fn add(segments: &mut Vec<Segment>, offset: Option<u64>, length: Option<u64>) -> Result<(), MemberError> {
    let (Some(offset_bytes), Some(length_bytes)) = (offset, length) else {
        return Err(MALFORMED);
    };
    if segments.len() == SEGMENTS_MAX {
        return Err(MemberError::Field("a sparse file of more than a million pieces"));
    }
    if length_bytes > 0 {
        segments.push(Segment { offset_bytes, length_bytes });
    }
    Ok(())
}

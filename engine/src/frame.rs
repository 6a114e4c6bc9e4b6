//! Docker's multiplexed stream: each piece of output behind an eight-byte header that names its stream and length.

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use runtime::protocol::{FrameStream, frame_header};

/// Content type of a terminal's output, and of everything before API 1.42.
pub const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// Content type of frames, since API 1.42.
pub const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";

/// Where a piece of output was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

impl OutputStream {
    const fn of_frame(self) -> FrameStream {
        match self {
            Self::Stdout => FrameStream::Stdout,
            Self::Stderr => FrameStream::Stderr,
        }
    }
}

impl fmt::Display for OutputStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// A name that stands for neither output stream.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither stdout nor stderr")]
pub struct UnknownStream(String);

impl FromStr for OutputStream {
    type Err = UnknownStream;

    fn from_str(text: &str) -> Result<Self, UnknownStream> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            _ => Err(UnknownStream(text.to_owned())),
        }
    }
}

/// Appends one frame. Pieces come from buffers far smaller than the 4 GiB that a header can say; a longer one is split.
pub fn put_frame(into: &mut BytesMut, stream: OutputStream, payload: &[u8]) {
    for piece in payload.chunks(u32::MAX as usize) {
        let length = u32::try_from(piece.len()).expect("chunks() yields at most u32::MAX bytes");
        into.reserve(8 + piece.len());
        into.put_slice(&frame_header(stream.of_frame(), length));
        into.put_slice(piece);
    }
}

/// One frame by itself.
pub fn frame(stream: OutputStream, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, stream, payload);
    bytes.freeze()
}

/// Takes frames apart as they come, wherever they are cut, and keeps none of what is in them.
#[derive(Debug, Default)]
pub(crate) struct Unframed {
    header: [u8; HEADER_BYTES],
    /// So much of a header is there.
    have: usize,
    /// So much of a frame is to come.
    left: u32,
}

/// The stream, and the length of what follows.
const HEADER_BYTES: usize = 8;

impl Unframed {
    /// Takes the next bytes, and gives what is in frames of them, with the stream that it was written to.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut content: impl FnMut(OutputStream, &[u8])) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let length = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                content(self.stream(), &bytes[..length]);
                self.left -= u32::try_from(length).expect("at most what is left");
                bytes = &bytes[length..];
                continue;
            }
            let length = bytes.len().min(HEADER_BYTES - self.have);
            self.header[self.have..self.have + length].copy_from_slice(&bytes[..length]);
            (self.have, bytes) = (self.have + length, &bytes[length..]);
            if self.have == HEADER_BYTES {
                let [.., a, b, c, d] = self.header;
                (self.have, self.left) = (0, u32::from_be_bytes([a, b, c, d]));
            }
        }
    }

    fn stream(&self) -> OutputStream {
        match self.header[0] == FrameStream::Stderr as u8 {
            true => OutputStream::Stderr,
            false => OutputStream::Stdout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart_wherever_they_are_cut() {
        let all = [
            &frame(OutputStream::Stdout, b"one ")[..],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &frame(OutputStream::Stderr, b"two"),
        ];
        let all = all.concat();
        for size in 1..=all.len() {
            let (mut unframed, mut text) = (Unframed::default(), [Vec::new(), Vec::new()]);
            all.chunks(size).for_each(|piece| {
                unframed.push(piece, |stream, content| text[stream as usize].extend_from_slice(content));
            });
            assert_eq!(text, [b"one ", &b"two"[..]], "{size}");
        }
    }

    #[test]
    fn frames_are_as_clients_know_them() {
        let mut bytes = BytesMut::new();
        put_frame(&mut bytes, OutputStream::Stdout, b"hi\n");
        put_frame(&mut bytes, OutputStream::Stderr, &[b'x'; 258]);
        assert_eq!(&bytes[..11], b"\x01\0\0\0\0\0\0\x03hi\n");
        assert_eq!(&bytes[11..19], b"\x02\0\0\0\0\0\x01\x02");
        assert_eq!(bytes.len(), 11 + 8 + 258);
        assert_eq!(frame(OutputStream::Stdout, b""), Bytes::new());
    }
}

//! Streams of the engine: JSON values one after the other, and output whose two streams share a connection.

use std::collections::VecDeque;
use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::EngineError;

/// JSON values of a reply, one after the other.
#[derive(Debug)]
pub(crate) struct Lines<T> {
    path: String,
    body: Incoming,
    buffer: BytesMut,
    ready: VecDeque<Bytes>,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    pub(super) fn new(path: String, body: Incoming) -> Self {
        Self { path, body, buffer: BytesMut::new(), ready: VecDeque::new(), kind: PhantomData }
    }

    /// The next value; nothing at the end of the reply.
    ///
    /// # Errors
    /// The connection breaks, or it isn't what was expected.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, EngineError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                let path = || self.path.clone();
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|source| EngineError::Reply { path: path(), source });
            }
            match self.body.frame().await.transpose()? {
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                        self.ready.extend(take_lines(&mut self.buffer));
                    }
                }
                None if self.buffer.iter().all(u8::is_ascii_whitespace) => return Ok(None),
                None => self.ready.push_back(self.buffer.split().freeze()),
            }
        }
    }
}

/// The whole lines at the front of a buffer, without empty ones.
fn take_lines(buffer: &mut BytesMut) -> Vec<Bytes> {
    let mut lines = Vec::new();
    while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
        let line = buffer.split_to(end + 1).freeze();
        if !line.iter().all(u8::is_ascii_whitespace) {
            lines.push(line);
        }
    }
    lines
}

/// Where a piece of output belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// Divides a connection that carries both output streams: each piece has a header of eight bytes, the stream's
/// number first and the piece's length in the last four, big-endian.
#[derive(Debug, Default)]
pub(crate) struct Demultiplexer {
    buffer: BytesMut,
    current: Option<(Channel, usize)>,
}

impl Demultiplexer {
    /// Takes what has arrived and gives out the pieces that it completes. A piece is given out as far as it is there.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<(Channel, Bytes)> {
        self.buffer.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        loop {
            match self.current.take() {
                Some((channel, left)) if left > 0 => {
                    let length = left.min(self.buffer.len());
                    self.current = Some((channel, left - length));
                    if length == 0 {
                        return pieces;
                    }
                    pieces.push((channel, self.buffer.split_to(length).freeze()));
                }
                _ if self.buffer.len() < 8 => return pieces,
                _ => {
                    // Stream 3 carries an error of the engine itself.
                    let channel = if self.buffer[0] >= 2 { Channel::Stderr } else { Channel::Stdout };
                    self.buffer.advance(4);
                    self.current = Some((channel, self.buffer.get_u32() as usize));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(stream: u8, text: &[u8]) -> Vec<u8> {
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend(text);
        bytes
    }

    fn joined(pieces: &[(Channel, Bytes)]) -> (Vec<u8>, Vec<u8>) {
        let of = |wanted| pieces.iter().filter(|piece| piece.0 == wanted).flat_map(|piece| piece.1.to_vec()).collect();
        (of(Channel::Stdout), of(Channel::Stderr))
    }

    proptest::proptest! {
        #[test]
        fn output_comes_out_as_it_went_in_however_it_is_cut(
            parts in proptest::collection::vec((1_u8..=2, proptest::collection::vec(0_u8.., 0..40)), 0..12),
            cut in 1_usize..24,
        ) {
            let wire: Vec<u8> = parts.iter().flat_map(|(stream, text)| piece(*stream, text)).collect();
            let mut demultiplexer = Demultiplexer::default();
            let pieces: Vec<_> = wire.chunks(cut).flat_map(|bytes| demultiplexer.push(bytes)).collect();
            let expected = |wanted| parts.iter().filter(|part| part.0 == wanted).flat_map(|part| part.1.clone()).collect::<Vec<u8>>();
            proptest::prop_assert_eq!(joined(&pieces), (expected(1), expected(2)));
        }
    }

    #[test]
    fn an_unfinished_piece_is_shown_at_once() {
        let mut demultiplexer = Demultiplexer::default();
        let pieces = demultiplexer.push(&piece(1, b"hello")[..10]);
        assert_eq!(pieces, [(Channel::Stdout, Bytes::from_static(b"he"))]);
    }

    #[test]
    fn lines_are_whole() {
        let mut buffer = BytesMut::from(&b"{}\r\n\n{\"a\":1}\n{\"b\""[..]);
        assert_eq!(take_lines(&mut buffer), [&b"{}\r\n"[..], b"{\"a\":1}\n"]);
        assert_eq!(&buffer[..], b"{\"b\"");
    }
}

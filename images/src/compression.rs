//! Streams that may be compressed, told apart by their first bytes.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const UNSUPPORTED: [(&[u8], &str); 3] =
    [(b"BZh", "bzip2"), (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"), (&[0x04, 0x22, 0x4d, 0x18], "lz4")];
const MAGIC_BYTES_MAX: u64 = 6;
const BUFFER_BYTES: usize = 128 * 1024;

/// How a layer's blob is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the end of a layer's media type.
    pub(crate) fn of_media_type(media_type: &str) -> Self {
        match media_type.rsplit(['.', '+']).next() {
            Some("gzip") => Self::Gzip,
            Some("zstd") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// As it is written down.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What was written down.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Zstd].into_iter().find(|compression| compression.name() == name)
    }
}

type Rewound<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

/// The uncompressed content of a stream that may be compressed.
pub(crate) enum Decoder<R: Read> {
    Plain(Rewound<R>),
    Gzip(Box<MultiGzDecoder<Rewound<R>>>),
    Zstd(zstd::Decoder<'static, Rewound<R>>),
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes. Reads little from `reader` itself: what is left stays readable through the decoder.
    pub(crate) fn new(mut reader: R) -> io::Result<Self> {
        let mut head = Vec::new();
        reader.by_ref().take(MAGIC_BYTES_MAX).read_to_end(&mut head)?;
        if let Some((_, name)) = UNSUPPORTED.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{name} compression isn't supported: use gzip, zstd or none"),
            ));
        }
        let (gzip, zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD));
        let rewound = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(head).chain(reader));
        Ok(match (gzip, zstd) {
            (true, _) => Self::Gzip(Box::new(MultiGzDecoder::new(rewound))),
            (_, true) => Self::Zstd(zstd::Decoder::with_buffer(rewound)?),
            _ => Self::Plain(rewound),
        })
    }

    /// Whether the content is the stream itself.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(reader) => reader.read(buffer),
            Self::Zstd(reader) => reader.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn compression_is_recognised_by_content() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"hello").expect("writing memory");
        let gzip = gzip.finish().expect("writing memory");
        let zstd = zstd::encode_all(&b"hello"[..], 1).expect("writing memory");
        for stream in [b"hello".to_vec(), gzip.clone(), zstd, [gzip.clone(), gzip].concat()] {
            let mut text = String::new();
            let mut decoder = Decoder::new(&stream[..]).expect("a stream");
            decoder.read_to_string(&mut text).expect("content");
            assert_eq!(text.replace("hellohello", "hello"), "hello");
        }
        let refused = Decoder::new(&b"\xfd7zXZ\0..."[..]).err().expect("no xz");
        assert_eq!(refused.to_string(), "xz compression isn't supported: use gzip, zstd or none");
        assert!(Decoder::new(&b""[..]).expect("nothing").is_plain());
    }
}

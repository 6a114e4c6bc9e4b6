//! Streams that may be compressed, told apart by their first bytes.

use std::io::{self, BufReader, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BZIP2: &[u8] = b"BZh";
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const LZ4: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
const MAGIC_BYTES_MAX: u64 = 6;
/// `xz -9` takes 65 MiB to be undone; a stream may ask for gigabytes.
const XZ_MEMORY_BYTES_MAX: u64 = 128 << 20;
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

/// The content of a stream, which may be compressed with gzip, zstd, bzip2 or xz: its first bytes say so.
///
/// # Errors
/// It can't be read, or is compressed in a way that nothing here undoes.
pub fn decompressed(reader: impl Read) -> io::Result<impl Read> {
    Decoder::new(reader)
}

type Rewound<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

/// The uncompressed content of a stream that may be compressed.
pub(crate) enum Decoder<R: Read> {
    Plain(Rewound<R>),
    Gzip(Box<MultiGzDecoder<Rewound<R>>>),
    Zstd(zstd::Decoder<'static, Rewound<R>>),
    Bzip2(Box<MultiBzDecoder<Rewound<R>>>),
    Xz(Box<XzDecoder<Rewound<R>>>),
}

impl<R: Read> Decoder<R> {
    /// Looks at the first bytes. Reads little from `reader` itself: what is left stays readable through the decoder.
    pub(crate) fn new(mut reader: R) -> io::Result<Self> {
        let mut head = Vec::new();
        reader.by_ref().take(MAGIC_BYTES_MAX).read_to_end(&mut head)?;
        let begins = |magic| head.starts_with(magic);
        let (gzip, zstd, bzip2, xz) = (begins(GZIP), begins(ZSTD), begins(BZIP2), begins(XZ));
        if begins(LZ4) {
            let text = "lz4 compression isn't supported: use gzip, zstd, bzip2, xz or none";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let rewound = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(head).chain(reader));
        Ok(if gzip {
            Self::Gzip(Box::new(MultiGzDecoder::new(rewound)))
        } else if zstd {
            Self::Zstd(zstd::Decoder::with_buffer(rewound)?)
        } else if bzip2 {
            Self::Bzip2(Box::new(MultiBzDecoder::new(rewound)))
        } else if xz {
            let stream = Stream::new_stream_decoder(XZ_MEMORY_BYTES_MAX, CONCATENATED)?;
            Self::Xz(Box::new(XzDecoder::new_stream(rewound, stream)))
        } else {
            Self::Plain(rewound)
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
            Self::Bzip2(reader) => reader.read(buffer),
            Self::Xz(reader) => reader.read(buffer),
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
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(b"hello").expect("writing memory");
        let bzip2 = bzip2.finish().expect("writing memory");
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(b"hello").expect("writing memory");
        let xz = xz.finish().expect("writing memory");
        let twice = |stream: &Vec<u8>| [stream.clone(), stream.clone()].concat();
        for stream in [b"hello".to_vec(), twice(&gzip), twice(&bzip2), twice(&xz), gzip, zstd, bzip2, xz] {
            let mut text = String::new();
            let mut decoder = Decoder::new(&stream[..]).expect("a stream");
            decoder.read_to_string(&mut text).expect("content");
            assert_eq!(text.replace("hellohello", "hello"), "hello");
        }
        let refused = Decoder::new(&b"\x04\x22\x4d\x18..."[..]).err().expect("no lz4");
        assert_eq!(refused.to_string(), "lz4 compression isn't supported: use gzip, zstd, bzip2, xz or none");
        assert!(Decoder::new(&b""[..]).expect("nothing").is_plain());
    }

    #[test]
    fn a_stream_that_asks_for_too_much_memory_is_refused() {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).expect("a preset");
        options.dict_size(512 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let encoder = Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).expect("an encoder");
        let mut xz = liblzma::write::XzEncoder::new_stream(Vec::new(), encoder);
        xz.write_all(b"hello").expect("writing memory");
        let xz = xz.finish().expect("writing memory");
        let read = Decoder::new(&xz[..]).expect("a stream").read_to_end(&mut Vec::new());
        assert!(read.expect_err("too much").to_string().contains("memory"), "it says why");
    }
}

//! The build context: which files are sent, as which tar.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dockerignore::Patterns;
use futures::{Stream, stream};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use crate::failure::Failure;

/// Bytes that are sent at once, and how many such pieces may wait.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES: usize = 4;
const DOCKERFILE: &str = "Dockerfile";
const IGNORE_FILE: &str = ".dockerignore";
/// Where a Dockerfile from elsewhere is put.
const FOREIGN_DOCKERFILE: &str = ".dockerfile.berth";
const MAGIC_BYTES: usize = 512;

/// What is to be sent.
#[derive(Debug)]
pub(crate) struct Context {
    source: Source,
    /// The Dockerfile's path in it; `Dockerfile` if none.
    pub(crate) dockerfile: Option<String>,
    /// What messages call the Dockerfile, if it comes from elsewhere.
    pub(crate) dockerfile_name: Option<String>,
}

#[derive(Debug)]
enum Source {
    /// What was read of standard input, and the rest of it.
    Stdin(Vec<u8>),
    /// A Dockerfile and nothing else.
    Dockerfile(Vec<u8>),
    Directory {
        root: PathBuf,
        patterns: Patterns,
        /// Sent whatever the patterns say.
        kept: Vec<String>,
        /// A Dockerfile from elsewhere.
        dockerfile: Option<Vec<u8>>,
    },
}

impl Context {
    /// Finds out what is to be sent.
    ///
    /// # Errors
    /// There is no such directory or Dockerfile, or standard input has nothing of use.
    pub(crate) fn find(path: &str, dockerfile: Option<&str>) -> Result<Self, Failure> {
        let remote = ["http://", "https://", "git://", "git@", "github.com/"];
        if remote.iter().any(|prefix| path.starts_with(prefix)) {
            let advice = "clone or download it, and give the directory";
            return Err(Failure::Invalid(format!("context {path}: berth fetches no contexts: {advice}")));
        }
        match path {
            "-" => Self::of_stdin(dockerfile),
            _ => Self::of_directory(Path::new(path), dockerfile),
        }
    }

    fn of_stdin(dockerfile: Option<&str>) -> Result<Self, Failure> {
        if dockerfile == Some("-") {
            return Err(Failure::Invalid(
                "invalid argument: can't use stdin for both build context and dockerfile".to_owned(),
            ));
        }
        let mut beginning = Vec::new();
        read(io::stdin().lock().take(MAGIC_BYTES as u64), &mut beginning)?;
        if is_archive(&beginning) {
            return Ok(Self {
                source: Source::Stdin(beginning),
                dockerfile: dockerfile.map(str::to_owned),
                dockerfile_name: None,
            });
        }
        read(io::stdin().lock(), &mut beginning)?;
        if dockerfile.is_some() {
            let text = "standard input holds no archive, so that there is no file in it for -f";
            return Err(Failure::Invalid(text.to_owned()));
        }
        Ok(Self { source: Source::Dockerfile(beginning), dockerfile: None, dockerfile_name: None })
    }

    fn of_directory(path: &Path, dockerfile: Option<&str>) -> Result<Self, Failure> {
        let failed = |path: &Path| {
            let doing = format!("open {}", path.display());
            move |source| Failure::Io { doing, source }
        };
        let root = path.canonicalize().map_err(failed(path))?;
        if !root.is_dir() {
            return Err(Failure::Invalid(format!("context {}: it isn't a directory", path.display())));
        }
        let mut context = Self { source: Source::Dockerfile(Vec::new()), dockerfile: None, dockerfile_name: None };
        let mut foreign = None;
        match dockerfile {
            None => {}
            Some("-") => {
                let mut text = Vec::new();
                read(io::stdin().lock(), &mut text)?;
                context.dockerfile_name = Some("Dockerfile from standard input".to_owned());
                foreign = Some(text);
            }
            Some(file) => {
                let real = Path::new(file).canonicalize().map_err(failed(Path::new(file)))?;
                match real.strip_prefix(&root) {
                    Ok(inside) => context.dockerfile = Some(inside.to_string_lossy().into_owned()),
                    Err(_) => {
                        context.dockerfile_name = Some(file.to_owned());
                        foreign = Some(fs::read(&real).map_err(failed(&real))?);
                    }
                }
            }
        }
        if foreign.is_some() {
            context.dockerfile = Some(FOREIGN_DOCKERFILE.to_owned());
        }
        let name = context.dockerfile.clone().unwrap_or_else(|| DOCKERFILE.to_owned());
        if foreign.is_none() && !root.join(&name).exists() && !root.join(name.to_lowercase()).exists() {
            return Err(Failure::Invalid(format!("there is no {name} in {}: name one with -f", path.display())));
        }
        let own_ignore_file = format!("{name}{IGNORE_FILE}");
        let ignored = match read_if_there(&root.join(&own_ignore_file))? {
            Some(text) => Some(text),
            None => read_if_there(&root.join(IGNORE_FILE))?,
        };
        let patterns = Patterns::parse(&ignored.unwrap_or_default())
            .map_err(|error| Failure::Invalid(format!("{IGNORE_FILE}: {error}")))?;
        // The builder reads these, and takes them away again if they aren't meant to be copied.
        let kept = vec![name.to_lowercase(), name, IGNORE_FILE.to_owned(), own_ignore_file];
        context.source = Source::Directory { root, patterns, kept, dockerfile: foreign };
        Ok(context)
    }

    /// The tar's bytes, as they are sent. An error breaks the request: half a context must not look like one.
    pub(crate) fn into_stream(
        self,
        sent: impl Fn(u64) + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (pieces, body) = mpsc::channel(PIECES);
        tokio::task::spawn_blocking(move || {
            let mut output = io::BufWriter::with_capacity(PIECE_BYTES, Pieces { pieces: pieces.clone(), sent });
            if let Err(error) = self.source.write(&mut output).and_then(|()| output.flush()) {
                // Nobody may be reading any more.
                pieces.blocking_send(Err(error)).ok();
            }
        });
        stream::unfold(body, |mut body| async { Some((body.recv().await?, body)) })
    }
}

impl Source {
    fn write(self, output: &mut impl Write) -> io::Result<()> {
        match self {
            Source::Stdin(beginning) => {
                output.write_all(&beginning)?;
                io::copy(&mut io::stdin().lock(), output).map(drop)
            }
            Source::Dockerfile(text) => {
                let mut tar = Builder::new(output);
                append_text(&mut tar, DOCKERFILE, &text)?;
                tar.finish()
            }
            Source::Directory { root, patterns, kept, dockerfile } => {
                let mut tar = Builder::new(output);
                if let Some(text) = dockerfile {
                    append_text(&mut tar, FOREIGN_DOCKERFILE, &text)?;
                }
                let is_wanted = |path: &str| kept.iter().any(|name| name == path) || !patterns.excludes(path);
                // Something below what is left out may be wanted all the same.
                let may_hold = |path: &str| {
                    let above = |name: &String| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
                    patterns.has_exceptions() || kept.iter().any(above)
                };
                append_directory(&mut tar, &root, Path::new(""), &is_wanted, &may_hold)?;
                tar.finish()
            }
        }
    }
}

fn append_text(tar: &mut Builder<impl Write>, name: &str, text: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    tar.append_data(&mut header, name, text)
}

fn append_directory(
    tar: &mut Builder<impl Write>,
    root: &Path,
    directory: &Path,
    is_wanted: &dyn Fn(&str) -> bool,
    may_hold: &dyn Fn(&str) -> bool,
) -> io::Result<()> {
    let named = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let whole = root.join(directory);
    let entries = fs::read_dir(&whole).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut names: Vec<_> =
        entries.map_err(|error| named(&whole, error))?.iter().map(fs::DirEntry::file_name).collect();
    names.sort_unstable();
    for name in names {
        let path = directory.join(name);
        let text = path.to_string_lossy();
        let whole = root.join(&path);
        let metadata = whole.symlink_metadata().map_err(|error| named(&whole, error))?;
        let is_wanted_itself = is_wanted(&text);
        if is_wanted_itself {
            append(tar, &whole, &path, &metadata).map_err(|error| named(&whole, error))?;
        }
        if metadata.is_dir() && (is_wanted_itself || may_hold(&text)) {
            append_directory(tar, root, &path, is_wanted, may_hold)?;
        }
    }
    Ok(())
}

fn append(tar: &mut Builder<impl Write>, whole: &Path, path: &Path, metadata: &Metadata) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(metadata.mode() & 0o7777);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header.set_size(0);
    let kind = metadata.file_type();
    if kind.is_file() {
        header.set_size(metadata.len());
        // A file that grows meanwhile is as long as it was, one that shrinks would make a tar that isn't one.
        let mut content = Exact { inner: File::open(whole)?, left_bytes: metadata.len() };
        tar.append_data(&mut header, path, &mut content)
    } else if kind.is_dir() {
        header.set_entry_type(EntryType::Directory);
        tar.append_data(&mut header, path, io::empty())
    } else if kind.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        tar.append_link(&mut header, path, fs::read_link(whole)?)
    } else {
        // Sockets, pipes and devices are nothing to build from.
        Ok(())
    }
}

/// As many bytes as were promised, or an error.
struct Exact {
    inner: File,
    left_bytes: u64,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left_bytes).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut buffer[..wanted])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read")),
            read => {
                self.left_bytes -= read as u64;
                Ok(read)
            }
        }
    }
}

/// Writes into a request's body.
struct Pieces<F> {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    sent: F,
}

impl<F: Fn(u64)> Write for Pieces<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.pieces.blocking_send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        (self.sent)(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_archive(beginning: &[u8]) -> bool {
    let compressed: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"];
    compressed.iter().any(|magic| beginning.starts_with(magic)) || beginning.get(257..262) == Some(b"ustar")
}

fn read(mut input: impl Read, into: &mut Vec<u8>) -> Result<(), Failure> {
    let read = input.read_to_end(into);
    read.map(drop).map_err(|source| Failure::Io { doing: "read standard input".to_owned(), source })
}

fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Failure::Io { doing: format!("read {}", path.display()), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(context: Context) -> Vec<String> {
        let mut bytes = Vec::new();
        context.source.write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries = archive.entries().unwrap();
        entries.map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_is_left_out_is_not_sent() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for name in ["Dockerfile", "node_modules/a/b", "src/main", "notes.md", "keep.md"] {
            write(name, "x");
        }
        write(".dockerignore", "node_modules\n*.md\n!keep.md\nDockerfile\n");
        let path = dir.path().to_str().unwrap();
        let sent = names(Context::find(path, None).unwrap());
        assert_eq!(sent, [".dockerignore", "Dockerfile", "keep.md", "src", "src/main"]);
    }

    #[test]
    fn a_dockerfile_is_inside_or_brought_along() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("context"), dir.path().join("Other"));
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(inside.join("sub/File"), "FROM scratch").unwrap();
        fs::write(&outside, "FROM scratch").unwrap();
        let path = inside.to_str().unwrap();
        let context = Context::find(path, inside.join("sub/File").to_str()).unwrap();
        assert_eq!(context.dockerfile.as_deref(), Some("sub/File"));
        let context = Context::find(path, outside.to_str()).unwrap();
        assert_eq!(context.dockerfile_name.as_deref(), outside.to_str());
        assert_eq!(names(context), [FOREIGN_DOCKERFILE, "sub", "sub/File"]);
        assert!(Context::find(path, None).unwrap_err().text().contains("there is no Dockerfile"));
        assert!(Context::find("https://a.b/c.git", None).is_err());
    }

    #[test]
    fn archives_are_known_by_their_beginning() {
        assert!(is_archive(b"\x1f\x8b...") && !is_archive(b"FROM scratch\n"));
    }
}

//! The older files of a log: `.1` is the youngest of them, and they may be compressed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;

/// So much is compressed before it is asked again whether to go on.
const CHUNK_BYTES: usize = 64 * 1024;

/// Takes the file of a log out of the way. Who reads it has it open and reads on.
pub(super) fn rotate(path: &Path, max_files: u32) -> io::Result<()> {
    if max_files <= 1 {
        return if_there(fs::remove_file(path));
    }
    let mut kept = older(path, max_files);
    if kept == max_files - 1 {
        for file in [numbered(path, kept), compressed(path, kept)] {
            if_there(fs::remove_file(file))?;
        }
        kept -= 1;
    }
    for number in (1..=kept).rev() {
        if_there(fs::rename(compressed(path, number), compressed(path, number + 1)))?;
        if_there(fs::rename(numbered(path, number), numbered(path, number + 1)))?;
    }
    if_there(fs::rename(path, numbered(path, 1)))
}

/// How many older files there are, up to the first number that is free. What may be kept can be far more.
fn older(path: &Path, max_files: u32) -> u32 {
    let is_there = |path: PathBuf| path.symlink_metadata().is_ok();
    let is_taken = |number: &u32| is_there(numbered(path, *number)) || is_there(compressed(path, *number));
    (1..max_files).take_while(is_taken).last().unwrap_or(0)
}

/// Opens the file that is written to.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // What isn't a file must not make the container wait for whoever reads it.
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other(format!("{} is no regular file", path.display())))
    }
}

/// Whether a file ends in the middle of a line: its writer was killed, or the disk was full.
pub(super) fn is_torn(file: &File, size_bytes: u64) -> io::Result<bool> {
    let Some(last) = size_bytes.checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    with_suffix(path, &format!(".{number}"))
}

fn compressed(path: &Path, number: u32) -> PathBuf {
    with_suffix(path, &format!(".{number}.gz"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The older files being compressed by a thread: the process's output doesn't wait for that. Given up when dropped, which
/// leaves a file as it was for the next time.
#[derive(Debug)]
pub(super) struct Compressing {
    thread: Option<JoinHandle<io::Result<()>>>,
    given_up: Arc<AtomicBool>,
}

impl Compressing {
    /// Begins to compress all that aren't yet.
    pub(super) fn begin(path: PathBuf, max_files: u32) -> io::Result<Self> {
        let given_up = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&given_up);
        let work = move || (1..=older(&path, max_files)).try_for_each(|number| compress(&path, number, &stop));
        let thread = std::thread::Builder::new().name("compress".to_owned()).spawn(work)?;
        Ok(Self { thread: Some(thread), given_up })
    }

    /// Waits until it is done.
    pub(super) fn wait(mut self) -> io::Result<()> {
        let ended = self.thread.take().map(JoinHandle::join);
        ended.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(io::Error::other("the compression panicked")))
    }
}

impl Drop for Compressing {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        // Which file isn't compressed yet is seen the next time.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn compress(path: &Path, number: u32, given_up: &AtomicBool) -> io::Result<()> {
    let plain = numbered(path, number);
    let mut from = match File::open(&plain) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let unfinished = with_suffix(path, &format!(".{number}.gz.new"));
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&unfinished)?;
    match compress_into(&mut from, to, given_up) {
        Ok(true) => {
            fs::rename(&unfinished, compressed(path, number))?;
            fs::remove_file(plain)
        }
        Ok(false) => fs::remove_file(unfinished),
        Err(error) => fs::remove_file(unfinished).and(Err(error)),
    }
}

/// Whether all of it was compressed.
fn compress_into(from: &mut File, to: File, given_up: &AtomicBool) -> io::Result<bool> {
    let mut to = GzEncoder::new(to, Compression::fast());
    let mut chunk = vec![0; CHUNK_BYTES];
    while !given_up.load(Ordering::Relaxed) {
        let length = from.read(&mut chunk)?;
        if length == 0 {
            to.finish()?;
            return Ok(true);
        }
        to.write_all(&chunk[..length])?;
    }
    Ok(false)
}

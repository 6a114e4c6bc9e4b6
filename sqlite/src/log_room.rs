//! Room on the disk for the log of a SQLite file.

use std::fs::OpenOptions;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use crate::log::of_database;

/// Reserves the disk's blocks that the write-ahead log takes until it begins anew (1000 pages), so that a full disk keeps
/// nobody from removing things. Where the file system can't, a full disk is noticed earlier.
pub(crate) fn reserve_log(path: &Path) {
    const LOG_BYTES: u64 = 1008 * 4096;
    let log = of_database(path);
    let reserved = OpenOptions::new().write(true).create(true).truncate(false).open(&log).and_then(|file| {
        // The file keeps its size: SQLite sees what it wrote, and nothing else.
        Ok(fallocate(file, FallocateFlags::KEEP_SIZE, 0, LOG_BYTES)?)
    });
    if let Err(error) = reserved {
        tracing::debug!("no room is reserved for the log of {}: {error}", path.display());
    }
}

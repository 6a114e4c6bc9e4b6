//! What keeps the namespaces of sandboxes, which nothing else may hold yet, or any more.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Keeps namespaces, each behind a link that leads to it. Links that are there are the record of what is kept.
pub trait Keep: fmt::Debug + Send + Sync {
    /// Keeps a namespace from now on, and makes the link; one that is there already is an error.
    ///
    /// # Errors
    /// When it can't. A link that is there then leads nowhere.
    fn keep(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()>;

    /// Whether what a former process has had kept behind a link is kept still; the link is set right.
    ///
    /// # Errors
    /// When it can't be told.
    fn resume(&self, link: &Path) -> io::Result<bool>;

    /// Keeps a namespace no longer, if it did. The link stays.
    ///
    /// # Errors
    /// When it can't be told to.
    fn let_go(&self, link: &Path) -> io::Result<()>;
}

/// Keeps namespaces for as long as this value lives: for trials and tests.
#[derive(Debug, Default)]
pub struct KeptHere(Mutex<BTreeMap<PathBuf, OwnedFd>>);

impl KeptHere {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keep for KeptHere {
    fn keep(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()> {
        let own = namespace.try_clone_to_owned()?;
        symlink(format!("/proc/{}/fd/{}", std::process::id(), own.as_raw_fd()), link)?;
        self.lock().insert(link.to_owned(), own);
        Ok(())
    }

    fn resume(&self, link: &Path) -> io::Result<bool> {
        Ok(self.lock().contains_key(link))
    }

    fn let_go(&self, link: &Path) -> io::Result<()> {
        self.lock().remove(link);
        Ok(())
    }
}

//! Keepers of the namespaces of sandboxes: processes, or a value, that hold a descriptor of each.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::{
        fd::{AsRawFd as _, BorrowedFd, OwnedFd},
        unix::fs::symlink,
    },
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Where a link leads to whose namespace nobody keeps: there is never anything.
pub const NOWHERE: &str = "/proc/nowhere";

/// Keeps namespaces, each behind a link that leads to it. Links that are there are the record of what is kept.
pub trait NamespaceKeeper: fmt::Debug + Send + Sync {
    /// Keeps a namespace from now on, and makes the link; one that is there already is an error.
    ///
    /// # Errors
    /// When it can't. A link that is there then leads nowhere.
    fn keep(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()>;

    /// Keeps a namespace behind a link that leads nowhere, see [`NamespaceKeeper::resume`].
    ///
    /// # Errors
    /// When it can't. The link leads nowhere still.
    fn keep_again(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()>;

    /// Has whatever is at a link's place be a link that leads nowhere, in one step.
    ///
    /// # Errors
    /// When it can't be replaced.
    fn lose(&self, link: &Path) -> io::Result<()> {
        point_link_at(link, Path::new(NOWHERE))
    }

    /// Whether what a former process has had kept behind a link is kept still. The link is set right, and leads nowhere if
    /// it isn't.
    ///
    /// # Errors
    /// When it can't be told.
    fn resume(&self, link: &Path) -> io::Result<bool>;

    /// Keeps a namespace no longer, if it did. The link stays.
    ///
    /// # Errors
    /// When it can't be told to.
    fn release(&self, link: &Path) -> io::Result<()>;
}

/// Has a link lead elsewhere, in one step: whoever follows it finds one or the other.
///
/// # Errors
/// When it can't be replaced.
pub fn point_link_at(link: &Path, target: &Path) -> io::Result<()> {
    // No sandbox's name begins with a dot.
    let new = link.with_file_name(".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(target, &new)?;
    fs::rename(&new, link)
}

/// Keeps namespaces for as long as this value lives: for trials and tests.
#[derive(Debug, Default)]
pub struct InProcessKeeper(Mutex<BTreeMap<PathBuf, OwnedFd>>);

impl InProcessKeeper {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NamespaceKeeper for InProcessKeeper {
    fn keep(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()> {
        let own = namespace.try_clone_to_owned()?;
        symlink(format!("/proc/{}/fd/{}", std::process::id(), own.as_raw_fd()), link)?;
        self.lock().insert(link.to_owned(), own);
        Ok(())
    }

    fn keep_again(&self, link: &Path, namespace: BorrowedFd<'_>) -> io::Result<()> {
        fs::remove_file(link)?;
        self.keep(link, namespace)
    }

    fn resume(&self, link: &Path) -> io::Result<bool> {
        let is_kept = self.lock().contains_key(link);
        if !is_kept {
            self.lose(link)?;
        }
        Ok(is_kept)
    }

    fn release(&self, link: &Path) -> io::Result<()> {
        self.lock().remove(link);
        Ok(())
    }
}

//! Cache directories of build steps (`RUN --mount=type=cache`), and who uses which.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use futures::executor::block_on;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Discarded, Store, between_steps};
use crate::digest::Digest;
use crate::error::Error;
use crate::files;

/// Of a cache's name, as people see it.
const SHORT_DIGITS: usize = 12;

/// Who uses which cache, by the name of its directory.
#[derive(Debug, Default)]
pub(super) struct CachesInUse(HashMap<String, Use>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Shared(usize),
    Alone,
}

/// How a cache is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// By any number of steps at once.
    Shared,
    /// By one after the other.
    Alone,
    /// By one; others get another directory.
    Another,
}

/// A cache that a step wants.
#[derive(Clone, Debug)]
pub struct CacheRequest {
    /// Any text.
    pub id: String,
    /// With whom.
    pub how: CacheUse,
    /// User and group of its directory, if that is to be made.
    pub owner: (u32, u32),
    /// The same: its permissions.
    pub mode: u32,
}

/// A directory that steps keep something in, as it is now.
#[derive(Clone, Debug)]
pub struct CacheDirectory {
    /// What it is known by: of its name the first 12 hexadecimal digits, and its number if it isn't the first.
    pub id: String,
    /// The size of its files.
    pub size_bytes: u64,
    /// When something was made or removed at its top.
    pub changed: Timestamp,
    /// A step has it.
    pub is_in_use: bool,
}

impl CacheDirectory {
    fn at(path: &Path, name: &str) -> Self {
        let (hex, number) = name.split_once('-').unwrap_or((name, ""));
        let digits = hex.get(..SHORT_DIGITS).unwrap_or(hex);
        let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        Self {
            id: if number.is_empty() { digits.to_owned() } else { format!("{digits}-{number}") },
            // One that can't be walked to its end says nothing.
            size_bytes: files::size(path).unwrap_or_default(),
            changed: changed.and_then(|changed| changed.try_into().ok()).unwrap_or_default(),
            is_in_use: false,
        }
    }
}

/// The caches of a step, in use as long as it lives.
pub struct CacheGuard<'a> {
    store: &'a Store,
    /// A name for each that was wished for; one that was wished for twice is the same.
    names: Vec<String>,
}

impl CacheGuard<'_> {
    /// Where they are, in the order of the wishes.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.names.iter().map(|name| self.store.caches_dir().join(name)).collect()
    }
}

impl Drop for CacheGuard<'_> {
    fn drop(&mut self) {
        let mut caches = self.store.caches();
        for name in self.names.iter().collect::<BTreeSet<_>>() {
            match caches.0.get_mut(name) {
                Some(Use::Shared(holders)) if *holders > 1 => *holders -= 1,
                _ => drop(caches.0.remove(name)),
            }
        }
        self.store.cache_left.notify_waiters();
    }
}

impl CachesInUse {
    /// Takes all of these, or nothing as long as others keep one of them.
    fn take(&mut self, requests: &[&CacheRequest]) -> Option<Vec<String>> {
        let mut uses = self.0.clone();
        let mut names: Vec<String> = Vec::new();
        for (at, request) in requests.iter().enumerate() {
            let name = match requests[..at].iter().position(|earlier| earlier.id == request.id) {
                // Or the step would wait for itself.
                Some(earlier) => names[earlier].clone(),
                None => take(&mut uses, request)?,
            };
            names.push(name);
        }
        self.0 = uses;
        Some(names)
    }
}

fn take(uses: &mut HashMap<String, Use>, request: &CacheRequest) -> Option<String> {
    let name = Digest::of(request.id.as_bytes()).hex();
    let (name, taken) = match (request.how, uses.get(&name)) {
        (CacheUse::Shared, None) => (name, Use::Shared(1)),
        (CacheUse::Shared, Some(Use::Shared(holders))) => (name, Use::Shared(holders + 1)),
        (CacheUse::Alone | CacheUse::Another, None) => (name, Use::Alone),
        (CacheUse::Another, Some(_)) => {
            let mut others = (2_u32..).map(|number| format!("{name}-{number}"));
            (others.find(|name| !uses.contains_key(name))?, Use::Alone)
        }
        _ => return None,
    };
    uses.insert(name.clone(), taken);
    Some(name)
}

impl Store {
    fn caches_dir(&self) -> PathBuf {
        self.root_dir.join("caches")
    }

    fn caches(&self) -> MutexGuard<'_, CachesInUse> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the caches of a step into use, all at once, so that no two steps wait for each other. As long as others use
    /// them it waits, having called `waiting`. What isn't there is made: of what `content` puts below a directory for the
    /// request of this number, or else empty.
    ///
    /// # Errors
    /// One can't be made, or it was called off before it had them: [`Error::CalledOff`].
    pub fn acquire_caches(
        &self,
        requests: &[&CacheRequest],
        called_off: &CancellationToken,
        mut waiting: impl FnMut(),
        content: &dyn Fn(usize, &Path) -> Option<io::Result<PathBuf>>,
    ) -> Result<CacheGuard<'_>, Error> {
        loop {
            // Before looking, so that what is left after that is noticed.
            let left = self.cache_left.notified();
            let mut caches = self.caches();
            let taken = caches.take(requests);
            // What a cache begins with may be much: others don't wait for it.
            drop(caches);
            if let Some(names) = taken {
                let held = CacheGuard { store: self, names };
                let mut all = requests.iter().zip(&held.names).enumerate();
                let made =
                    all.try_for_each(|(at, (request, name))| self.make_cache(name, request, &|work| content(at, work)));
                return made.map(|()| held);
            }
            waiting();
            block_on(called_off.run_until_cancelled(left)).ok_or(Error::CalledOff)?;
        }
    }

    /// Makes a cache's directory if it isn't there, at once as it is to be. Of several who share it and do so, one is first.
    fn make_cache(
        &self,
        name: &str,
        request: &CacheRequest,
        content: &dyn Fn(&Path) -> Option<io::Result<PathBuf>>,
    ) -> Result<(), Error> {
        let path = self.caches_dir().join(name);
        if path.is_dir() {
            return Ok(());
        }
        let work = self.work_dir()?;
        between_steps();
        let made = match content(work.path()) {
            Some(filled) => filled.map_err(Error::file("fill the cache", &path))?,
            None => {
                let made = work.path().join("cache");
                let (uid, gid) = request.owner;
                fs::create_dir(&made)
                    .and_then(|()| chown(&made, Some(uid), Some(gid)))
                    .and_then(|()| fs::set_permissions(&made, fs::Permissions::from_mode(request.mode)))
                    .map_err(Error::file("make directory", &made))?;
                made
            }
        };
        between_steps();
        let _caches = self.caches();
        match path.is_dir() {
            true => Ok(()),
            false => fs::rename(&made, &path).map_err(Error::file("make directory", path)),
        }
    }

    /// The directories that steps keep something in for the next ones.
    pub fn cache_directories(&self) -> Result<Vec<CacheDirectory>, Error> {
        let in_use: BTreeSet<_> = self.caches().0.keys().cloned().collect();
        let described = super::layers::list(&self.caches_dir())?.into_iter().map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            CacheDirectory { is_in_use: in_use.contains(&*name), ..CacheDirectory::at(&path, &name) }
        });
        Ok(described.collect())
    }

    /// Removes the caches that nobody uses, and says which.
    pub fn prune_caches(&self) -> Result<Vec<CacheDirectory>, Error> {
        let dir = self.caches_dir();
        let mut gone = Vec::new();
        // With the lock: nobody takes one into use meanwhile.
        let caches = self.caches();
        for path in super::layers::list(&dir)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !caches.0.contains_key(&name) {
                gone.push((name, self.discard(&path)?));
            }
        }
        drop(caches);
        let describe = |(name, discarded): &(String, Discarded)| {
            discarded.directories().map(|directory| CacheDirectory::at(directory, name)).collect::<Vec<_>>()
        };
        let described = gone.iter().flat_map(describe).collect();
        gone.into_iter().try_for_each(|(_, discarded)| discarded.delete())?;
        Ok(described)
    }
}

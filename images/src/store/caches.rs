//! Directories that steps of builds keep something in for the next ones (`RUN --mount=type=cache`), and who uses which.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::sync::PoisonError;

use super::{Store, make_dir};
use crate::digest::Digest;
use crate::error::Error;

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
pub(crate) enum CacheUse {
    /// By any number of steps at once.
    Shared,
    /// By one after the other.
    Alone,
    /// By one; others get another directory.
    Another,
}

/// A cache that is in use.
pub(crate) struct CacheHold<'a> {
    store: &'a Store,
    name: String,
}

impl CacheHold<'_> {
    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.store.caches_dir().join(&self.name)
    }
}

impl Drop for CacheHold<'_> {
    fn drop(&mut self) {
        let mut caches = self.store.caches.lock().unwrap_or_else(PoisonError::into_inner);
        match caches.0.get_mut(&self.name) {
            Some(Use::Shared(holders)) if *holders > 1 => *holders -= 1,
            _ => drop(caches.0.remove(&self.name)),
        }
        self.store.cache_left.notify_all();
    }
}

impl Store {
    fn caches_dir(&self) -> PathBuf {
        self.root_dir.join("caches")
    }

    /// Takes a cache into use, waiting for others if it must. It is made, with this owner and mode, if it isn't there.
    pub(crate) fn hold_cache(
        &self,
        id: &str,
        how: CacheUse,
        owner: (u32, u32),
        mode: u32,
    ) -> Result<CacheHold<'_>, Error> {
        let hold = CacheHold { store: self, name: self.take_cache(id, how) };
        let path = hold.path();
        if !path.is_dir() {
            make_dir(&path)?;
            let looks = chown(&path, Some(owner.0), Some(owner.1))
                .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)));
            looks.map_err(Error::file("set owner and mode of", &path))?;
        }
        Ok(hold)
    }

    fn take_cache(&self, id: &str, how: CacheUse) -> String {
        // An id is any text.
        let name = Digest::of(id.as_bytes()).hex();
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if how == CacheUse::Another {
            let names = std::iter::once(name.clone()).chain((2_u32..).map(|number| format!("{name}-{number}")));
            let free = names.into_iter().find(|name| !caches.0.contains_key(name)).unwrap_or(name);
            caches.0.insert(free.clone(), Use::Alone);
            return free;
        }
        loop {
            match (caches.0.get_mut(&name), how) {
                (None, CacheUse::Shared) => drop(caches.0.insert(name.clone(), Use::Shared(1))),
                (None, _) => drop(caches.0.insert(name.clone(), Use::Alone)),
                (Some(Use::Shared(holders)), CacheUse::Shared) => *holders += 1,
                _ => {
                    caches = self.cache_left.wait(caches).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            }
            return name;
        }
    }

    /// Removes the caches that nobody uses; answers with how many bytes of files that were.
    pub fn prune_caches(&self) -> Result<u64, Error> {
        let dir = self.caches_dir();
        let mut aside = Vec::new();
        // With the lock: nobody takes one into use meanwhile.
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        for path in super::layers::list(&dir)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !caches.0.contains_key(&name) {
                aside.extend(self.set_aside(&path)?);
            }
        }
        drop(caches);
        let size_bytes = aside.iter().map(|dir| size_of(dir.path())).sum();
        super::delete(aside)?;
        Ok(size_bytes)
    }
}

fn size_of(dir: &std::path::Path) -> u64 {
    let mut waiting = vec![dir.to_owned()];
    let mut size_bytes = 0;
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => waiting.push(entry.path()),
                Ok(metadata) => size_bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    size_bytes
}

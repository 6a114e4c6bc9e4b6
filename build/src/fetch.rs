//! `ADD https://…`: a file from the network.

use std::fs::File;
use std::path::{Path, PathBuf};

use images::{Digest, DigestError, Error};

use super::StepError;
use super::schedule::Build;

/// A file that was fetched.
pub(super) struct Fetched {
    pub(super) path: PathBuf,
    /// When its server says that it was changed, in seconds since 1970.
    pub(super) modified_seconds: Option<i64>,
}

/// Whether a source is a URL and not a path.
pub(super) fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

/// Whether a source is a repository of git, which isn't fetched.
pub(super) fn is_git(source: &str) -> bool {
    let path = source.split(['#', '?']).next().unwrap_or_default();
    source.starts_with("git@") || source.starts_with("git://") || (is_url(source) && path.ends_with(".git"))
}

/// The last component of a URL's path, which the file is called by.
pub(super) fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?.split_once("://")?.1.split_once('/')?.1;
    path.rsplit('/').next().filter(|name| !name.is_empty() && *name != "." && *name != "..").map(str::to_owned)
}

/// Fetches a file into `dir`.
pub(super) fn fetch(build: &Build<'_>, url: &str, dir: &Path) -> Result<Fetched, StepError> {
    let path = dir.join(format!("fetched-{}", &Digest::of(url.as_bytes()).hex()[..16]));
    let mut file = File::create(&path).map_err(StepError::file(format!("make {}", path.display())))?;
    let (registries, called_off) = (build.environment.registries, &build.request.called_off);
    match build.store.fetch_into(&mut file, registries, url, called_off, &|_, _| ()) {
        Ok(modified_seconds) => Ok(Fetched { path, modified_seconds }),
        Err(Error::Fetch { url, source }) => Err(StepError::Fetch { url, reason: source.to_string() }),
        Err(Error::CalledOff) => Err(StepError::CalledOff),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file is what `--checksum` says.
pub(super) fn check(url: &str, file: &Path, checksum: Option<&str>) -> Result<Digest, StepError> {
    let trouble = StepError::file(format!("read {}", file.display()));
    let found = File::open(file).and_then(Digest::of_reader).map_err(trouble)?;
    let Some(expected) = checksum else { return Ok(found) };
    let expected: Digest = expected.parse().map_err(|error: DigestError| StepError::Invalid(error.to_string()))?;
    match found == expected {
        true => Ok(found),
        false => {
            let reason = format!("its content has digest {found}, expected {expected}");
            Err(StepError::Fetch { url: url.to_owned(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_their_files() {
        for (url, name) in [
            ("https://a.b/c/d.tar?x=/y", Some("d.tar")),
            ("http://a.b/", None),
            ("http://a.b", None),
            ("http://a.b/..", None),
        ] {
            assert_eq!(file_name(url).as_deref(), name, "{url}");
        }
        assert!(is_git("https://a.b/c.git#main") && is_git("git@a.b:c") && !is_git("https://a.b/c.git.txt"));
    }
}

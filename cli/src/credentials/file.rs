//! The docker client's configuration file, of which we change the passwords only: all else in it stays.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Secret;
use crate::failure::Failure;

/// Where the file is. A variable that is set to nothing isn't set.
pub(super) fn directory() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))
}

/// The file, as it was read or is to be written.
pub(super) struct ConfigFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl ConfigFile {
    /// Reads the file; an absent one is empty.
    pub(super) fn read() -> Result<Self, Failure> {
        let dir = directory()
            .ok_or_else(|| Failure::Invalid("there is no place for passwords: set HOME or DOCKER_CONFIG".to_owned()))?;
        Self::read_at(&dir.join("config.json"))
    }

    /// Reads the file if it has a place at all.
    pub(super) fn read_any() -> Result<Option<Self>, Failure> {
        directory().map(|dir| Self::read_at(&dir.join("config.json"))).transpose()
    }

    fn read_at(path: &Path) -> Result<Self, Failure> {
        // Whoever keeps it elsewhere wants it to stay there.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(Failure::Io { doing: format!("read {}", path.display()), source }),
        };
        let content = match text.trim_ascii() {
            b"" => Map::new(),
            text => serde_json::from_slice(text).map_err(|error| {
                Failure::Invalid(format!("{} isn't a JSON object, it is left as it is: {error}", path.display()))
            })?,
        };
        Ok(Self { path, content })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The filters that every prune has besides those that are given.
    pub(super) fn prune_filters(&self) -> Result<Vec<String>, Failure> {
        let Some(filters) = self.content.get("pruneFilters").filter(|filters| !filters.is_null()) else {
            return Ok(Vec::new());
        };
        let texts: Option<Vec<String>> = filters
            .as_array()
            .and_then(|filters| filters.iter().map(|filter| filter.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| {
            Failure::Invalid(format!("pruneFilters in {} isn't a list of texts: {filters}", self.path.display()))
        })
    }

    /// The registries that it names.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        let members = ["auths", "credHelpers"].into_iter().filter_map(|name| self.content.get(name)?.as_object());
        members.flat_map(|registries| registries.keys().cloned()).collect()
    }

    /// The helper that keeps a registry's password, if one does.
    pub(super) fn helper(&self, key: &str) -> Option<String> {
        let own = self.content.get("credHelpers").and_then(|helpers| helpers.get(key));
        let name = own.or_else(|| self.content.get("credsStore"))?.as_str()?;
        Some(name.to_owned()).filter(|name| !name.is_empty())
    }

    /// Notes that a registry's password is with a helper.
    pub(super) fn note(&mut self, key: &str) {
        self.set(key, json!({}));
    }

    /// Keeps a password in the file itself.
    pub(super) fn keep(&mut self, key: &str, username: &str, secret: &Secret) {
        self.set(
            key,
            match secret {
                Secret::Password(password) => json!({ "auth": STANDARD.encode(format!("{username}:{password}")) }),
                Secret::IdentityToken(token) => {
                    json!({ "auth": STANDARD.encode(format!("{username}:")), "identitytoken": token })
                }
            },
        );
    }

    fn set(&mut self, key: &str, entry: Value) {
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(key.to_owned(), entry);
        }
    }

    /// Takes a registry's entries away, however they are spelled; answers their keys.
    pub(super) fn forget(&mut self, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
        let Some(auths) = self.content.get_mut("auths").and_then(Value::as_object_mut) else { return Vec::new() };
        let keys: Vec<String> = auths.keys().filter(|key| is_meant(key)).cloned().collect();
        auths.retain(|key, _| !keys.contains(key));
        keys
    }

    /// Writes the file, whole or not at all; only its owner may read it.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let failed = |source| Failure::Io { doing: format!("write {}", self.path.display()), source };
        let dir = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let mut text = serde_json::to_vec_pretty(&self.content).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let mut file = tempfile::Builder::new()
            .prefix("config.json.")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(dir)
            .map_err(failed)?;
        file.write_all(&text).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_prunes_are_a_list_of_texts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            ConfigFile::read_at(&path).unwrap().prune_filters().map_err(|failure| failure.text())
        };
        assert_eq!(read(r#"{"pruneFilters": ["label!=keep", "until=24h"]}"#).unwrap(), ["label!=keep", "until=24h"]);
        assert_eq!(read(r#"{"pruneFilters": null}"#).unwrap(), [""; 0]);
        assert_eq!(read("{}").unwrap(), [""; 0]);
        for wrong in [r#"{"pruneFilters": "label=x"}"#, r#"{"pruneFilters": [1]}"#] {
            assert!(read(wrong).unwrap_err().contains("isn't a list of texts"), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, link) = (dir.path().join("kept.json"), dir.path().join("config.json"));
        let other = r#"{"HttpHeaders":{"a":"b"},"credHelpers":{"c:1":"x"},"auths":{"b:1":{"auth":"Yjpi"}}}"#;
        fs::write(&kept, other).unwrap();
        std::os::unix::fs::symlink("kept.json", &link).unwrap();
        let mut file = ConfigFile::read_at(&link).unwrap();
        assert_eq!((file.helper("a:1"), file.helper("c:1")), (None, Some("x".to_owned())));
        file.keep("a:1", "ann", &Secret::Password("secret".to_owned()));
        file.note("c:1");
        file.write().unwrap();
        let mut file = ConfigFile::read_at(&link).unwrap();
        let expected = json!({
            "HttpHeaders": {"a": "b"},
            "credHelpers": {"c:1": "x"},
            "auths": {"a:1": {"auth": "YW5uOnNlY3JldA=="}, "b:1": {"auth": "Yjpi"}, "c:1": {}},
        });
        assert_eq!(Value::Object(file.content.clone()), expected);
        assert!(link.is_symlink(), "the link is still one");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.forget(|key| key == "a:1"), ["a:1"]);
        assert!(file.forget(|key| key == "a:1").is_empty());
    }

    #[test]
    fn what_is_no_configuration_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        assert!(ConfigFile::read_at(&path).unwrap().content.is_empty());
        fs::write(&path, "[]").unwrap();
        let failure = ConfigFile::read_at(&path).err().expect("not an object").text();
        assert!(failure.contains("isn't a JSON object, it is left as it is"), "{failure}");
    }
}

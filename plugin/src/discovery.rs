//! Where plugins are: sockets in one directory, and files in others that say where.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::PluginError;

/// Where plugins are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// Of sockets: `NAME.sock` or `NAME/NAME.sock`.
    pub sockets: PathBuf,
    /// Of files: `NAME.spec`, `NAME.json`, or those in a directory `NAME`. The first directory's come first.
    pub specifications: Vec<PathBuf>,
}

impl Default for Directories {
    fn default() -> Self {
        Self {
            sockets: "/run/docker/plugins".into(),
            specifications: ["/etc/docker/plugins", "/usr/lib/docker/plugins"].map(PathBuf::from).to_vec(),
        }
    }
}

/// How a plugin is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Over a Unix socket.
    Socket(PathBuf),
    /// Over TCP, at the URL's host.
    Url(String),
}

/// The file `NAME.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JsonSpecification {
    addr: String,
    #[serde(default, rename = "TLSConfig")]
    tls: Option<serde::de::IgnoredAny>,
}

impl Directories {
    /// The names of all plugins that can be found.
    pub fn names(&self) -> BTreeSet<String> {
        let places = std::iter::once((&self.sockets, &["sock"][..]))
            .chain(self.specifications.iter().map(|directory| (directory, &["spec", "json"][..])));
        let mut names = BTreeSet::new();
        for (directory, extensions) in places {
            // One that isn't there has none.
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                let is_directory = path.is_dir();
                let named = match path.extension().and_then(|extension| extension.to_str()) {
                    Some(extension) if !is_directory && extensions.contains(&extension) => path.file_stem(),
                    _ if is_directory => path.file_name(),
                    _ => None,
                };
                names.extend(named.and_then(|name| name.to_str()).map(str::to_owned));
            }
        }
        names.retain(|name| !matches!(self.find(name), Err(PluginError::NotFound { .. })));
        names
    }

    /// Where the plugin of that name is.
    pub fn find(&self, name: &str) -> Result<Address, PluginError> {
        let missing = || {
            let all = std::iter::once(&self.sockets).chain(&self.specifications);
            let searched: Vec<String> = all.map(|path| path.display().to_string()).collect();
            PluginError::NotFound { name: name.to_owned(), searched: searched.join(", ") }
        };
        // A name is part of a path.
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(missing());
        }
        let is_socket = |path: &PathBuf| path.metadata().is_ok_and(|found| found.file_type().is_socket());
        if let Some(path) = both(&self.sockets, name, "sock").into_iter().find(is_socket) {
            return Ok(Address::Socket(path));
        }
        for directory in &self.specifications {
            for path in both(directory, name, "spec") {
                if let Some(text) = read(&path)? {
                    return address(&path, text.trim());
                }
            }
            for path in both(directory, name, "json") {
                if let Some(text) = read(&path)? {
                    return of_json(&path, &text);
                }
            }
        }
        Err(missing())
    }
}

fn both(directory: &Path, name: &str, extension: &str) -> [PathBuf; 2] {
    let file = format!("{name}.{extension}");
    [directory.join(&file), directory.join(name).join(file)]
}

fn read(path: &Path) -> Result<Option<String>, PluginError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(PluginError::Read { path: path.to_owned(), source }),
    }
}

fn of_json(path: &Path, text: &str) -> Result<Address, PluginError> {
    let wrong = |problem: String| PluginError::Specification { path: path.to_owned(), problem };
    let JsonSpecification { addr, tls } = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    match tls {
        None => address(path, &addr),
        Some(_) => Err(over_tls(path)),
    }
}

fn address(path: &Path, url: &str) -> Result<Address, PluginError> {
    let wrong = |problem: &str| PluginError::Specification {
        path: path.to_owned(),
        problem: format!("{problem} in {url:?}: unix:///PATH, tcp://HOST:PORT or http://HOST:PORT is expected"),
    };
    match url.split_once("://") {
        Some(("unix", socket)) if socket.starts_with('/') => Ok(Address::Socket(socket.into())),
        Some(("tcp" | "http", host)) if !host.is_empty() => {
            Ok(Address::Url(format!("http://{}", host.trim_end_matches('/'))))
        }
        Some(("https", _)) => Err(over_tls(path)),
        Some(_) => Err(wrong("an address that leads nowhere")),
        None => Err(wrong("no scheme")),
    }
}

fn over_tls(path: &Path) -> PluginError {
    PluginError::Unsupported { path: path.to_owned(), what: "a connection over TLS" }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn sockets_come_first_and_then_files() {
        let dir = tempfile::tempdir().unwrap();
        let (sockets, first, second) = (dir.path().join("run"), dir.path().join("etc"), dir.path().join("lib"));
        for path in [&sockets.join("deep"), &first.join("far"), &second] {
            std::fs::create_dir_all(path).unwrap();
        }
        let directories = Directories { sockets: sockets.clone(), specifications: vec![first.clone(), second.clone()] };
        let _one = UnixListener::bind(sockets.join("one.sock")).unwrap();
        let _deep = UnixListener::bind(sockets.join("deep/deep.sock")).unwrap();
        std::fs::write(sockets.join("two.sock"), "no socket").unwrap();
        std::fs::write(first.join("one.spec"), "tcp://10.0.0.1:1").unwrap();
        std::fs::write(first.join("two.json"), r#"{"Name":"x","Addr":"http://10.0.0.2:2/"}"#).unwrap();
        std::fs::write(second.join("two.spec"), "tcp://10.0.0.3:3").unwrap();
        std::fs::write(first.join("far/far.spec"), " unix:///run/far.sock\n").unwrap();
        let url = |url: &str| Address::Url(url.to_owned());
        for (name, address) in [
            ("one", Address::Socket(sockets.join("one.sock"))),
            ("deep", Address::Socket(sockets.join("deep/deep.sock"))),
            ("two", url("http://10.0.0.2:2")),
            ("far", Address::Socket("/run/far.sock".into())),
        ] {
            assert_eq!(directories.find(name).unwrap(), address, "{name}");
        }
        std::fs::create_dir(second.join("empty")).unwrap();
        assert_eq!(Vec::from_iter(directories.names()), ["deep", "far", "one", "two"]);
        for name in ["", "..", "../run/one", "absent", "x/y:latest"] {
            assert!(matches!(directories.find(name), Err(PluginError::NotFound { .. })), "{name}");
        }
        for (text, problem) in [("10.0.0.1:1", "no scheme"), ("ftp://x", "leads nowhere"), ("https://x", "over TLS")] {
            std::fs::write(second.join("bad.spec"), text).unwrap();
            let said = directories.find("bad").unwrap_err().to_string();
            assert!(said.contains(problem), "{said}");
        }
        let text = r#"{"Name":"safe","Addr":"https://10.0.0.2:2","TLSConfig":{"CAFile":"/x"}}"#;
        std::fs::write(second.join("safe.json"), text).unwrap();
        let said = directories.find("safe").unwrap_err().to_string();
        let path = second.join("safe.json");
        let expected = "wants a connection over TLS, which berth doesn't support yet: give the plugin a socket";
        assert_eq!(said, format!("{} {expected}", path.display()));
    }
}

//! A directory of certificates for one registry, as Docker has them: `*.crt` are authorities' that are trusted there, `NAME.cert`
//! and `NAME.key` are what we show of ourselves (the first by name; there is one mostly).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RegistryError;

/// What a directory holds, as PEM.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Certificates {
    pub(super) authorities: Vec<Vec<u8>>,
    /// A certificate and its key.
    pub(super) own: Option<Vec<u8>>,
}

impl Certificates {
    /// Reads a directory; one that isn't there is empty.
    pub(super) fn read(dir: &Path) -> Result<Self, RegistryError> {
        let mut paths = match list(dir) {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(dir)(error)),
        };
        paths.sort();
        let mut certificates = Self::default();
        for path in &paths {
            let partner = |extension| {
                let partner = path.with_extension(extension);
                match paths.contains(&partner) {
                    true => Ok(partner),
                    false => Err(RegistryError::LonelyCertificate { path: path.clone(), partner }),
                }
            };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => certificates.authorities.push(read(path)?),
                Some("key") => drop(partner("cert")?),
                Some("cert") => {
                    let own = [read(path)?, read(&partner("key")?)?].join(&b'\n');
                    certificates.own.get_or_insert(own);
                }
                _ => {}
            }
        }
        Ok(certificates)
    }
}

fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    fs::read(path).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Certificates { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_their_names() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str| fs::write(dir.path().join(name), name).expect("a file");
        assert_eq!(Certificates::read(&dir.path().join("none")).expect("nothing"), Certificates::default());
        ["b.cert", "b.key", "a.cert", "a.key", "ca.crt", "README"].into_iter().for_each(write);
        let expected = Certificates { authorities: vec![b"ca.crt".to_vec()], own: Some(b"a.cert\na.key".to_vec()) };
        assert_eq!(Certificates::read(dir.path()).expect("certificates"), expected);
        fs::remove_file(dir.path().join("a.key")).expect("a file");
        let refusal = Certificates::read(dir.path()).expect_err("a certificate without key").to_string();
        assert!(refusal.contains("a.cert is there without ") && refusal.contains("a.key:"), "{refusal}");
    }
}

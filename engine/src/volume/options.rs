//! Options of the driver `local`: a file system that is mounted while containers use the volume, as mount(8) takes it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::mount::MsFlags;
use serde::{Deserialize, Serialize};

/// What is mounted: `type`, `device` and `o`, as mount(8) has them for `-t`, the source and `-o`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalMount {
    file_system: String,
    device: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<String>,
}

/// Options that the driver doesn't take; texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocalOption {
    /// There is no such option.
    #[error("invalid option: {0:?}: the driver \"local\" takes type, device and o")]
    Unknown(String),
    /// One is of no use without the other.
    #[error("missing required option: {0:?}")]
    Missing(&'static str),
    /// Project quotas, which a plain directory hasn't.
    #[error("quota size requested but no quota support: use type=tmpfs with o=size={0} for a volume in memory")]
    Quota(String),
    /// It can't be mounted for a container.
    #[error("invalid mount option {0:?}: mounts of a container's volumes can't be shared with other namespaces")]
    Shared(String),
}

/// A mount as mount(2) takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountCall {
    /// What is mounted.
    pub source: String,
    /// The kind of file system.
    pub file_system: String,
    /// What the kernel has flags for.
    pub flags: MsFlags,
    /// The rest, for the file system.
    pub data: String,
}

impl LocalMount {
    /// What the options ask for; nothing is mounted without any.
    pub fn from_options(options: &BTreeMap<String, String>) -> Result<Option<Self>, InvalidLocalOption> {
        for (key, value) in options {
            match key.as_str() {
                "type" | "device" | "o" => {}
                "size" => return Err(InvalidLocalOption::Quota(value.clone())),
                _ => return Err(InvalidLocalOption::Unknown(key.clone())),
            }
        }
        let given = |key: &str| options.get(key).filter(|value| !value.is_empty()).cloned();
        let (file_system, device, words) = (given("type"), given("device"), given("o"));
        let (file_system, device) = match (file_system, device) {
            (None, None) if words.is_none() => return Ok(None),
            (Some(file_system), Some(device)) => (file_system, device),
            (None, _) => return Err(InvalidLocalOption::Missing("type")),
            (_, None) => return Err(InvalidLocalOption::Missing("device")),
        };
        let is_shared = |word: &&str| ["shared", "rshared"].contains(word);
        match words.iter().flat_map(|words| words.split(',')).find(is_shared) {
            Some(word) => Err(InvalidLocalOption::Shared(word.to_owned())),
            None => Ok(Some(Self { file_system, device, options: words })),
        }
    }

    /// The options again.
    pub fn to_options(&self) -> BTreeMap<String, String> {
        let all = [("type", Some(&self.file_system)), ("device", Some(&self.device)), ("o", self.options.as_ref())];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone()))).collect()
    }

    /// The mount that it is. The kernel knows servers by address only: `resolve` finds those of the names after `addr=`.
    pub fn call<E>(&self, resolve: impl Fn(&str) -> Result<IpAddr, E>) -> Result<MountCall, E> {
        let (mut flags, mut data) = (MsFlags::empty(), Vec::new());
        for word in self.options.iter().flat_map(|words| words.split(',')).filter(|word| !word.is_empty()) {
            match (flag(word), word.strip_prefix("addr=")) {
                (Some(Flag::On(flag)), _) => flags.insert(flag),
                (Some(Flag::Off(flag)), _) => flags.remove(flag),
                (None, Some(name)) if self.is_of_network() => data.push(format!("addr={}", resolve(name)?)),
                (None, _) => data.push(word.to_owned()),
            }
        }
        Ok(MountCall {
            source: self.device.clone(),
            file_system: self.file_system.clone(),
            flags,
            data: data.join(","),
        })
    }

    fn is_of_network(&self) -> bool {
        self.file_system.starts_with("nfs") || self.file_system == "cifs"
    }
}

/// A word that sets or clears a flag of mount(2).
enum Flag {
    On(MsFlags),
    Off(MsFlags),
}

/// The words of mount(8) that aren't the file system's business.
fn flag(word: &str) -> Option<Flag> {
    use Flag::{Off, On};
    Some(match word {
        "defaults" => On(MsFlags::empty()),
        "ro" => On(MsFlags::MS_RDONLY),
        "rw" => Off(MsFlags::MS_RDONLY),
        "suid" => Off(MsFlags::MS_NOSUID),
        "nosuid" => On(MsFlags::MS_NOSUID),
        "dev" => Off(MsFlags::MS_NODEV),
        "nodev" => On(MsFlags::MS_NODEV),
        "exec" => Off(MsFlags::MS_NOEXEC),
        "noexec" => On(MsFlags::MS_NOEXEC),
        "sync" => On(MsFlags::MS_SYNCHRONOUS),
        "async" => Off(MsFlags::MS_SYNCHRONOUS),
        "dirsync" => On(MsFlags::MS_DIRSYNC),
        "atime" => Off(MsFlags::MS_NOATIME),
        "noatime" => On(MsFlags::MS_NOATIME),
        "diratime" => Off(MsFlags::MS_NODIRATIME),
        "nodiratime" => On(MsFlags::MS_NODIRATIME),
        "relatime" => On(MsFlags::MS_RELATIME),
        "norelatime" => Off(MsFlags::MS_RELATIME),
        "strictatime" => On(MsFlags::MS_STRICTATIME),
        "nostrictatime" => Off(MsFlags::MS_STRICTATIME),
        "bind" => On(MsFlags::MS_BIND),
        "rbind" => On(MsFlags::MS_BIND.union(MsFlags::MS_REC)),
        // Below, what the host mounts later comes along or not; berthd's own mount passes nothing on to the host.
        "private" | "rprivate" | "slave" | "rslave" => On(MsFlags::empty()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn call(pairs: &[(&str, &str)]) -> MountCall {
        let mount = LocalMount::from_options(&options(pairs)).unwrap().unwrap();
        assert_eq!(mount.to_options(), options(pairs));
        mount.call::<Infallible>(|_| Ok([10, 0, 0, 9].into())).unwrap()
    }

    #[test]
    fn options_become_a_mount() {
        let memory = call(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,uid=7,noexec,nosuid,exec")]);
        assert_eq!((memory.flags, memory.data.as_str()), (MsFlags::MS_NOSUID, "size=1m,uid=7"));
        let bind = call(&[("type", "none"), ("device", "/srv"), ("o", "bind,ro")]);
        assert_eq!((bind.flags, bind.data.as_str()), (MsFlags::MS_BIND | MsFlags::MS_RDONLY, ""));
        let nfs = call(&[("type", "nfs4"), ("device", ":/export"), ("o", "addr=files.lan,rw,vers=4.2")]);
        assert_eq!((nfs.source.as_str(), nfs.data.as_str()), (":/export", "addr=10.0.0.9,vers=4.2"));
        // Any other file system may have an option of that name.
        assert_eq!(call(&[("type", "9p"), ("device", "x"), ("o", "addr=y")]).data, "addr=y");
        assert_eq!(LocalMount::from_options(&options(&[])), Ok(None));
    }

    #[test]
    fn options_that_make_no_mount_are_refused() {
        for (pairs, text) in [
            (&[("size", "1g")][..], "quota size requested but no quota support"),
            (&[("foo", "1")], "invalid option: \"foo\""),
            (&[("type", "tmpfs")], "missing required option: \"device\""),
            (&[("device", "tmpfs")], "missing required option: \"type\""),
            (&[("o", "bind")], "missing required option: \"type\""),
            (&[("type", "none"), ("device", "/x"), ("o", "bind,rshared")], "invalid mount option \"rshared\""),
        ] {
            let said = LocalMount::from_options(&options(pairs)).unwrap_err().to_string();
            assert!(said.starts_with(text), "{said}");
        }
    }
}

//! `--security-opt` and the namespace modes: what separates a container from the host.

use std::path::Path;

use super::LocalContext;
use super::error::RequestError;

/// The values of `--security-opt`, as the API takes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SecurityOptions {
    /// What is passed on.
    pub(crate) options: Vec<String>,
    /// Nothing of /proc and /sys is masked or read-only.
    pub(crate) system_paths_unconfined: bool,
}

impl SecurityOptions {
    /// Reads the values; a seccomp profile is read from its file, because the engine may not see it.
    ///
    /// # Errors
    /// Names the value that isn't an option, or the profile that can't be read.
    pub(crate) fn parse(specs: &[String], local: &LocalContext<'_>) -> Result<Self, RequestError> {
        let mut all = Self::default();
        for spec in specs {
            let (name, value) = match spec.split_once('=').or_else(|| spec.split_once(':')) {
                Some(pair) => pair,
                None if spec == "no-new-privileges" => (spec.as_str(), "true"),
                None => return Err(RequestError::Invalid(format!("Invalid --security-opt: \"{spec}\""))),
            };
            match (name, value) {
                ("systempaths", "unconfined") => all.system_paths_unconfined = true,
                ("seccomp", "unconfined" | "builtin") => all.options.push(spec.clone()),
                ("seccomp", file) => all.options.push(format!("seccomp={}", profile(file, local)?)),
                _ => all.options.push(spec.clone()),
            }
        }
        Ok(all)
    }
}

fn profile(file: &str, local: &LocalContext<'_>) -> Result<String, RequestError> {
    let text = (local.read_file)(Path::new(file)).map_err(|source| RequestError::Read { path: file.into(), source })?;
    let wrong = |error| RequestError::Invalid(format!("seccomp profile {file} isn't JSON: {error}"));
    let mut compact = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(&text);
    serde_transcode::transcode(&mut reader, &mut serde_json::Serializer::new(&mut compact)).map_err(wrong)?;
    String::from_utf8(compact).map_err(|error| RequestError::Invalid(format!("seccomp profile {file}: {error}")))
}

/// A flag that names a namespace to share, and what it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NamespaceFlag {
    flag: &'static str,
    namespace: &'static str,
    words: &'static [&'static str],
    container: bool,
    allowed: &'static str,
}

pub(crate) const IPC: NamespaceFlag = NamespaceFlag {
    flag: "--ipc",
    namespace: "IPC",
    words: &["none", "private", "shareable", "host"],
    container: true,
    allowed: "none, private, shareable, host or container:ID",
};
pub(crate) const PID: NamespaceFlag = NamespaceFlag {
    flag: "--pid",
    namespace: "PID",
    words: &["host"],
    container: true,
    allowed: "host or container:ID",
};
pub(crate) const UTS: NamespaceFlag =
    NamespaceFlag { flag: "--uts", namespace: "UTS", words: &["host"], container: false, allowed: "host" };
pub(crate) const USER: NamespaceFlag =
    NamespaceFlag { flag: "--userns", namespace: "USER", words: &["host"], container: false, allowed: "host" };
pub(crate) const CGROUP: NamespaceFlag = NamespaceFlag {
    flag: "--cgroupns",
    namespace: "CGROUP",
    words: &["private", "host"],
    container: false,
    allowed: "private or host",
};

impl NamespaceFlag {
    /// Checks the flag's value; empty is as good as absent.
    ///
    /// # Errors
    /// Names the value that isn't a mode.
    pub(crate) fn parse(self, value: Option<&str>) -> Result<Option<String>, RequestError> {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
        let of_container = self.container && value.strip_prefix("container:").is_some_and(|id| !id.is_empty());
        if self.words.contains(&value) || of_container {
            return Ok(Some(value.to_owned()));
        }
        let Self { flag, namespace, allowed, .. } = self;
        Err(RequestError::Mode { flag, namespace, value: value.to_owned(), allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::local;
    use super::*;

    fn parse(spec: &str) -> Result<SecurityOptions, String> {
        SecurityOptions::parse(&[spec.to_owned()], &local()).map_err(|error| error.to_string())
    }

    #[test]
    fn options() {
        for (spec, expected) in [
            ("no-new-privileges", "no-new-privileges"),
            ("no-new-privileges=false", "no-new-privileges=false"),
            ("label:disable", "label:disable"),
            ("apparmor=unconfined", "apparmor=unconfined"),
            ("seccomp=unconfined", "seccomp=unconfined"),
            ("seccomp=profile.json", "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"),
        ] {
            assert_eq!(parse(spec).unwrap().options, [expected], "{spec}");
        }
        let unconfined = parse("systempaths=unconfined").unwrap();
        assert!(unconfined.system_paths_unconfined && unconfined.options.is_empty());
        assert_eq!(parse("x").unwrap_err(), "Invalid --security-opt: \"x\"");
        assert_eq!(parse("seccomp=/nope").unwrap_err(), "open /nope");
        assert!(parse("seccomp=broken.json").unwrap_err().starts_with("seccomp profile broken.json isn't JSON: "));
    }

    #[test]
    fn modes() {
        assert_eq!(PID.parse(Some("container:web")).unwrap().as_deref(), Some("container:web"));
        assert_eq!(IPC.parse(Some("")).unwrap(), None);
        for (flag, value, expected) in [
            (PID, "x", "--pid: invalid PID mode 'x': use host or container:ID"),
            (PID, "container:", "--pid: invalid PID mode 'container:': use host or container:ID"),
            (UTS, "container:web", "--uts: invalid UTS mode 'container:web': use host"),
            (CGROUP, "x", "--cgroupns: invalid CGROUP mode 'x': use private or host"),
        ] {
            assert_eq!(flag.parse(Some(value)).unwrap_err().to_string(), expected);
        }
    }
}

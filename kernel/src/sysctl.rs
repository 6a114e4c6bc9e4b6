//! Sysctls, as files below `/proc/sys`. Those of networking belong to the namespace of the thread that opens the file.

use std::{fs, io, path::PathBuf};

/// The file of a sysctl; keys that would lead elsewhere are refused.
fn file(key: &str) -> io::Result<PathBuf> {
    if key.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a path below /proc/sys"));
    }
    Ok(PathBuf::from("/proc/sys").join(key))
}

/// Sets a sysctl of the calling thread's namespace.
pub(crate) fn write(key: &str, value: &str) -> io::Result<()> {
    match fs::write(file(key)?, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && value == "1" && is_without_ipv6(key)? => Ok(()),
        written => written,
    }
}

/// Reads a sysctl of the calling thread's namespace; none if this kernel has no such thing.
pub(crate) fn read(key: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(file(key)?) {
        Ok(value) => Ok(Some(value.trim_end().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(is_without_ipv6(key)?.then(|| "1".to_owned())),
        Err(error) => Err(error),
    }
}

/// Whether a sysctl asks if IPv6 is disabled, and the kernel has none: it is as good as disabled everywhere.
fn is_without_ipv6(key: &str) -> io::Result<bool> {
    Ok(key.ends_with("/disable_ipv6") && !fs::exists("/proc/sys/net/ipv6")?)
}

/// Whether a sysctl is there and not 0.
pub(crate) fn is_on(key: &str) -> io::Result<bool> {
    Ok(read(key)?.is_some_and(|value| value != "0"))
}

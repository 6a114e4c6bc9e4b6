//! Whether systemd-networkd is about to manage links of ours: it takes a veth's end off its bridge, and sets links down, as soon
//! as one of its files matches them. Its files are read as systemd.network(5) says.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use cnm::id::LinkName;
use glob::Pattern;

/// Where its files are, and of the same name the first counts.
const DIRECTORIES: [&str; 5] = [
    "etc/systemd/network",
    "run/systemd/network",
    "usr/local/lib/systemd/network",
    "usr/lib/systemd/network",
    "lib/systemd/network",
];

/// There while it runs.
const STATE: &str = "run/systemd/netif/state";

/// What a file can match of a link.
struct Link {
    name: &'static str,
    /// As networkd calls it: veths are of the type of what they carry.
    type_name: &'static str,
    kind: &'static str,
}

/// One of each of our name patterns.
const LINKS: [Link; 3] = [
    Link { name: LinkName::DEFAULT_BRIDGE, type_name: "bridge", kind: "bridge" },
    Link { name: "bb-0123456789ab", type_name: "bridge", kind: "bridge" },
    Link { name: "bv0123456789", type_name: "ether", kind: "veth" },
];

/// What an administrator should know, if networkd runs and manages any of our links. `root` is the root directory.
pub(crate) fn warning(root: &Path) -> Option<String> {
    let files = if root.join(STATE).exists() { files(root) } else { Vec::new() };
    managed(&files).map(|(links, file)| {
        format!(
            "systemd-networkd manages {links} by {}, and takes containers off their network: install \
             05-berth.network beside it (scripts/install does), or have that file match fewer links",
            file.display()
        )
    })
}

/// The files in their order, which is that of their names.
fn files(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for entry in DIRECTORIES.iter().filter_map(|directory| fs::read_dir(root.join(directory)).ok()).flatten().flatten()
    {
        if entry.path().extension().is_some_and(|extension| extension == "network") {
            found.entry(entry.file_name()).or_insert_with(|| entry.path());
        }
    }
    // One that can't be read isn't networkd's either.
    found.into_values().filter_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text))).collect()
}

/// The links that are managed by the first file that manages any, and that file.
fn managed(files: &[(PathBuf, String)]) -> Option<(String, &Path)> {
    let decisive = |link: &Link| files.iter().find(|(_, text)| matches(text, link));
    let managed = LINKS.iter().filter_map(|link| Some((link, decisive(link)?)));
    let managed: Vec<_> = managed.filter(|(_, (_, text))| !is_unmanaged(text)).collect();
    let (_, (first, _)) = managed.first()?;
    let names: Vec<&str> = managed.iter().filter(|(_, (path, _))| path == first).map(|(link, _)| link.name).collect();
    Some((names.join(", "), first))
}

/// The settings of a section, as they come.
fn settings<'a>(text: &'a str, section: &str) -> Vec<(&'a str, &'a str)> {
    let mut inside = false;
    let mut settings = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(header) = line.strip_prefix('[') {
            inside = header.strip_suffix(']') == Some(section);
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            settings.push((key.trim(), value.trim()));
        }
    }
    settings
}

fn is_unmanaged(text: &str) -> bool {
    let settings = settings(text, "Link");
    let last = settings.iter().rfind(|(key, _)| *key == "Unmanaged");
    last.is_some_and(|(_, value)| ["1", "yes", "y", "true", "t", "on"].contains(&value.to_ascii_lowercase().as_str()))
}

/// Whether all that a file's `[Match]` asks for holds for a link. Without any such setting it matches nothing.
fn matches(text: &str, link: &Link) -> bool {
    let mut wanted: BTreeMap<&str, Vec<(bool, &str)>> = BTreeMap::new();
    for (key, value) in settings(text, "Match") {
        let patterns = wanted.entry(key).or_default();
        let (negated, value) = value.strip_prefix('!').map_or((false, value), |value| (true, value));
        match value.is_empty() {
            true => patterns.clear(),
            false => patterns.extend(value.split_whitespace().map(|pattern| (negated, pattern))),
        }
    }
    wanted.retain(|_, patterns| !patterns.is_empty());
    !wanted.is_empty() && wanted.into_iter().all(|(key, patterns)| holds(key, &patterns, link))
}

fn holds(key: &str, patterns: &[(bool, &str)], link: &Link) -> bool {
    let value = match key {
        "Name" | "OriginalName" => link.name,
        "Type" => link.type_name,
        "Kind" | "Driver" => link.kind,
        // What the host is, and not a link: networkd read the file for a reason.
        "Host" | "Virtualization" | "KernelCommandLine" | "KernelVersion" | "Credential" | "Architecture"
        | "Firmware" => {
            return true;
        }
        // Addresses, paths and properties of devices, which ours haven't got.
        _ => "",
    };
    let fits = |pattern: &str| Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(value));
    let is_excluded = patterns.iter().any(|(negated, pattern)| *negated && fits(pattern));
    let mut wanted = patterns.iter().filter(|(negated, _)| !negated).peekable();
    !is_excluded && (wanted.peek().is_none() || wanted.any(|(_, pattern)| fits(pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = include_str!("../../packaging/05-berth.network");

    fn told(files: &[(&str, &str)]) -> Option<(String, String)> {
        let files: Vec<_> = files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
        managed(&files).map(|(links, file)| (links, file.display().to_string()))
    }

    #[test]
    fn which_files_manage_links_of_ours() {
        let all = "berth0, bb-0123456789ab, bv0123456789";
        let bridges = "berth0, bb-0123456789ab";
        for (text, links) in [
            ("[Match]\nType=ether\n[Network]\nDHCP=yes", Some("bv0123456789")),
            ("[Match]\nName=*", Some(all)),
            ("[Match]\nName=!lo docker*\n", Some(all)),
            ("[Match]\nName=en* eth*", None),
            ("[Match]\nName=!b*", None),
            ("[Match]\nName=en*\nName=b*", Some(all)),
            ("[Match]\nName=*\nName=\nName=en*", None),
            ("[Match]\nKind=bridge\nVirtualization=yes", Some(bridges)),
            ("[Match]\nKind=!veth", Some(bridges)),
            ("[Match]\nType=ether\nKind=!*", None),
            ("[Match]\nMACAddress=02:00:00:00:00:01", None),
            ("[Match]\nDriver=virtio_net", None),
            ("# [Match]\n;Name=*\n[Network]\nName=*", None),
            ("", None),
            ("[Match]\nName=*\n[Link]\nUnmanaged=yes", None),
            ("[Match]\nName=*\n[Link]\nUnmanaged=no", Some(all)),
        ] {
            assert_eq!(told(&[("a", text)]), links.map(|links| (links.to_owned(), "a".to_owned())), "{text}");
        }
    }

    #[test]
    fn the_file_that_is_installed_comes_first_and_leaves_ours_alone() {
        let all = ("80-all.network", "[Match]\nName=*\n");
        assert_eq!(told(&[("05-berth.network", OURS), all]), None);
        assert!(told(&[all]).is_some());
        // The same names for NetworkManager and udev.
        let names = settings(OURS, "Match")[0].1;
        let manager = include_str!("../../packaging/networkmanager.conf");
        let listed: String = names.split(' ').map(|name| format!(";interface-name:{name}")).collect();
        assert!(manager.contains(listed.trim_start_matches(';')), "{manager}");
        let udev = include_str!("../../packaging/85-berth.rules");
        assert!(udev.contains(&format!("KERNEL==\"{}\"", names.replace(' ', "|"))), "{udev}");
    }

    #[test]
    fn it_is_told_only_where_networkd_runs_and_the_first_directory_counts() {
        let root = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        write("usr/lib/systemd/network/80-all.network", "[Match]\nName=*\n");
        assert_eq!(warning(root.path()), None);
        write(STATE, "");
        let told = warning(root.path()).expect("a warning");
        assert!(told.contains("bv0123456789 by ") && told.contains("usr/lib/systemd/network/80-all.network"), "{told}");
        write("etc/systemd/network/80-all.network", "");
        assert_eq!(warning(root.path()), None);
    }
}

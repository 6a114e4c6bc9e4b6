//! `-v`, `--mount`, `--tmpfs` and an image's volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use bollard_stubs::models::{ContainerConfig, HostConfig, Mount, MountBindOptionsPropagationEnum as Propagation};
use runtime::spec::BindPropagation;

use super::Surroundings;
use crate::container::mount::{MountPoint, MountPointKind};
use crate::error::{Error, Result};

pub(super) fn mounts(
    config: &ContainerConfig,
    host: &HostConfig,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<MountPoint>> {
    let mut all = Vec::new();
    for bind in host.binds.iter().flatten() {
        all.push(parse_bind(bind)?);
    }
    for mount in host.mounts.iter().flatten() {
        all.push(parse_mount(mount, surroundings)?);
    }
    let tmpfs: BTreeMap<_, _> = host.tmpfs.iter().flatten().collect();
    for (destination, options) in tmpfs {
        all.push(parse_tmpfs(destination, options)?);
    }
    let mut taken = BTreeSet::new();
    for mount in &all {
        if !taken.insert(mount.destination.clone()) {
            return Err(Error::invalid(format!("Duplicate mount point: {}", mount.destination.display())));
        }
    }
    // What the user mounts stands in for a volume of the image.
    for path in config.volumes.iter().flatten() {
        let destination = destination(path)?;
        if taken.insert(destination.clone()) {
            all.push(anonymous(destination, false, surroundings));
        }
    }
    Ok(all)
}

fn anonymous(destination: PathBuf, readonly: bool, surroundings: &Surroundings<'_>) -> MountPoint {
    let kind = MountPointKind::AnonymousVolume { name: (surroundings.random_id)() };
    MountPoint { destination, readonly, mode: String::new(), kind }
}

/// An absolute path other than `/`, without `.` and `..`.
fn destination(text: &str) -> Result<PathBuf> {
    let invalid = |why: &str| Error::invalid(format!("invalid mount path: '{text}' {why}"));
    if !text.starts_with('/') {
        return Err(invalid("mount path must be absolute"));
    }
    let mut path = PathBuf::from("/");
    for part in Path::new(text).components() {
        match part {
            Component::ParentDir => return Err(invalid("must not contain '..'")),
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    if path == Path::new("/") {
        return Err(Error::invalid(format!("invalid volume specification: '{text}': destination can't be '/'")));
    }
    Ok(path)
}

/// `source:destination[:options]`
fn parse_bind(text: &str) -> Result<MountPoint> {
    let invalid = || Error::invalid(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [source, target] => (source, target, ""),
        [source, target, mode] => (source, target, mode),
        _ => return Err(invalid()),
    };
    if source.is_empty() || target.is_empty() {
        return Err(invalid());
    }
    if !source.starts_with('/') {
        return Err(named_volume(source));
    }
    let (mut readonly, mut propagation, mut seen) = (false, None, BTreeSet::new());
    for option in mode.split(',').filter(|option| !option.is_empty()) {
        let invalid_mode = || Error::invalid(format!("invalid mode: {mode}"));
        let group = match option {
            "ro" | "rw" => {
                readonly = option == "ro";
                "access"
            }
            // Relabelling for SELinux, which is not in use.
            "z" | "Z" => "label",
            "nocopy" | "cached" | "delegated" | "consistent" => "hint",
            other => {
                propagation = Some(parse_propagation(other).ok_or_else(invalid_mode)??);
                "propagation"
            }
        };
        if !seen.insert(group) {
            return Err(invalid_mode());
        }
    }
    Ok(MountPoint {
        destination: destination(target)?,
        readonly,
        mode: mode.to_owned(),
        kind: MountPointKind::Bind {
            source: source.into(),
            propagation: propagation.unwrap_or_default(),
            non_recursive: false,
            create_source: true,
        },
    })
}

fn named_volume(name: &str) -> Error {
    Error::not_implemented(format!(
        "volume {name:?}: volumes by name are not supported by berth yet, bind-mount a directory by its absolute path"
    ))
}

fn parse_propagation(name: &str) -> Option<Result<BindPropagation>> {
    match name {
        "private" => Some(Ok(BindPropagation::Private)),
        "rprivate" => Some(Ok(BindPropagation::Rprivate)),
        "slave" => Some(Ok(BindPropagation::Slave)),
        "rslave" => Some(Ok(BindPropagation::Rslave)),
        "shared" | "rshared" => Some(Err(Error::not_implemented(format!(
            "mount propagation {name:?} can't be had yet: a container's mounts live in a namespace of their own, \
             which is a slave of the host's; use rslave or rprivate"
        )))),
        _ => None,
    }
}

/// `--mount`
fn parse_mount(mount: &Mount, surroundings: &Surroundings<'_>) -> Result<MountPoint> {
    let target = mount.target.as_deref().unwrap_or_default();
    let kind = mount.typ.map(|kind| kind.to_string()).unwrap_or_default();
    let invalid = |why: &str| Error::invalid(format!("invalid mount config for type \"{kind}\": {why}"));
    if target.is_empty() {
        return Err(invalid("field Target must not be empty"));
    }
    let source = mount.source.as_deref().unwrap_or_default();
    let foreign = [
        (mount.bind_options.is_some() && kind != "bind", "BindOptions"),
        (mount.tmpfs_options.is_some() && kind != "tmpfs", "TmpfsOptions"),
        (mount.volume_options.is_some() && kind != "volume", "VolumeOptions"),
        (mount.image_options.is_some() && kind != "image", "ImageOptions"),
    ];
    if let Some((_, field)) = foreign.iter().find(|(foreign, _)| *foreign) {
        return Err(invalid(&format!("field {field} must not be specified")));
    }
    let readonly = mount.read_only.unwrap_or_default();
    let destination = destination(target)?;
    let point = |kind| MountPoint { destination: destination.clone(), readonly, mode: String::new(), kind };
    match kind.as_str() {
        "bind" => Ok(point(bind_kind(mount, source, &invalid)?)),
        "tmpfs" if !source.is_empty() => Err(invalid("field Source must not be specified")),
        "tmpfs" => Ok(point(tmpfs_kind(mount, &invalid)?)),
        "volume" if !source.is_empty() => Err(named_volume(source)),
        "volume" if mount.volume_options.as_ref().is_some_and(|options| *options != Default::default()) => {
            Err(Error::not_implemented("volume options are not supported by berth yet"))
        }
        "volume" => Ok(anonymous(destination, readonly, surroundings)),
        "" => Err(invalid("mount type unknown: \"\"")),
        other => Err(Error::not_implemented(format!("mounts of type {other:?} are not supported by berth yet"))),
    }
}

fn bind_kind(mount: &Mount, source: &str, invalid: &dyn Fn(&str) -> Error) -> Result<MountPointKind> {
    if source.is_empty() {
        return Err(invalid("field Source must not be empty"));
    }
    if !source.starts_with('/') {
        return Err(invalid(&format!("invalid mount path: '{source}' mount path must be absolute")));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    if options.read_only_non_recursive.unwrap_or_default() || options.read_only_force_recursive.unwrap_or_default() {
        return Err(Error::not_implemented(
            "recursive read-only binds (bind-recursive) are not supported by berth yet",
        ));
    }
    let propagation = match options.propagation.unwrap_or(Propagation::EMPTY) {
        Propagation::EMPTY => BindPropagation::default(),
        named => parse_propagation(named.as_ref()).transpose()?.unwrap_or_default(),
    };
    Ok(MountPointKind::Bind {
        source: source.into(),
        propagation,
        non_recursive: options.non_recursive.unwrap_or_default(),
        create_source: options.create_mountpoint.unwrap_or_default(),
    })
}

fn tmpfs_kind(mount: &Mount, invalid: &dyn Fn(&str) -> Error) -> Result<MountPointKind> {
    let options = mount.tmpfs_options.clone().unwrap_or_default();
    let size = options.size_bytes.unwrap_or_default();
    let mode = options.mode.unwrap_or_default();
    let mut words: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    for option in options.options.unwrap_or_default() {
        match option.as_slice() {
            [word] if word == "exec" => words.retain(|word| word != "noexec"),
            [word] if word == "noexec" => {}
            _ => {
                return Err(invalid(&format!(
                    "tmpfs option {:?} is not supported: exec and noexec are",
                    option.join("=")
                )));
            }
        }
    }
    Ok(MountPointKind::Tmpfs {
        size_bytes: match size {
            0 => None,
            size => Some(u64::try_from(size).map_err(|_| invalid("the size of a tmpfs can't be negative"))?),
        },
        permissions: match mode {
            0 => None,
            mode => Some(u32::try_from(mode).ok().filter(|mode| *mode <= 0o7777).ok_or_else(|| {
                invalid(&format!("the mode of a tmpfs must be between 0 and 7777 (octal), not {mode:o}"))
            })?),
        },
        options: words,
    })
}

/// `--tmpfs /run:rw,size=64m,mode=1777`
fn parse_tmpfs(target: &str, text: &str) -> Result<MountPoint> {
    const FLAGS: [&str; 14] = [
        "exec",
        "noexec",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "sync",
        "async",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "strictatime",
    ];
    let invalid = |option: &str| Error::invalid(format!("invalid tmpfs option {option:?}"));
    let (mut readonly, mut size_bytes, mut permissions) = (false, None, None);
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    for option in text.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            None if option == "ro" || option == "rw" => readonly = option == "ro",
            None if FLAGS.contains(&option) => {
                let opposite = option.strip_prefix("no").map_or(format!("no{option}"), str::to_owned);
                options.retain(|known| *known != opposite && known != option);
                options.push(option.to_owned());
            }
            Some(("size", size)) => size_bytes = super::size(size).map_err(|_| invalid(option))?,
            Some(("mode", mode)) => {
                let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
                permissions = Some(mode.ok_or_else(|| invalid(option))?);
            }
            Some(("uid" | "gid", id)) if id.parse::<u32>().is_ok() => options.push(option.to_owned()),
            // 0 is no limit; the kernel takes a suffix too.
            Some(("nr_inodes" | "nr_blocks", count)) if count == "0" || super::size(count).is_ok() => {
                options.push(option.to_owned());
            }
            _ => return Err(invalid(option)),
        }
    }
    Ok(MountPoint {
        destination: destination(target)?,
        readonly,
        mode: text.to_owned(),
        kind: MountPointKind::Tmpfs { size_bytes, permissions, options },
    })
}

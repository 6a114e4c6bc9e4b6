//! `-v`, `--mount`, `--tmpfs`, `--volumes-from` and an image's volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use runtime::spec::{self, BindPropagation, KernelPlace};

use super::CreateContext;
use super::tmpfs::{parse_tmpfs, tmpfs_kind};
use super::volumes::{self, Volumes};
use crate::container::mount::{MountPoint, MountPointKind, VolumeSources};
use crate::error::{Error, Result};
use crate::volume::VolumeRequest;
use crate::wire::models::{ContainerConfig, HostConfig, Mount, MountBindOptionsPropagationEnum as Propagation};

/// What is mounted into a container, and the volumes among that.
pub(super) struct Mounts {
    pub(super) points: Vec<MountPoint>,
    pub(super) volumes: Vec<VolumeRequest>,
}

pub(super) fn mounts(config: &ContainerConfig, host: &HostConfig, context: &CreateContext<'_>) -> Result<Mounts> {
    let mut volumes = Volumes::new(context.random_id, host.volume_driver.as_deref());
    let mut all = Vec::new();
    for bind in host.binds.iter().flatten() {
        all.push(parse_bind(bind, &mut volumes)?);
    }
    for mount in host.mounts.iter().flatten() {
        all.push(parse_mount(mount, &mut volumes)?);
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
    // What the user mounts by name stands in for another container's, of those the last one's, and all for the image's.
    for from in host.volumes_from.iter().flatten().rev() {
        for mount in volumes::of_container(from, context)? {
            if taken.insert(mount.destination.clone()) {
                volumes.add_of_container(&mount);
                all.push(mount);
            }
        }
    }
    for path in config.volumes.iter().flatten() {
        let destination = destination(path, path)?;
        if taken.insert(destination.clone()) {
            let kind = volumes.anonymous(false)?;
            all.push(MountPoint { destination, readonly: false, mode: String::new(), kind });
        }
    }
    check_places(&all)?;
    Ok(Mounts { points: all, volumes: volumes.wanted() })
}

/// A volume in `/proc` or `/sys` would hide what is hidden there, or stand in for it; the image may be what asks for it.
fn check_places(points: &[MountPoint]) -> Result<()> {
    let is_in_kernel_s = |point: &&MountPoint| KernelPlace::of(&point.destination).is_some();
    if let Some(point) = points.iter().filter(is_in_kernel_s).find(|point| point.volume().is_some()) {
        return Err(spec::refuse_place(&point.destination).into());
    }
    let volumes = VolumeSources::new();
    let mounts: Vec<_> = points.iter().filter_map(|point| point.to_runtime(&volumes)).collect();
    Ok(spec::check_places(&mounts)?)
}

/// An absolute path other than `/`, without `.` and `..`; `specification` is what it is part of.
pub(super) fn destination(text: &str, specification: &str) -> Result<PathBuf> {
    let invalid = |why: &str| Error::invalid(format!("invalid mount path: '{text}' {why}"));
    let root = || {
        Error::invalid(format!(
            "invalid volume specification: '{specification}': invalid specification: destination can't be '/'"
        ))
    };
    if !text.starts_with('/') {
        // The docker client takes a name of one letter for a drive, and sends all of `x:/` as a path.
        return Err(if text.ends_with(":/") { root() } else { invalid("mount path must be absolute") });
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
        return Err(root());
    }
    Ok(path)
}

/// `source:destination[:options]`
fn parse_bind(text: &str, volumes: &mut Volumes<'_>) -> Result<MountPoint> {
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
    let destination = destination(target, text)?;
    let Mode { readonly, no_copy, propagation } = Mode::parse(mode)?;
    let foreign = |kind: &str, field: &str| {
        let why = format!("invalid mount config for type \"{kind}\": field {field} must not be specified");
        Error::invalid(format!("invalid volume specification: '{text}': {why}"))
    };
    let kind = if source.starts_with('/') {
        if no_copy {
            return Err(foreign("bind", "VolumeOptions"));
        }
        MountPointKind::Bind {
            source: source.into(),
            propagation: propagation.and_then(parse_propagation).transpose()?.unwrap_or_default(),
            non_recursive: false,
            create_source: true,
        }
    } else if propagation.is_some() {
        return Err(foreign("volume", "BindOptions"));
    } else {
        volumes.named(source, no_copy)?
    };
    Ok(MountPoint { destination, readonly, mode: mode.to_owned(), kind })
}

/// The options of `-v`.
pub(super) struct Mode<'a> {
    pub(super) readonly: bool,
    pub(super) no_copy: bool,
    /// By its name, which may be one that can't be had yet.
    pub(super) propagation: Option<&'a str>,
}

impl<'a> Mode<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self> {
        let mut mode = Self { readonly: false, no_copy: false, propagation: None };
        let mut seen = BTreeSet::new();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let invalid_mode = || Error::invalid(format!("invalid mode: {text}"));
            let group = match option {
                "ro" | "rw" => {
                    mode.readonly = option == "ro";
                    "access"
                }
                // Relabelling for SELinux, which is not in use.
                "z" | "Z" => "label",
                "nocopy" => {
                    mode.no_copy = true;
                    "copy"
                }
                "cached" | "delegated" | "consistent" => "hint",
                other => {
                    parse_propagation(other).map(drop).ok_or_else(invalid_mode)?;
                    mode.propagation = Some(other);
                    "propagation"
                }
            };
            if !seen.insert(group) {
                return Err(invalid_mode());
            }
        }
        Ok(mode)
    }
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
fn parse_mount(mount: &Mount, volumes: &mut Volumes<'_>) -> Result<MountPoint> {
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
    let destination = destination(target, target)?;
    let point = |kind| MountPoint { destination: destination.clone(), readonly, mode: String::new(), kind };
    match kind.as_str() {
        "bind" => Ok(point(bind_kind(mount, source, &invalid)?)),
        "tmpfs" if !source.is_empty() => Err(invalid("field Source must not be specified")),
        "tmpfs" => Ok(point(tmpfs_kind(mount, &invalid)?)),
        "volume" => Ok(point(volumes.of_mount(source, mount.volume_options.as_ref(), &invalid)?)),
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

//! `-v` and `--mount`: volumes, binds and tmpfs mounts of a container.

use std::path::Path;

use bollard_stubs::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum as Propagation, MountTmpfsOptions, MountType,
    MountVolumeOptions, MountVolumeOptionsDriverConfig,
};

use super::error::{RequestError, flag};
use super::quantity;

/// The values of `--volume`, divided.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Volumes {
    /// `source:target[:options]`.
    pub(crate) binds: Vec<String>,
    /// Targets of volumes without a name.
    pub(crate) anonymous: Vec<String>,
}

impl Volumes {
    /// Reads the values of `--volume`; a source that starts with a dot is below `directory`.
    ///
    /// # Errors
    /// Names the value that isn't a volume.
    pub(crate) fn parse(specs: &[String], directory: &Path) -> Result<Self, RequestError> {
        let mut volumes = Self::default();
        for spec in specs {
            let wrong = |reason: &str| RequestError::Volume(format!("invalid spec: {spec}: {reason}"));
            if spec.is_empty() {
                return Err(RequestError::Volume("invalid empty volume spec".to_owned()));
            }
            let parts: Vec<&str> = spec.split(':').collect();
            if parts.iter().any(|part| part.is_empty()) {
                return Err(wrong("empty section between colons"));
            }
            match parts[..] {
                [target] => volumes.anonymous.push(target.to_owned()),
                [source, ref rest @ ..] if rest.len() <= 2 => {
                    volumes.binds.push(format!("{}:{}", absolute(source, directory), rest.join(":")));
                }
                _ => return Err(wrong("too many colons")),
            }
        }
        Ok(volumes)
    }
}

/// Only what starts with a dot is a path below the directory; other relative names are volumes.
fn absolute(source: &str, directory: &Path) -> String {
    if !source.starts_with('.') {
        return source.to_owned();
    }
    let mut path = directory.to_path_buf();
    for part in Path::new(source).components() {
        match part {
            std::path::Component::ParentDir => _ = path.pop(),
            std::path::Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.display().to_string()
}

/// Reads one value of `--mount`.
///
/// # Errors
/// Names the value and the key in it that is wrong.
pub(crate) fn parse_mount(spec: &str, directory: &Path) -> Result<Mount, RequestError> {
    let mut fields = Fields::new(directory);
    let mut read = || -> Result<Mount, String> {
        if spec.is_empty() {
            return Err("it is empty: give type=…,source=…,target=…".to_owned());
        }
        for field in super::fields::fields(spec)? {
            fields.add(&field)?;
        }
        fields.finish()
    };
    read().map_err(|reason| flag("--mount", spec, reason))
}

/// The keys of one `--mount`, gathered before it is known which may stand together.
struct Fields<'a> {
    directory: &'a Path,
    mount: Mount,
    bind: Option<MountBindOptions>,
    volume: Option<MountVolumeOptions>,
    tmpfs: Option<MountTmpfsOptions>,
}

impl<'a> Fields<'a> {
    fn new(directory: &'a Path) -> Self {
        let mount = Mount { typ: Some(MountType::VOLUME), ..Mount::default() };
        Self { directory, mount, bind: None, volume: None, tmpfs: None }
    }

    fn add(&mut self, field: &str) -> Result<(), String> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        let switch = matches!(key.as_str(), "readonly" | "ro" | "volume-nocopy" | "bind-nonrecursive");
        let value = match value {
            Some(value) => value,
            None if switch => "true",
            None => return Err(format!("invalid field '{field}' must be a key=value pair")),
        };
        match key.as_str() {
            "type" => self.mount.typ = Some(mount_type(value)?),
            "source" | "src" => self.mount.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => self.mount.target = Some(value.to_owned()),
            "readonly" | "ro" => self.mount.read_only = Some(boolean(&key, value)?),
            "consistency" => self.mount.consistency = Some(value.to_lowercase()),
            _ if key.starts_with("bind-") => self.add_bind(&key, value, field)?,
            _ if key.starts_with("volume-") => self.add_volume(&key, value, field)?,
            _ if key.starts_with("tmpfs-") => self.add_tmpfs(&key, value, field)?,
            _ => return Err(unexpected(&key, field)),
        }
        Ok(())
    }

    fn add_bind(&mut self, key: &str, value: &str, field: &str) -> Result<(), String> {
        let bind = self.bind.get_or_insert_default();
        match key {
            "bind-propagation" => bind.propagation = Some(propagation(value)?),
            "bind-nonrecursive" => bind.non_recursive = Some(boolean(key, value)?),
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => bind.non_recursive = Some(true),
                "writable" => bind.read_only_non_recursive = Some(true),
                "readonly" => bind.read_only_force_recursive = Some(true),
                _ => {
                    return Err(format!(
                        "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                    ));
                }
            },
            _ => return Err(unexpected(key, field)),
        }
        Ok(())
    }

    fn add_volume(&mut self, key: &str, value: &str, field: &str) -> Result<(), String> {
        let volume = self.volume.get_or_insert_default();
        let pair = || {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            (name.to_owned(), value.to_owned())
        };
        match key {
            "volume-nocopy" => volume.no_copy = Some(boolean(key, value)?),
            "volume-subpath" => volume.subpath = Some(value.to_owned()),
            "volume-label" => volume.labels.get_or_insert_default().extend([pair()]),
            "volume-driver" => driver(volume).name = Some(value.to_owned()),
            "volume-opt" => driver(volume).options.get_or_insert_default().extend([pair()]),
            _ => return Err(unexpected(key, field)),
        }
        Ok(())
    }

    fn add_tmpfs(&mut self, key: &str, value: &str, field: &str) -> Result<(), String> {
        let tmpfs = self.tmpfs.get_or_insert_default();
        let wrong = || format!("invalid value for {key}: {value}");
        match key {
            "tmpfs-size" => tmpfs.size_bytes = Some(quantity::bytes(value).map_err(|_| wrong())?),
            "tmpfs-mode" => tmpfs.mode = Some(u32::from_str_radix(value, 8).map_err(|_| wrong())?.into()),
            _ => return Err(unexpected(key, field)),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Mount, String> {
        let mut mount = std::mem::take(&mut self.mount);
        let kind = mount.typ.unwrap_or(MountType::VOLUME);
        if mount.target.as_deref().unwrap_or_default().is_empty() {
            return Err("target is required".to_owned());
        }
        for (present, options, wanted) in [
            (self.bind.is_some(), "bind-*", MountType::BIND),
            (self.volume.is_some(), "volume-*", MountType::VOLUME),
            (self.tmpfs.is_some(), "tmpfs-*", MountType::TMPFS),
        ] {
            if present && kind != wanted {
                return Err(format!("cannot mix '{options}' options with mount type '{kind}'"));
            }
        }
        if let Some(bind) = &self.bind {
            check_recursion(bind, mount.read_only == Some(true))?;
        }
        if kind == MountType::BIND {
            mount.source = mount.source.map(|source| absolute(&source, self.directory));
        }
        mount.bind_options = self.bind.take();
        mount.volume_options = self.volume.take();
        mount.tmpfs_options = self.tmpfs.take();
        Ok(mount)
    }
}

/// What is said about the mounts below a read-only mount makes no sense on a writable one.
fn check_recursion(bind: &MountBindOptions, read_only: bool) -> Result<(), String> {
    let said = [(bind.read_only_non_recursive, "writable"), (bind.read_only_force_recursive, "readonly")];
    for (option, name) in said {
        if option == Some(true) && !read_only {
            return Err(format!("option 'bind-recursive={name}' requires 'readonly' to be specified in conjunction"));
        }
    }
    if bind.read_only_force_recursive == Some(true) && bind.propagation != Some(Propagation::RPRIVATE) {
        return Err(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
                .to_owned(),
        );
    }
    Ok(())
}

fn driver(volume: &mut MountVolumeOptions) -> &mut MountVolumeOptionsDriverConfig {
    volume.driver_config.get_or_insert_default()
}

fn mount_type(value: &str) -> Result<MountType, String> {
    match value.to_lowercase().as_str() {
        "bind" => Ok(MountType::BIND),
        "tmpfs" => Ok(MountType::TMPFS),
        "volume" => Ok(MountType::VOLUME),
        _ => Err(format!("mount type unknown: \"{value}\": use bind, tmpfs or volume")),
    }
}

fn propagation(value: &str) -> Result<Propagation, String> {
    match value.to_lowercase().as_str() {
        "private" => Ok(Propagation::PRIVATE),
        "rprivate" => Ok(Propagation::RPRIVATE),
        "shared" => Ok(Propagation::SHARED),
        "rshared" => Ok(Propagation::RSHARED),
        "slave" => Ok(Propagation::SLAVE),
        "rslave" => Ok(Propagation::RSLAVE),
        _ => Err(format!(
            "invalid value for bind-propagation: {value} (must be private, rprivate, shared, rshared, slave or rslave)"
        )),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("invalid value for {key}: {value}")),
    }
}

fn unexpected(key: &str, field: &str) -> String {
    format!("unexpected key '{key}' in '{field}'")
}

#[cfg(test)]
mod tests;

//! The volumes among a container's mounts: named, anonymous, another container's.

use std::path::{Component, Path, PathBuf};

use super::CreateContext;
use super::mounts::Mode;
use crate::container::mount::{MountPoint, MountPointKind};
use crate::error::{Error, Result};
use crate::volume::{VolumeName, VolumeRequest};
use crate::wire::models::MountVolumeOptions;

/// The volumes that a request needs, as they are found in it.
pub(super) struct Volumes<'a> {
    random_id: &'a dyn Fn() -> String,
    /// Of those that name none (`--volume-driver`).
    driver: Option<&'a str>,
    wanted: Vec<VolumeRequest>,
}

impl<'a> Volumes<'a> {
    pub(super) fn new(random_id: &'a dyn Fn() -> String, driver: Option<&'a str>) -> Self {
        Self { random_id, driver: driver.filter(|driver| !driver.is_empty()), wanted: Vec::new() }
    }

    /// All that were found, each once.
    pub(super) fn wanted(self) -> Vec<VolumeRequest> {
        let mut wanted: Vec<VolumeRequest> = Vec::new();
        for volume in self.wanted {
            if wanted.iter().all(|known| known.name != volume.name) {
                wanted.push(volume);
            }
        }
        wanted
    }

    /// `-v name:/path`
    pub(super) fn named(&mut self, name: &str, no_copy: bool) -> Result<MountPointKind> {
        let wanted =
            VolumeRequest { driver: self.driver.map(str::to_owned), ..VolumeRequest::named(parse_name(name)?) };
        Ok(self.add(wanted, false, no_copy, None))
    }

    /// `-v /path`, and the image's.
    pub(super) fn anonymous(&mut self, no_copy: bool) -> Result<MountPointKind> {
        let wanted =
            VolumeRequest { driver: self.driver.map(str::to_owned), ..VolumeRequest::anonymous(self.draw_name()?) };
        Ok(self.add(wanted, true, no_copy, None))
    }

    /// `--mount type=volume`
    pub(super) fn of_mount(
        &mut self,
        source: &str,
        options: Option<&MountVolumeOptions>,
        invalid: &dyn Fn(&str) -> Error,
    ) -> Result<MountPointKind> {
        let options = options.cloned().unwrap_or_default();
        let subpath = options.subpath.filter(|subpath| !subpath.is_empty());
        if source.is_empty() && subpath.is_some() {
            return Err(invalid("must not set Subpath when using anonymous volumes"));
        }
        let subpath = subpath.map(|subpath| {
            relative(&subpath)
                .ok_or_else(|| invalid(&format!("the subpath {subpath:?} must be a relative path inside the volume")))
        });
        let mut wanted = match source {
            "" => VolumeRequest::anonymous(self.draw_name()?),
            name => VolumeRequest::named(parse_name(name)?),
        };
        wanted.labels.extend(options.labels.unwrap_or_default());
        if let Some(driver) = options.driver_config {
            wanted.driver = driver.name.filter(|name| !name.is_empty());
            wanted.options.extend(driver.options.unwrap_or_default());
        }
        // `.` is the whole volume.
        let subpath = subpath.transpose()?.filter(|path| !path.as_os_str().is_empty());
        Ok(self.add(wanted, source.is_empty(), options.no_copy.unwrap_or_default(), subpath))
    }

    /// Another container's mount, which may be a volume.
    pub(super) fn add_of_container(&mut self, mount: &MountPoint) {
        self.wanted.extend(mount.volume().cloned().map(VolumeRequest::named));
    }

    fn add(
        &mut self,
        wanted: VolumeRequest,
        anonymous: bool,
        no_copy: bool,
        subpath: Option<PathBuf>,
    ) -> MountPointKind {
        let name = wanted.name.clone();
        self.wanted.push(wanted);
        MountPointKind::Volume { name, anonymous, no_copy, subpath, of: None }
    }

    fn draw_name(&self) -> Result<VolumeName> {
        parse_name(&(self.random_id)())
    }
}

fn parse_name(text: &str) -> Result<VolumeName> {
    text.parse().map_err(|error| Error::invalid(format!("create {text}: {error}")))
}

/// A path that leads nowhere but down.
fn relative(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| path.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

/// `--volumes-from CONTAINER[:ro|rw]`: all that is mounted there, but for what `--tmpfs` mounts.
pub(super) fn of_container(text: &str, context: &CreateContext<'_>) -> Result<Vec<MountPoint>> {
    let (container, mode) = text.split_once(':').unwrap_or((text, "rw"));
    let Mode { readonly, no_copy, propagation } = Mode::parse(mode)?;
    if no_copy || propagation.is_some() {
        return Err(Error::invalid(format!("invalid mode: {mode}")));
    }
    if container.is_empty() {
        return Err(Error::invalid(format!("malformed volumes-from specification: {text:?} names no container")));
    }
    let mounts = (context.mounts)(container)?.into_iter().filter(|mount| !mount.is_of_tmpfs_flag());
    Ok(mounts.map(|mount| MountPoint { readonly: mount.readonly || readonly, ..mount }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subpaths_lead_down() {
        for (text, path) in [
            ("a", Some("a")),
            ("./a//b/", Some("a/b")),
            (".", Some("")),
            ("../a", None),
            ("a/../b", None),
            ("/a", None),
        ] {
            assert_eq!(relative(text), path.map(PathBuf::from), "{text}");
        }
    }
}

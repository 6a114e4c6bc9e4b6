//! `berth-init`, the program for `--init`, which is carried along in `berth-shim` and put in the run directory once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::directory::Directory;
use crate::{Error, Result};

/// The program, as the build script made it.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/berth-init"));

/// Makes sure that the program is in the run directory which `container` is in, and gives its path.
pub(crate) fn install(container: &Directory) -> Result<PathBuf> {
    // The version keeps containers of an older release at theirs; the leading dot keeps it from being taken for an id.
    let path = container.path().with_file_name(concat!(".berth-init-", env!("CARGO_PKG_VERSION")));
    let installed = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == PROGRAM.len() as u64);
    if !installed {
        // Several shims may do so at once: each puts a whole file of its own in place.
        let own = path.with_extension(std::process::id().to_string());
        fs::write(&own, PROGRAM)
            .and_then(|()| fs::set_permissions(&own, fs::Permissions::from_mode(0o755)))
            .and_then(|()| fs::rename(&own, &path))
            .map_err(Error::io(format!("install {}", path.display())))?;
    }
    Ok(path)
}

//! `--tmpfs` and `--mount type=tmpfs`.

use super::mounts::destination;
use crate::container::mount::{MountPoint, MountPointKind};
use crate::error::{Error, Result};
use crate::wire::models::Mount;

pub(super) fn tmpfs_kind(mount: &Mount, invalid: &dyn Fn(&str) -> Error) -> Result<MountPointKind> {
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
pub(super) fn parse_tmpfs(target: &str, text: &str) -> Result<MountPoint> {
    const PROPAGATIONS: [&str; 8] =
        ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"];
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
            None if PROPAGATIONS.contains(&option) => options.push(option.to_owned()),
            Some(("size", size)) => size_bytes = super::size(size).map_err(|_| invalid(option))?,
            Some(("mode", mode)) => {
                let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
                permissions = Some(mode.ok_or_else(|| invalid(option))?);
            }
            Some(("uid" | "gid", id)) if !id.starts_with('+') && id.parse::<u32>().is_ok() => {
                options.push(option.to_owned())
            }
            // 0 is no limit; the kernel takes a suffix too.
            Some(("nr_inodes" | "nr_blocks", count)) if count == "0" || super::size(count).is_ok() => {
                options.push(option.to_owned());
            }
            _ => return Err(invalid(option)),
        }
    }
    Ok(MountPoint {
        destination: destination(target, target)?,
        readonly,
        // Never empty: by that it is told from `--mount type=tmpfs`.
        mode: if text.is_empty() { "rw".to_owned() } else { text.to_owned() },
        kind: MountPointKind::Tmpfs { size_bytes, permissions, options },
    })
}

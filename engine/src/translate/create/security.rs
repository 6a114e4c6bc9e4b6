//! Capabilities, system call filters, hidden paths: what `--privileged`, `--cap-*` and `--security-opt` say.

use runtime::capabilities::{self, CapabilitySet};
use runtime::defaults;
use runtime::seccomp::{Profile, Seccomp};

use crate::error::{Error, Result};
use crate::wire::models::HostConfig;

/// What a container's processes may do.
#[derive(Debug)]
pub(super) struct Security {
    pub(super) privileged: bool,
    pub(super) capabilities: CapabilitySet,
    pub(super) no_new_privileges: bool,
    pub(super) seccomp: Seccomp,
    pub(super) masked_paths: Vec<String>,
    pub(super) readonly_paths: Vec<String>,
}

pub(super) fn security(host: &HostConfig) -> Result<Security> {
    let privileged = host.privileged.unwrap_or_default();
    let names = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let mut security = Security {
        privileged,
        capabilities: capabilities::effective(&names(&host.cap_add), &names(&host.cap_drop), privileged)?,
        no_new_privileges: false,
        seccomp: if privileged { Seccomp::Unconfined } else { Seccomp::Default },
        masked_paths: absolute(&host.masked_paths, "masked")?.unwrap_or_else(|| defaults::masked_paths(privileged)),
        readonly_paths: absolute(&host.readonly_paths, "read-only")?
            .unwrap_or_else(|| defaults::readonly_paths(privileged)),
    };
    for option in host.security_opt.iter().flatten() {
        apply(&mut security, option)?;
    }
    Ok(security)
}

/// The paths of a request, if it names any.
fn absolute(paths: &Option<Vec<String>>, what: &str) -> Result<Option<Vec<String>>> {
    match paths.iter().flatten().find(|path| !path.starts_with('/')) {
        Some(path) => Err(Error::invalid(format!("invalid {what} path {path:?}: it must be absolute"))),
        None => Ok(paths.clone()),
    }
}

fn apply(security: &mut Security, option: &str) -> Result<()> {
    let (name, value) = match option.split_once('=').or_else(|| option.split_once(':')) {
        Some((name, value)) => (name, value),
        None => (option, ""),
    };
    match (name, value) {
        ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
        ("no-new-privileges", "false") => security.no_new_privileges = false,
        ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
        // A privileged container has no filter, whatever the default is called.
        ("seccomp", "builtin") if security.privileged => {}
        ("seccomp", "builtin") => security.seccomp = Seccomp::Default,
        ("seccomp", profile) => security.seccomp = Seccomp::Custom(Box::new(Profile::parse(profile)?)),
        ("systempaths", "unconfined") => {
            security.masked_paths.clear();
            security.readonly_paths.clear();
        }
        // Neither is in use, so there is nothing to switch off.
        ("apparmor", "unconfined") | ("label", "disable") => {}
        ("apparmor" | "label", _) => {
            return Err(Error::not_implemented(format!(
                "security option {option:?} (AppArmor and SELinux): not supported by berth yet"
            )));
        }
        _ => return Err(Error::invalid(format!("invalid --security-opt 2: {option:?}"))),
    }
    Ok(())
}

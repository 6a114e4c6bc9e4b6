//! A container's own files on the host: its directory, what is bind-mounted over `/etc`, the sources of its binds.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use cnm::api::Sandbox;

use crate::blocking::Blocking as _;
use crate::container::etc::{self, HostFiles, Names};
use crate::container::mount::MountPointKind;
use crate::container::network::NetworkMode;
use crate::container::{Container, Containers, runtime_spec};
use crate::error::{Error, Result};
use crate::netd::Netd;

/// Makes the directories that a new container needs. What is missing of a bind that must be there is refused first.
pub(crate) fn create(containers: &Containers, container: &Container) -> Result<()> {
    for mount in &container.spec.mounts {
        let MountPointKind::Bind { source, create_source, .. } = &mount.kind else { continue };
        runtime::check_source(source)?;
        if !create_source && !source.exists() {
            return Err(Error::invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                source.display()
            )));
        }
    }
    make_directory(&containers.directory(&container.id), 0o700)?;
    for mount in &container.spec.mounts {
        match &mount.kind {
            MountPointKind::Bind { source, create_source: true, .. } if !source.exists() => {
                make_directory(source, 0o755)?;
            }
            MountPointKind::Bind { .. } | MountPointKind::Volume { .. } | MountPointKind::Tmpfs { .. } => {}
        }
    }
    Ok(())
}

/// Writes what doesn't depend on the network, and an empty `/etc/hosts` for the mount to find: it is filled in place
/// once netd has answered, while the file system is mounted.
pub(crate) fn before_start(containers: &Containers, container: &Container) -> Result<()> {
    if matches!(container.spec.network.mode, NetworkMode::Container(_)) {
        return Ok(());
    }
    let paths = runtime_spec::etc_files(&containers.directory(&container.id));
    let (resolv_conf, behind_stub) = read_resolvers()?;
    let host = HostFiles { resolv_conf: &resolv_conf, behind_stub: &behind_stub };
    let own_namespace = container.spec.network.mode != NetworkMode::Host;
    write(&paths.resolv_conf, &etc::resolv_conf(host, &container.spec.network, own_namespace))?;
    write(&paths.hostname, &format!("{}\n", container.spec.hostname))?;
    write(&paths.hosts, "")
}

/// Says whether containers' names are looked up by public servers, since none that the host names can be reached from them.
pub(crate) fn warn_of_public_servers() -> Result<Option<String>> {
    let (resolv_conf, behind_stub) = read_resolvers()?;
    let files = HostFiles { resolv_conf: &resolv_conf, behind_stub: &behind_stub };
    Ok(files.name_only_loopback().then(|| {
        format!(
            "this host names no DNS server that containers can reach: those that aren't given one with --dns ask {}, \
             which know no names of your own network",
            etc::FALLBACK_SERVERS.join(" and ")
        )
    }))
}

/// The host's resolv.conf, and systemd-resolved's with the servers behind its stub.
fn read_resolvers() -> Result<(String, String)> {
    Ok((read_if_there(Path::new("/etc/resolv.conf"))?, read_if_there(Path::new("/run/systemd/resolve/resolv.conf"))?))
}

/// Fills `/etc/hosts`.
pub(crate) fn write_hosts(
    containers: &Containers,
    container: &Container,
    addresses: &[IpAddr],
    host_gateway: Option<IpAddr>,
) -> Result<()> {
    let links = super::links::addresses(&containers.registry, container);
    let names = Names {
        hostname: &container.spec.hostname,
        domainname: &container.spec.domainname,
        addresses,
        extra: &container.spec.network.extra_hosts,
        links: &links,
        host_gateway,
    };
    let text = match container.spec.network.mode {
        NetworkMode::Container(_) => return Ok(()),
        NetworkMode::Host => etc::hosts_of_host(&read_if_there(Path::new("/etc/hosts"))?, &names),
        NetworkMode::Network(_) | NetworkMode::None => etc::hosts(&names),
    };
    write(&runtime_spec::etc_files(&containers.directory(&container.id)).hosts, &text)
}

/// Brings `/etc/hosts` of a running container up to date with its addresses.
pub(crate) async fn refresh_hosts(
    netd: &Netd,
    containers: &Arc<Containers>,
    container: &Container,
    sandbox: &Sandbox,
) -> Result<()> {
    let gateway = super::sandbox::gateway_if_wanted(netd, container, Some(sandbox)).await?;
    let (container, addresses) = (container.clone(), super::sandbox::addresses(sandbox));
    containers.blocking(move |containers| write_hosts(containers, &container, &addresses, gateway)).await
}

fn read_if_there(path: &Path) -> Result<String> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io(format!("reading {}", path.display()))(error)),
    }
}

/// In place: the file may be bind-mounted already, and a new file under the old name wouldn't be seen there.
fn write(path: &Path, text: &str) -> Result<()> {
    let doing = || Error::io(format!("writing {}", path.display()));
    std::fs::write(path, text).map_err(doing())?;
    // Any user of the container reads it, whatever berthd's umask is.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).map_err(doing())
}

pub(super) fn make_directory(path: &Path, mode: u32) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(Error::io(format!("making the directory {}", path.display())))
}

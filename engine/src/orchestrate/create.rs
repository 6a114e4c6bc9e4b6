//! `create`: image, name, translation, snapshot, record. A request that goes away half-way is finished all the same, and
//! what a dying berthd leaves is swept when the next one starts.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use cnm::Kind;
use images::Image;
use jiff::Timestamp;
use nix::sys::stat::{major, minor};
use runtime::spec::{DeviceKind, Id};

use crate::blocking::Blocking as _;
use crate::container::mount::{MountPoint, MountPointKind};
use crate::container::registry::Registry;
use crate::container::{Container, name, to_record};
use crate::engine::{Engine, random_id};
use crate::error::{Error, Result, chain};
use crate::file_deletion::remove_tree;
use crate::orchestrate::{files, volume, working_directory};
use crate::translate::create::{self, CreateContext, DeviceNode, Identity, Joined, Machine, Translated};
use crate::volume::VolumeRequest;
use crate::wire::create::CreateBody;

/// How often another name is tried when a random one is taken.
const NAME_ATTEMPTS: u32 = 20;

/// A container that is recorded and in no task's hands yet: whoever gets it gives it to one.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) container: Container,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Creates a container.
pub(crate) async fn create(engine: &Engine, wanted_name: Option<&str>, body: CreateBody) -> Result<Created> {
    let wanted_name = wanted_name.filter(|name| !name.is_empty()).map(name::parse).transpose()?;
    let reference = body.config.image.clone().unwrap_or_default();
    if reference.is_empty() {
        return Err(Error::invalid("no image specified: give the name or id of an image"));
    }
    let image = engine.blocking(move |engine| Ok(engine.images.store.get(&reference)?)).await?;
    let id: Id = random_id().parse()?;
    let name = take_name(&engine.containers.registry, wanted_name, &id)?;
    let identity = Identity { id: id.clone(), name: name.clone(), created: Timestamp::now() };
    let made = async {
        let Translated { container, volumes, warnings } =
            translate(&engine.containers.registry, identity, body, &image)?;
        make(engine, &container, volumes).await?;
        Ok(Created { container, warnings })
    };
    let result = made.await;
    if result.is_err() {
        engine.containers.registry.release_name(&name, &id);
    }
    result
}

fn take_name(containers: &Registry, wanted: Option<String>, id: &Id) -> Result<String> {
    if let Some(name) = wanted {
        containers.take_name(&name, id)?;
        return Ok(name);
    }
    for attempt in 0..NAME_ATTEMPTS {
        let name = name::random(attempt);
        if containers.take_name(&name, id).is_ok() {
            return Ok(name);
        }
    }
    let name = id.to_string();
    containers.take_name(&name, id)?;
    Ok(name)
}

#[tracing::instrument(name = "create", level = "debug", skip_all, fields(container = container.short_id()))]
async fn make(engine: &Engine, container: &Container, volumes: Vec<VolumeRequest>) -> Result<()> {
    let obtained = volume::obtain(&engine.volumes, volumes).await.map_err(not_of_the_image)?;
    let prepared = container.clone();
    let prepare = engine.blocking(move |engine| {
        files::create(&engine.containers, &prepared)?;
        engine.images.store.prepare(prepared.id.as_str(), &prepared.image.id)?;
        working_directory::make(engine, &prepared)
    });
    let stored = async {
        prepare.await?;
        Ok(engine.containers.store.put_container_with_volumes(to_record(container), obtained.records()).await?)
    };
    if let Err(error) = stored.await {
        undo(engine, container.id.clone()).await;
        obtained.undo(&engine.volumes).await;
        return Err(error);
    }
    obtained.publish(&engine.volumes, Some(&container.id));
    Ok(())
}

/// Not a 404: the docker client would take it for the image's and try to pull that.
fn not_of_the_image(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound => Error::invalid(error.message()),
        _ => error,
    }
}

async fn undo(engine: &Engine, id: Id) {
    let undone = engine.blocking(move |engine| {
        engine.images.store.remove_snapshot(id.as_str())?.delete()?;
        remove_tree(&engine.containers.directory(&id))
    });
    if let Err(error) = undone.await {
        tracing::error!("undoing the creation of a container: {}", chain(&error));
    }
}

pub(crate) fn translate(
    containers: &Registry,
    identity: Identity,
    body: CreateBody,
    image: &Image,
) -> Result<Translated> {
    let host_name = nix::unistd::gethostname()
        .map_err(|errno| Error::io("reading the host's name")(errno.into()))?
        .to_string_lossy()
        .into_owned();
    let context = CreateContext {
        machine: machine()?,
        // Only a cgroup v2 hierarchy has this file at its root.
        private_cgroups: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        host_name: &host_name,
        container: &|reference| joined(containers, reference),
        mounts: &|reference| mounts_of(containers, reference),
        random_id: &random_id,
    };
    create::container(identity, body, image, &context)
}

/// What limits of containers are about.
pub(super) fn machine() -> Result<Machine<'static>> {
    let cpus = std::thread::available_parallelism().map_err(Error::io("counting CPUs"))?;
    Ok(Machine {
        cpus: u32::try_from(cpus.get()).unwrap_or(u32::MAX),
        memory_nodes: memory_nodes(),
        device: &device_node,
    })
}

/// How many memory nodes there are: `0` or `0-3` in the kernel's words. One where it doesn't say.
fn memory_nodes() -> u32 {
    let online = std::fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    let last = online.trim().rsplit(['-', ',']).next().and_then(|number| number.parse::<u32>().ok());
    last.map_or(1, |last| last.saturating_add(1))
}

fn joined(containers: &Registry, reference: &str) -> Result<Joined> {
    let container = containers.find(reference)?.container();
    Ok(Joined {
        id: container.id.clone(),
        name: container.name.clone(),
        hostname: container.spec.hostname.clone(),
        domainname: container.spec.domainname.clone(),
    })
}

fn mounts_of(containers: &Registry, reference: &str) -> Result<Vec<MountPoint>> {
    let container = containers.find(reference).map_err(not_of_the_image)?.container();
    let mut mounts = container.spec.mounts.clone();
    for mount in &mut mounts {
        if let MountPointKind::Volume { of, .. } = &mut mount.kind {
            of.get_or_insert_with(|| container.id.clone());
        }
    }
    Ok(mounts)
}

fn device_node(path: &str) -> Result<DeviceNode> {
    let unusable = |why: &dyn std::fmt::Display| {
        Error::invalid(format!("error gathering device information while adding custom device \"{path}\": {why}"))
    };
    let metadata = std::fs::metadata(path).map_err(|error| unusable(&error))?;
    let kind = match metadata.file_type() {
        kind if kind.is_block_device() => DeviceKind::Block,
        kind if kind.is_char_device() => DeviceKind::Character,
        _ => return Err(unusable(&"not a device node")),
    };
    let number = |part: u64| u32::try_from(part).map_err(|_| unusable(&"its device number is out of range"));
    Ok(DeviceNode {
        kind,
        major: number(major(metadata.rdev()))?,
        minor: number(minor(metadata.rdev()))?,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

//! The resource limits of a build's steps, as those of a container.

use build::{RunStep, StepMountKind, StepNetwork};
use images::{Image, ImageConfig, RootFs};
use jiff::Timestamp;
use runtime::spec::BindPropagation;

use crate::container::Container;
use crate::container::mount::{MountPoint, MountPointKind};
use crate::container::registry::Registry;
use crate::container::spec::LogSpec;
use crate::error::Result;
use crate::orchestrate::create;
use crate::translate::create::{Identity, Translated};
use crate::wire::create::CreateBody;
use crate::wire::models::{ContainerConfig, HostConfig};

/// The same for every build, so that what a step makes doesn't depend on it.
const HOSTNAME: &str = "build";

/// What a build says about the containers of its steps.
#[derive(Debug, Clone)]
pub(crate) struct Limits(HostConfig);

impl Limits {
    /// Those of the part of a container's request that a build has in common with it.
    pub(crate) fn new(host: HostConfig) -> Self {
        Self(host)
    }

    /// The container of a step. It is in no list, and its record nowhere: what a berthd that dies leaves of it is swept by the
    /// next one, as it is of a container that was half made.
    pub(crate) fn container(&self, containers: &Registry, step: &RunStep) -> Result<Container> {
        let id: runtime::spec::Id = step.id.parse()?;
        let identity = Identity { name: format!("build-{id}"), id, created: Timestamp::now() };
        let host = self.host(step);
        let body = CreateBody { config: config(step, &host), host, ..CreateBody::default() };
        let Translated { mut container, .. } = create::translate(containers, identity, body, &nothing())?;
        container.spec.log = LogSpec::None;
        // What it leaves is a layer, which is written out as one.
        container.spec.auto_remove = true;
        container.spec.mounts.extend(step.mounts.iter().map(|mount| MountPoint {
            destination: mount.target.clone(),
            readonly: mount.readonly,
            mode: String::new(),
            kind: match &mount.kind {
                StepMountKind::Bind(source) => MountPointKind::Bind {
                    source: source.clone(),
                    propagation: BindPropagation::Rprivate,
                    non_recursive: false,
                    create_source: false,
                },
                StepMountKind::Tmpfs { size_bytes } => MountPointKind::Tmpfs {
                    size_bytes: *size_bytes,
                    permissions: None,
                    options: vec!["nosuid".to_owned(), "nodev".to_owned()],
                },
            },
        }));
        Ok(container)
    }

    /// Refuses, before anything is built, what no step could run with.
    pub(crate) fn check(&self, containers: &Registry) -> Result<()> {
        let rootfs = images::Rootfs { lowers: Vec::new(), upper: "/".into(), work: "/".into() };
        let step = RunStep {
            rootfs,
            id: "check".to_owned(),
            args: vec!["true".to_owned()],
            env: Vec::new(),
            working_dir: "/".to_owned(),
            user: String::new(),
            network: StepNetwork::Default,
            mounts: Vec::new(),
        };
        self.container(containers, &step).map(drop)
    }

    fn host(&self, step: &RunStep) -> HostConfig {
        let mut host = self.0.clone();
        match step.network {
            StepNetwork::Default => {}
            StepNetwork::None => host.network_mode = Some("none".to_owned()),
            StepNetwork::Host => host.network_mode = Some("host".to_owned()),
        }
        host
    }
}

fn config(step: &RunStep, host: &HostConfig) -> ContainerConfig {
    // Who shares a network has the name of whose it is.
    let is_shared = step.network == StepNetwork::Host
        || host.network_mode.as_deref().is_some_and(|mode| mode.starts_with("container:"));
    ContainerConfig {
        hostname: (!is_shared).then(|| HOSTNAME.to_owned()),
        cmd: Some(step.args.clone()),
        env: Some(step.env.clone()),
        user: Some(step.user.clone()),
        working_dir: Some(step.working_dir.clone()),
        ..ContainerConfig::default()
    }
}

/// An image that says nothing: the step says all.
fn nothing() -> Image {
    let config = ImageConfig {
        architecture: String::new(),
        variant: String::new(),
        os: String::new(),
        author: String::new(),
        comment: String::new(),
        created: None,
        config: images::ContainerConfig::default(),
        rootfs: RootFs { kind: String::new(), diff_ids: Vec::new() },
        history: Vec::new(),
        parent: None,
    };
    Image {
        id: images::ImageId(images::Digest::of(b"")),
        references: Vec::new(),
        config,
        layers: Vec::new(),
        size_bytes: 0,
        loaded_at: Timestamp::UNIX_EPOCH,
    }
}

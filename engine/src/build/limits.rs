//! The bounds that a build's steps run in, as a container's would be asked for.

use bollard_stubs::models::{ContainerConfig, HostConfig, ResourcesUlimits};
use images::{Image, ImageConfig, RootFs, RunStep, StepMountKind, StepNetwork};
use jiff::Timestamp;
use runtime::spec::BindPropagation;

use crate::container::Container;
use crate::container::mount::{MountPoint, MountPointKind};
use crate::container::spec::LogSpec;
use crate::engine::Engine;
use crate::error::Result;
use crate::orchestrate::create;
use crate::translate::create::{Identity, Translated};
use crate::wire::create::CreateBody;

/// The same for every build, so that what a step makes doesn't depend on it.
const HOSTNAME: &str = "build";

/// What a build says about the containers of its steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) network: String,
    pub(crate) memory: Option<i64>,
    pub(crate) memory_swap: Option<i64>,
    pub(crate) cpu_shares: Option<i64>,
    pub(crate) cpu_period: Option<i64>,
    pub(crate) cpu_quota: Option<i64>,
    pub(crate) cpuset_cpus: Option<String>,
    pub(crate) cpuset_mems: Option<String>,
    pub(crate) shm_size: Option<i64>,
    pub(crate) cgroup_parent: Option<String>,
    pub(crate) extra_hosts: Vec<String>,
    pub(crate) security_options: Vec<String>,
    pub(crate) ulimits: Vec<ResourcesUlimits>,
}

impl Limits {
    /// The container of a step. It is in no list, and its record nowhere: what a berthd that dies leaves of it is swept by the
    /// next one, as it is of a container that was half made.
    pub(crate) fn container(&self, engine: &Engine, step: &RunStep) -> Result<Container> {
        let id: runtime::spec::Id = step.id.parse()?;
        let identity = Identity { name: format!("build-{id}"), id, created: Timestamp::now() };
        let body = CreateBody { config: config(step), host: self.host(step), ..CreateBody::default() };
        let Translated { mut container, .. } = create::translate(engine, identity, body, &nothing())?;
        container.spec.log = LogSpec::None;
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
    pub(crate) fn check(&self, engine: &Engine) -> Result<()> {
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
        self.container(engine, &step).map(drop)
    }

    fn host(&self, step: &RunStep) -> HostConfig {
        let network = match step.network {
            StepNetwork::Default => &self.network,
            StepNetwork::None => "none",
            StepNetwork::Host => "host",
        };
        HostConfig {
            network_mode: Some(network.to_owned()).filter(|network| !network.is_empty()),
            memory: self.memory,
            memory_swap: self.memory_swap,
            cpu_shares: self.cpu_shares,
            cpu_period: self.cpu_period,
            cpu_quota: self.cpu_quota,
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            shm_size: self.shm_size,
            cgroup_parent: self.cgroup_parent.clone(),
            // A container without a network of its own has no names to be given.
            extra_hosts: (network != "none").then(|| self.extra_hosts.clone()),
            security_opt: Some(self.security_options.clone()),
            ulimits: Some(self.ulimits.clone()),
            ..HostConfig::default()
        }
    }
}

fn config(step: &RunStep) -> ContainerConfig {
    ContainerConfig {
        hostname: (step.network != StepNetwork::Host).then(|| HOSTNAME.to_owned()),
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

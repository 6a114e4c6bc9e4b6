//! What a container is to the engine: its identity, what was asked for, and how far it is.
//!
//! Values mostly, and the handles on them: a container is owned by one task (see [`crate::supervisor`]), which lends it
//! ([`owned`]) to one verb at a time; everybody else reads the snapshots that are published. Nothing in here knows of verbs or
//! of that task.

mod bindings;
mod containers;
mod create_request;
pub mod etc;
pub mod handle;
pub mod health;
pub mod log;
pub mod mount;
pub mod name;
pub mod network;
pub mod owned;
pub mod ports;
pub mod published;
mod record;
pub mod registry;
pub mod restart;
pub mod runtime_spec;
pub mod spec;
pub mod state;
mod usage;

use cnm::api::Sandbox;
use images::ImageId;
use jiff::Timestamp;
use runtime::spec::{Id, PidNamespace};
use serde::{Deserialize, Serialize};

pub use containers::Containers;
pub use create_request::{ApiObject, CreateRequest};
pub use handle::Handle;
pub use network::WantedEndpoint;
pub use published::Published;
pub use record::{RecordError, from_record, to_record};
pub use spec::Spec;
pub use state::{Phase, State};
pub use usage::Usage;

/// A container, complete. Stored as a whole; `sandbox` is netd's and is asked for again after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: Id,
    /// Unique, without a leading slash.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// What its root file system stands on.
    pub image: ImageUse,
    /// What it runs and within which bounds, validated.
    pub spec: Spec,
    /// The networks that it is to be on whenever it runs, the one of its network mode first.
    pub endpoints: Vec<WantedEndpoint>,
    /// How far it is.
    pub state: State,
    /// The request with the image's defaults merged in, kept to be shown by inspect and for nothing else.
    pub asked: Box<CreateRequest>,
    /// Its networking as netd answered, while it runs.
    #[serde(skip)]
    pub sandbox: Option<Sandbox>,
    /// The ports of that as the last berthd knew them, until this one has looked.
    #[serde(skip)]
    pub last_published: Option<Published>,
}

/// The image of a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageUse {
    /// The image; it can't be removed while the container exists.
    #[serde(with = "image_id")]
    pub id: ImageId,
    /// As the request named it.
    pub reference: String,
}

impl Container {
    /// The first twelve digits of the id, as lists show it.
    pub fn short_id(&self) -> &str {
        short(&self.id)
    }

    /// Whether netd is to have a sandbox of it now.
    pub fn has_sandbox(&self) -> bool {
        self.state.phase.is_alive() && self.spec.network.mode.has_sandbox()
    }

    /// Whether all its processes have ended when its first one has: they have a PID namespace of their own
    /// (pid_namespaces(7)).
    pub fn ends_as_one(&self) -> bool {
        self.spec.namespaces.pid == PidNamespace::Own
    }

    /// Whether other containers may join its IPC namespace.
    pub fn shares_ipc(&self) -> bool {
        self.spec.namespaces.ipc.is_shareable(self.spec.mounts.iter().map(|mount| &*mount.destination))
    }
}

/// The first twelve digits of an id.
pub fn short(id: &Id) -> &str {
    id.as_str().get(..12).unwrap_or(id.as_str())
}

mod image_id {
    //! Image ids are stored as text.
    use images::ImageId;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &ImageId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ImageId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

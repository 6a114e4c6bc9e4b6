//! Containers, without networks: from a validated specification to a running process, its output, its exit code and
//! its cgroup. Knows nothing of images, of Docker's wire types or of how a network namespace comes to be; everything
//! here blocks and works on plain file descriptors.
//!
//! The entry point is [`Runtime`]. What it starts is not its child: `berth-shim` builds the container and becomes
//! `berth-monitor`, which outlives whoever called.

pub mod capabilities;
pub mod defaults;
pub mod exec;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod in_root;
pub mod protocol;
pub mod seccomp;
pub mod spec;
pub mod stats;
pub mod status;

// The programs: each is a function here, so that they share what both sides of a seam must agree on.
pub mod monitor;
pub mod shim;

mod cgroup;
mod connection;
mod control;
mod directory;
mod error;
mod fatal_signal;
mod init;
mod launch;
mod lock;
mod mounting;
mod oci;
mod process_fd;
mod root;
mod runtime;
mod sealed;
mod user;

pub use cgroup::leave_service;
pub use connection::{Attachment, Watch};
pub use error::{Error, Kind, Result};
pub use exec::ExecSpec;
pub use launch::{ExecStarting, StartWarnings, Starting};
pub use mounting::check_source;
pub use root::{Root, Scope};
pub use runtime::{Binaries, Runtime, Target};
pub use spec::ContainerSpec;
pub use status::{Exit, Started, Status};

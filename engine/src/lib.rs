//! berth's engine: the Docker Engine API in front of `runtime` (processes), `images` (content) and `netd` (networking).
//!
//! A request goes `route` (thin handlers) → `wire` and `translate` (pure: wire ↔ domain) → `orchestrate` (what is asked of
//! the three), for a container in the turn that its task gives it (`supervisor`), and comes back the same way. Nothing here
//! programs the kernel's networking or unpacks a layer.
#![forbid(unsafe_code)]

pub mod app;
mod blocking;
mod build;
pub mod config;
pub mod container;
mod detach;
mod engine;
pub mod error;
pub mod events;
mod exec;
mod file_deletion;
pub mod filters;
pub mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
pub mod image;
mod keeper;
pub mod listen;
pub mod logs;
pub mod moment;
pub mod netd;
mod orchestrate;
mod route;
pub mod serve;
pub mod signal;
pub mod store;
mod stream;
pub mod supervisor;
mod translate;
pub mod version;
pub mod volume;
mod waiting;
mod wire;

pub use engine::Engine;
pub use error::{Error, Result};
pub use orchestrate::recover::recover;

//! What the crate `build` needs of an engine: containers for its steps, base images, and a client for its progress.

mod client;
mod limits;
mod runner;
mod stage_output;

pub(crate) use client::BuildClient;
pub(crate) use limits::Limits;
pub(crate) use runner::Runner;

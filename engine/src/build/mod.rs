//! What the image builder needs of an engine: containers for its steps, images to begin with, and somebody who listens.

mod client;
mod limits;
mod runner;
mod stage_output;

pub(crate) use client::BuildClient;
pub(crate) use limits::Limits;
pub(crate) use runner::Runner;

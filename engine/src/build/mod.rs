//! What the image builder needs of an engine: containers for its steps, images to begin with, and somebody who listens.

mod limits;
mod narrator;
mod runner;
mod turns;

pub(crate) use limits::Limits;
pub(crate) use narrator::Narrator;
pub(crate) use runner::Runner;

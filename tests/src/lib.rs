//! The world that tests live in: hosts made of namespaces, each with its own `netd` and `berthd`, wired together.
//!
//! A [`World`] touches nothing of the machine's own network and is gone without a trace when it is dropped, so tests
//! run in parallel. Everything here works from outside, through programs and sockets that users have, too.
#![forbid(unsafe_code)]

pub mod command;
pub mod daemon;
pub mod frames;
pub mod host;
pub mod image;
pub mod leftovers;
pub mod machine;
pub mod probe;
pub mod registry;
pub mod terminal;
pub mod volume_plugin;
mod waits;
pub mod world;

pub use command::{Outcome, follow, until, until_is};
pub use host::Host;
pub use machine::on_a_fresh_machine;
pub use terminal::Terminal;
pub use world::{World, started};

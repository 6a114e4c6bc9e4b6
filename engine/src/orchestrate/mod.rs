//! What a request asks of images, runtime and netd, in which order, and what is undone when a step fails. A verb a file.

mod change;
pub(crate) mod commit;
pub(crate) mod create;
pub(crate) mod exec;
pub(crate) mod exit;
pub(crate) mod files;
mod follow;
pub(crate) mod health;
mod links;
pub(crate) mod network;
pub(crate) mod owed;
pub(crate) mod pause;
pub(crate) mod ports;
pub(crate) mod recover;
mod refresh;
pub(crate) mod remove;
pub(crate) mod rename;
pub(crate) mod restart;
pub(crate) mod sandbox;
pub(crate) mod signal;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod update;
pub(crate) mod usage;
pub(crate) mod view;
pub(crate) mod volume;
mod working_directory;

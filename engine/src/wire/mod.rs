//! Requests and replies as Docker's clients write and read them.

pub(crate) mod archive;
mod as_go;
pub(crate) mod body;
pub(crate) mod build;
pub(crate) mod create;
pub(crate) mod disk;
pub(crate) mod endpoint;
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod lifecycle;
pub(crate) mod models;
pub(crate) mod network;
pub(crate) mod ports;
pub(crate) mod progress;
pub(crate) mod query;
pub(crate) mod registry;
pub(crate) mod registry_auth;
pub(crate) mod stats;
pub(crate) mod stream;
pub(crate) mod summary;
pub(crate) mod volume;

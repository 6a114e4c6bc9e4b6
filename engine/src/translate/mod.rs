//! Wire to domain and back, pure: everything that can be wrong with a request is found here, before anything is touched.

pub(crate) mod archive;
pub(crate) mod commit;
pub(crate) mod create;
pub(crate) mod disk;
pub(crate) mod endpoints;
pub(crate) mod event;
pub(crate) mod exec;
pub(crate) mod health;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod network;
pub(crate) mod ports;
pub(crate) mod restart;
pub(crate) mod selection;
pub(crate) mod stats;
pub(crate) mod summary;
pub(crate) mod top;
pub(crate) mod update;
pub(crate) mod volume;

//! netd, the network daemon: sole owner of networks, endpoints, sandboxes, published ports and the firewall.
//!
//! A request comes in by the API, is parsed, decided by the controller (the one task that owns the state), stored,
//! applied by the kernel and answered. Readers see published snapshots. It knows nothing of containers or images.
#![forbid(unsafe_code)]

mod api;
pub mod config;
mod controller;
pub mod daemon;
mod error;
mod events;
pub mod keeper;
mod listen;
mod namespaces;
mod networkd;
mod port_process;
mod ports;
mod read_view;
mod relay;
mod store;

pub use api::document;
pub use error::Error;
pub use listen::inherited as inherited_socket;

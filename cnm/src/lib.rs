//! The Container Network Model and every decision of it, as pure values and functions.
//!
//! What is not here: sockets, files, clocks, environment, randomness. They come in as arguments, so that all of this
//! runs in a unit test. `netd` owns the state, `drivers` says what each kind of network means, `kernel` applies plans.
#![forbid(unsafe_code)]

pub mod api;
pub mod error;
pub mod firewall;
pub mod id;
pub mod observed;
pub mod op;

pub use error::{Error, Kind};

//! The Container Network Model and every decision of it, as pure values and functions.
//!
//! What is not here: sockets, files, clocks, environment, randomness. They come in as arguments, so that all of this
//! runs in a unit test. `netd` owns the state, `drivers` says what each kind of network means, `kernel` applies plans.
//!
//! # The path of a request
//!
//! `PUT /v1/sandboxes/{id}` goes through these hands, and every other change alike:
//!
//! 1. **parse**: [`spec::SandboxSpec::parse`] turns the wire type into a value that can't be wrong in itself.
//! 2. **prepare**: [`state::State::grant_requests_of_put`] says what has to be asked of others first: nothing for local drivers. The daemon
//!    stores each question as [`grant::Owed`], asks, and decides with the answers in [`state::Context::grants`].
//! 3. **decide**: [`state::State::put_sandbox`] resolves networks, leases addresses, chooses ports, names and ids (with
//!    the facts and the random bytes in [`state::Context`]) and keeps the sandbox as *Reserved*, or refuses and changes
//!    nothing. It answers with the record and its [`plan::Plan`].
//! 4. **hold**: the daemon binds what [`ports::sockets`] names. If somebody else has a port, it calls
//!    [`state::State::forget_sandbox`] and, where the port was ours to choose, decides again with the port in
//!    [`state::Context::avoid_ports`].
//! 5. **store** the record, then **apply** the plan. On success [`state::State::sandbox_programmed`] and store; a
//!    failure that was undone whole: [`state::State::forget_sandbox`]; one that was not:
//!    [`state::State::sandbox_stuck`] and store.
//!
//! Removal: [`state::State::remove_sandbox`] marks the record with the plan that is left to do (store it), apply, then
//! [`state::State::forget_sandbox`] gives back addresses and ports. What others had granted is given back to them when that is
//! stored.
//!
//! After a decision by which sandboxes come to networks or go, [`state::State::loopback_pending`] names those that need something, or
//! need it no longer, and [`state::State::loopback_plan`] says what.
//!
//! Start-up: [`state::State::restore`] from the stored records; [`state::State::unfinished`] is torn down; then
//! [`diff::repair`] between [`state::State::desired`], [`state::State::known`] and what is observed; the firewall is
//! synchronised with [`state::State::firewall`].
#![forbid(unsafe_code)]

pub mod api;
pub mod diff;
pub mod driver;
pub mod endpoint;
pub mod error;
pub mod firewall;
pub mod grant;
pub mod id;
mod interval;
pub mod ipam;
pub mod keeper;
pub mod lifecycle;
pub mod network;
pub mod observed;
pub mod plan;
pub mod ports;
pub mod resource;
pub mod sandbox;
pub mod spec;
pub mod state;

pub use error::{Error, Kind};

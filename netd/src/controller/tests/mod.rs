//! The controller on a host in memory: idempotence, faults at every step, kills between any two.

mod faults;
mod kills;
mod requests;
mod world;

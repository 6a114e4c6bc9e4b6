//! The controller on a host in memory: idempotence, faults at every step, kills between any two, a kernel that hangs.

mod deadly;
mod faults;
mod hangs;
mod kills;
mod requests;
mod world;

//! The controller on a host in memory: idempotence, faults at every step, kills between any two, a kernel that hangs, others
//! that are asked and answer late, wrongly or never.

mod changes;
mod crashing_host;
mod faults;
mod granting_driver;
mod grants;
mod hangs;
mod kills;
mod lost;
mod owed;
mod requests;
mod set_aside;
mod world;

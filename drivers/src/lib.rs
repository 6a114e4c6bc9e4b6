//! Network drivers: what each kind of network means. Local drivers are pure planners; none of them touches the host.
#![forbid(unsafe_code)]

mod bridge;
mod linkless;
mod options;
mod registry;

pub use bridge::BridgePlanner;
pub use linkless::LinklessPlanner;
pub use registry::Registry;

//! What each kind of network means. Local drivers are pure planners; none of them touches the host.
#![forbid(unsafe_code)]

mod bare;
mod bridge;
mod host;
mod null;
mod options;
mod registry;

pub use bridge::BridgePlanner;
pub use host::HostPlanner;
pub use null::NullPlanner;
pub use registry::Registry;

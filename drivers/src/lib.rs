//! What each kind of network means. Local drivers are pure planners; none of them touches the host.
#![forbid(unsafe_code)]

mod bare;
mod bridge;
mod options;
mod registry;

pub use bare::BarePlanner;
pub use bridge::BridgePlanner;
pub use registry::Registry;

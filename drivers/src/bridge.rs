//! Driver `bridge`.

/// The planner of driver `bridge`.
#[derive(Debug, Clone, Copy)]
pub struct BridgePlanner;

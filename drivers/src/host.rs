//! Driver `host`.

/// The planner of driver `host`.
#[derive(Debug, Clone, Copy)]
pub struct HostPlanner;

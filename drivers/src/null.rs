//! Driver `null`.

/// The planner of driver `null`.
#[derive(Debug, Clone, Copy)]
pub struct NullPlanner;

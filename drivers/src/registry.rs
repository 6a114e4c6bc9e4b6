//! The drivers by name.

use cnm::{
    driver::{Planner, Planners},
    id::DriverName,
};

use crate::{BridgePlanner, LinklessPlanner};

/// The drivers that are built in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

/// Sorted by name.
const DRIVERS: [&dyn Planner; 3] = [&BridgePlanner, &LinklessPlanner::Host, &LinklessPlanner::Null];

impl Planners for Registry {
    fn planner(&self, driver: &DriverName) -> Option<&dyn Planner> {
        DRIVERS.into_iter().find(|planner| planner.name() == driver.as_str())
    }

    fn names(&self) -> Vec<&'static str> {
        DRIVERS.iter().map(|planner| planner.name()).collect()
    }
}

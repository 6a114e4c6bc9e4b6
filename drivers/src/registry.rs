//! The drivers by name.

use cnm::{
    driver::{Planner, Planners},
    id::DriverName,
};

/// The drivers that are built in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

impl Planners for Registry {
    fn planner(&self, _driver: &DriverName) -> Option<&dyn Planner> {
        todo!()
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["bridge", "host", "null"]
    }
}

//! The handle that every route and every container's task has on the engine's parts.

use std::ops::Deref;
use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::events::Bus;
use crate::store::Store;

/// A cheap handle on the engine; the router's state.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Parts>);

/// What the engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// Paths and names, as configured.
    pub config: Config,
    /// What happened, for `docker events`.
    pub events: Bus,
    /// The database of containers.
    pub store: Store,
}

impl Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Engine {
    /// Opens everything under the configured directories.
    pub fn open(config: Config) -> Result<Self> {
        let store = Store::open(&config.root.join("engine.db"))?;
        Ok(Self(Arc::new(Parts { config, events: Bus::default(), store })))
    }
}

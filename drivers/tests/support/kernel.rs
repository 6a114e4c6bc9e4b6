//! The fake kernel as tests of decisions want it: what is asked of it must work, and all of it can be looked at.

use std::collections::BTreeSet;

use cnm::{
    firewall::Element,
    observed::{ObserveScope, Observed},
    plan::Plan,
    resource::NamespaceAt,
};
use kernel::{
    Host as _,
    fake::{FakeHost, State},
};

#[derive(Debug)]
pub(crate) struct Host(FakeHost);

impl Clone for Host {
    fn clone(&self) -> Self {
        Self(FakeHost::of(self.0.read()))
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self(FakeHost::new())
    }

    #[track_caller]
    pub(crate) fn apply(&self, plan: &Plan) {
        if let Err(failed) = self.0.apply(plan) {
            panic!("{failed}: {}", failed.cause);
        }
    }

    /// All of it.
    pub(crate) fn seen(&self) -> Observed {
        let state = self.0.read();
        let scope = ObserveScope {
            links: state.namespaces[&NamespaceAt::Host].links.keys().cloned().collect(),
            namespaces: state.namespaces.keys().cloned().collect(),
            sysctls: state.sysctls.keys().cloned().collect(),
        };
        self.0.observe(&scope).expect("a fake answers")
    }

    pub(crate) fn firewall(&self) -> BTreeSet<Element> {
        self.0.read().elements
    }

    pub(crate) fn change_externally<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        self.0.change_externally(change)
    }
}

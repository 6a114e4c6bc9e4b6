//! A host that dies under those who ask it.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use cnm::{
    firewall::Element,
    id::{LinkName, SandboxId},
    observed::{ObserveScope, Observed},
    plan::{Op, Plan},
    resource::{LinkAt, Place, Resource},
};
use kernel::{
    AdminChains, Adoption, Applied, Error, Failed, Family, FirewallWatch, ForeignDrop, Forwarding, Host, HostFacts,
    LinkWatch, Repaired, fake::FakeHost,
};
use tokio::sync::Notify;

/// A host that stops in the middle of a plan, as if its caller had been killed: it does no more and never answers. It may do
/// so for some links alone, while all else goes on.
pub(super) struct CrashingHost {
    host: Arc<FakeHost>,
    /// Operations left until then.
    left: Mutex<Option<usize>>,
    /// Whatever concerns these links of the host's is never answered.
    dead_links: Mutex<BTreeSet<LinkName>>,
    /// At which operations it died, for such a link.
    died_at: Mutex<Vec<Op>>,
    pub(super) dead: Notify,
    buried: Mutex<bool>,
    burial: Condvar,
}

/// Buries it, however the test ends.
pub(super) struct Burial(pub(super) Arc<CrashingHost>);

impl Drop for Burial {
    fn drop(&mut self) {
        self.0.bury();
    }
}

impl CrashingHost {
    pub(super) fn new(host: Arc<FakeHost>) -> Self {
        Self {
            host,
            left: Mutex::new(None),
            dead_links: Mutex::default(),
            died_at: Mutex::default(),
            dead: Notify::new(),
            buried: Mutex::new(false),
            burial: Condvar::new(),
        }
    }

    pub(super) fn dies_after(&self, operations: usize) {
        *self.left.lock().expect("not poisoned") = Some(operations);
    }

    pub(super) fn dies_at(&self, links: impl IntoIterator<Item = LinkName>) {
        self.dead_links.lock().expect("not poisoned").extend(links);
    }

    /// Waits until it has died once more; at which operation.
    pub(super) async fn died_at(&self) -> Op {
        self.dead.notified().await;
        self.died_at.lock().expect("not poisoned").pop().expect("an operation")
    }

    fn concerns_dead_link(&self, resource: &Resource) -> bool {
        let dead = self.dead_links.lock().expect("not poisoned");
        let is_dead =
            |place| matches!(place, Place::Link(link) if dead.iter().any(|dead| link == LinkAt::on_host(dead)));
        resource.places().into_iter().chain(resource.needs()).any(is_dead)
    }

    /// Lets the threads that hang in it end with the test.
    pub(super) fn bury(&self) {
        *self.buried.lock().expect("not poisoned") = true;
        self.burial.notify_all();
    }

    /// Whether one more operation may be done.
    fn lives(&self) -> bool {
        match &mut *self.left.lock().expect("not poisoned") {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    /// One step more of whatever is done elsewhere than on this host.
    pub(super) async fn step(&self) {
        if !self.lives() {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn die<T>(&self) -> T {
        self.dead.notify_one();
        let mut buried = self.buried.lock().expect("not poisoned");
        while !*buried {
            buried = self.burial.wait(buried).expect("not poisoned");
        }
        panic!("the test is over");
    }
}

impl Host for CrashingHost {
    fn apply(&self, plan: &Plan) -> Result<Applied, Box<Failed>> {
        for op in &plan.ops {
            if self.concerns_dead_link(op.resource()) {
                self.died_at.lock().expect("not poisoned").push(op.clone());
                self.die()
            }
            if !self.lives() {
                self.die()
            }
            self.host.apply(&Plan { ops: vec![op.clone()] })?;
        }
        if !self.lives() {
            self.die()
        }
        Ok(Applied::default())
    }

    fn observe(&self, scope: &ObserveScope) -> Result<Observed, Error> {
        if !self.dead_links.lock().expect("not poisoned").is_disjoint(&scope.links) {
            self.die()
        }
        self.host.observe(scope)
    }

    fn sync_firewall(&self, elements: &BTreeSet<Element>, administrator: &AdminChains) -> Result<Repaired, Error> {
        self.host.sync_firewall(elements, administrator)
    }

    fn repair_firewall(&self) -> Result<Repaired, Error> {
        self.host.repair_firewall()
    }

    fn admin_chains(&self) -> Result<AdminChains, Error> {
        self.host.admin_chains()
    }

    fn missing_elements(&self, elements: &BTreeSet<Element>) -> Result<BTreeSet<Element>, Error> {
        self.host.missing_elements(elements)
    }

    fn watch_firewall(&self) -> Result<FirewallWatch, Error> {
        self.host.watch_firewall()
    }

    fn watch_links(&self) -> Result<LinkWatch, Error> {
        self.host.watch_links()
    }

    fn restore_link(&self, resource: &Resource) -> Result<bool, Error> {
        if self.concerns_dead_link(resource) {
            self.die()
        }
        self.host.restore_link(resource)
    }

    fn lost_namespaces(&self) -> Result<BTreeSet<SandboxId>, Error> {
        self.host.lost_namespaces()
    }

    fn is_lost(&self, sandbox: &SandboxId) -> Result<bool, Error> {
        self.host.is_lost(sandbox)
    }

    fn adopt_namespace(&self, sandbox: &SandboxId, found: &Path, host_ends: &[LinkName]) -> Result<Adoption, Error> {
        self.host.adopt_namespace(sandbox, found, host_ends)
    }

    fn finish_deletions(&self, longest: Duration) -> bool {
        self.host.finish_deletions(longest)
    }

    fn foreign_drops(&self) -> Result<Vec<ForeignDrop>, Error> {
        self.host.foreign_drops()
    }

    fn enable_forwarding(&self, family: Family, guard: bool) -> Result<Forwarding, Error> {
        self.host.enable_forwarding(family, guard)
    }

    fn allow_foreign_bridges(&self) -> Result<(), Error> {
        self.host.allow_foreign_bridges()
    }

    fn facts(&self) -> Result<HostFacts, Error> {
        self.host.facts()
    }
}

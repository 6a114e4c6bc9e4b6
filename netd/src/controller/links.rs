//! Keeps bridges and forwarding as they should be while others change them.

use std::{collections::BTreeSet, io, thread};

use cnm::{
    api::EventKind,
    diff,
    driver::DriverConfig,
    id::{LinkName, SandboxId},
    observed::Ask,
    plan::Plan,
};
use kernel::{Family, Forwarding, LinkEvent, LinkWatch};
use tokio::runtime::Handle;

use super::{Controller, ledger::Ledger};
use crate::{Error, error::chain};

/// Mends whatever somebody else breaks, on a thread of its own, for as long as notifications come.
pub(crate) fn watch_links(controller: &Controller, watch: LinkWatch) -> Result<(), Error> {
    let (owner, host, runtime) = (controller.owner.clone(), controller.host.clone(), Handle::current());
    let body = move || {
        while let Some(events) = watch.next() {
            if (events.contains(&LinkEvent::Ports) || events.contains(&LinkEvent::Lost))
                && let Err(error) = host.let_others_forward()
            {
                tracing::warn!(error = %chain(&error), "bridges of others may not forward what they should");
            }
            // Decisions wait meanwhile: none is made on what isn't there.
            if runtime.block_on(owner.decide(move |ledger| ledger.mend(&events))).is_err() {
                return;
            }
        }
        tracing::warn!("the kernel no longer tells of changes of links: they are not repaired");
    };
    let start = || -> io::Result<()> {
        thread::Builder::new().name("netd-links".to_owned()).stack_size(512 * 1024).spawn(body).map(drop)
    };
    start().map_err(Error::file("start a thread to watch", "the host's links"))
}

impl Controller {
    /// Tells whoever reads the log or follows events. It fails when netd is stopping.
    pub(crate) async fn warn(&self, message: String) {
        let _ = self.owner.decide(move |ledger| ledger.warn(message)).await;
    }
}

impl Ledger {
    /// Puts back what is missing of bridges and host ends that events name, with all that hung on them, and forwarding. What
    /// goes because we take it away belongs to networks and endpoints that are going, and is left alone.
    pub(crate) fn mend(&mut self, events: &BTreeSet<LinkEvent>) {
        let is_ours = |event: &LinkEvent| match event {
            LinkEvent::Bridge(name) => {
                self.state.network_on(name).is_some_and(|network| network.lifecycle.is_programmed())
            }
            LinkEvent::HostEnd(name) => self.has_programmed(name),
            LinkEvent::Ports => false,
            LinkEvent::ForwardingOff | LinkEvent::Lost => true,
        };
        let events: Vec<&LinkEvent> = events.iter().filter(|event| is_ours(event)).collect();
        let links = events.iter().filter_map(|event| match event {
            LinkEvent::Bridge(name) | LinkEvent::HostEnd(name) => Some(name),
            LinkEvent::Ports | LinkEvent::ForwardingOff | LinkEvent::Lost => None,
        });
        let links: Vec<&LinkName> = links.collect();
        let gone = if links.is_empty() { BTreeSet::new() } else { self.set_right(&links) };
        // With a bridge more may have gone than shows; with a host end that is there, nothing has.
        let broken: Vec<&LinkName> =
            links.into_iter().filter(|name| !name.is_host_end() || gone.contains(*name)).collect();
        if !broken.is_empty() || events.contains(&&LinkEvent::Lost) {
            self.mend_links(&broken);
        }
        if !events.is_empty() {
            self.mend_forwarding();
        }
    }

    /// Whether a host end is that of an endpoint which nobody works on at this moment.
    fn has_programmed(&self, host_end: &LinkName) -> bool {
        self.state.sandboxes().values().filter(|sandbox| sandbox.lifecycle.is_programmed()).any(|sandbox| {
            let mut endpoints = sandbox.endpoints.iter().filter(|endpoint| endpoint.lifecycle.is_programmed());
            endpoints.any(|endpoint| endpoint.interface().is_some_and(|link| link.host_end == *host_end))
        })
    }

    /// Sets up, and onto its bridge, what is still there: what is made anew loses its connections for a moment, and looks new
    /// to a program that manages links and has just set it down. Answers with what isn't there.
    fn set_right(&mut self, links: &[&LinkName]) -> BTreeSet<LinkName> {
        let (mut put_back, mut gone) = (String::new(), BTreeSet::new());
        for resource in self.state.desired(&*self.planners, &BTreeSet::new()).unwrap_or_default() {
            let Some(name) = resource.host_link() else { continue };
            if links.contains(&&name) {
                match self.host.set_right(&resource) {
                    Ok(true) => put_back.push_str(&format!(" {name}")),
                    Ok(false) => {}
                    Err(_) => drop(gone.insert(name)),
                }
            }
        }
        if !put_back.is_empty() {
            self.warn(format!(
                "somebody else set links of berth down, or took them off their bridge: put back:{put_back}"
            ));
        }
        gone
    }

    fn mend_links(&mut self, bridges: &[&LinkName]) {
        if let Some(name) = bridges.iter().find(|name| self.is_the_users(name)) {
            let message =
                format!("bridge {name}, which berth uses and did not make, was changed: see that it is there");
            return self.warn(message);
        }
        let plan = match self.missing() {
            Ok(plan) if plan.ops.is_empty() => return,
            Ok(plan) => plan,
            Err(error) => return self.warn(format!("links that were changed can't be looked at: {}", error.chain())),
        };
        // What hangs on a link that an event names may have gone as well, and be named by a later one in vain.
        let made = plan.ops.iter().filter_map(|op| op.resource().host_link());
        let names: BTreeSet<LinkName> = bridges.iter().map(|name| (*name).clone()).chain(made).collect();
        let names: String = names.into_iter().map(|name| format!(" {name}")).collect();
        let steps = plan.ops.len();
        self.warn(format!("somebody else deleted or changed links of berth{names}: {steps} steps put them back"));
        self.apply_repair(plan);
    }

    fn is_the_users(&self, bridge: &LinkName) -> bool {
        let network = self.state.network_on(bridge);
        network.is_some_and(|network| matches!(&network.config, DriverConfig::Bridge(bridge) if bridge.created_by_user))
    }

    /// What is missing of all that nobody works on at this moment.
    fn missing(&self) -> Result<Plan, Error> {
        let sandboxes = self.state.sandboxes().values();
        let at_work = sandboxes.filter(|sandbox| sandbox.endpoints.iter().any(|e| !e.lifecycle.is_programmed()));
        let at_work: BTreeSet<SandboxId> = at_work.map(|sandbox| sandbox.id().clone()).collect();
        let desired = self.state.desired(&*self.planners, &at_work)?;
        let observed = self.host.observe(&Ask::about(&desired)).map_err(Error::host("observe the host's links"))?;
        Ok(diff::missing(&desired, &observed))
    }

    fn mend_forwarding(&mut self) {
        match self.host.enable_forwarding(Family::Ipv4, self.forwarding_drop) {
            Ok(Forwarding::WasOn) => {}
            Ok(Forwarding::SwitchedOn) => {
                self.shown.set_forwarding_by_us();
                self.publish();
                self.warn(
                    "somebody else switched IPv4 forwarding off, which containers need: it is on again".to_owned(),
                );
            }
            Err(error) => self.warn(format!("IPv4 forwarding is off and can't be switched on: {}", chain(&error))),
        }
    }

    fn warn(&mut self, message: String) {
        tracing::warn!("{message}");
        self.announce(EventKind::Warning, message);
    }
}

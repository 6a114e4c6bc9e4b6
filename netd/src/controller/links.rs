//! Repairs bridges, host ends and forwarding after others have changed them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, thread,
};

use cnm::{
    diff,
    driver::DriverConfig,
    id::{LinkName, NetworkId, SandboxId},
    observed::ObserveScope,
    plan::Plan,
    resource::{Resource, Resources},
};
use kernel::{Family, Forwarding, Host, LinkEvent, LinkWatch};
use nix::errno::Errno;
use tokio::runtime::Handle;

use super::{
    Controller,
    lanes::{LaneGuard, LaneKey},
    start::apply_repair,
    state::ControllerState,
};
use crate::{Error, error::chain};

/// Repairs whatever somebody else breaks, on a thread of its own, for as long as notifications come.
pub(crate) fn watch_links(controller: &Controller, watch: LinkWatch) -> Result<(), Error> {
    let (controller, runtime) = (controller.clone(), Handle::current());
    let body = move || {
        while let Some(events) = watch.next() {
            if (events.contains(&LinkEvent::Ports) || events.contains(&LinkEvent::Lost))
                && let Err(error) = controller.host.allow_foreign_bridges()
            {
                tracing::warn!(error = %chain(&error), "bridges of others may not forward what they should");
            }
            if runtime.block_on(controller.repair_links(events)).is_err() {
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

/// What may have been changed of one network.
#[derive(Debug, Default, Clone)]
pub(crate) struct RepairScope {
    /// Its bridge and all that hangs on it: with a bridge more may have gone than shows.
    bridge: Option<NetworkId>,
    sandboxes: BTreeSet<SandboxId>,
    /// Links that events name.
    links: BTreeSet<LinkName>,
}

/// What was found and done about it.
#[derive(Debug, Default)]
struct RepairReport {
    restored: Vec<LinkName>,
    /// What is made anew, or lacks something.
    made: BTreeSet<LinkName>,
    /// What can't be made anew, since nothing is left of where it led.
    gone: BTreeSet<LinkName>,
    steps: usize,
    failures: Vec<String>,
}

impl Controller {
    /// Tells whoever reads the log or follows events. It fails when netd is stopping.
    pub(crate) async fn warn(&self, message: String) {
        let _ = self.state.decide(move |state| state.warn(message)).await;
    }

    /// Has all looked at that events speak of, each network's by itself and in the lanes of what is looked at.
    pub(super) async fn repair_links(&self, events: BTreeSet<LinkEvent>) -> Result<(), Error> {
        let (scopes, any) = self.state.decide(move |state| state.repair_scopes(&events)).await?;
        for scope in scopes {
            tokio::spawn(self.clone().repair_when_free(scope));
        }
        if any {
            self.repair_forwarding().await;
        }
        Ok(())
    }

    /// Looks at what nobody works on at this moment, and at the rest when that is done.
    async fn repair_when_free(self, mut scope: RepairScope) {
        let mut guards: Vec<LaneGuard> = Vec::new();
        scope.sandboxes.retain(|id| match self.lanes.try_enter(LaneKey::Sandbox(id.clone())) {
            Some(guard) => {
                guards.push(guard);
                true
            }
            None => {
                let busy = RepairScope { bridge: None, sandboxes: [id.clone()].into(), links: scope.links.clone() };
                tokio::spawn(self.clone().repair_later(busy, LaneKey::Sandbox(id.clone())));
                false
            }
        });
        match scope.bridge.clone() {
            Some(bridge) => self.repair_later(scope, LaneKey::Network(bridge)).await,
            None => self.repair_in_lane(scope).await,
        }
        drop(guards);
    }

    async fn repair_later(self, scope: RepairScope, lane: LaneKey) {
        let _lane = self.lanes.enter(lane).await;
        self.repair_in_lane(scope).await;
    }

    /// Puts back what is missing, with all that hung on it. To be called in the lanes of what is looked at.
    async fn repair_in_lane(&self, scope: RepairScope) {
        let links = scope.links.clone();
        let Ok(desired) = self.state.decide(move |state| state.desired_of(&scope)).await else { return };
        let desired = match desired {
            Ok(desired) => desired,
            Err(message) => return self.warn(message).await,
        };
        let report =
            self.on_host("observe the host's links", move |host| look_and_repair(host, &desired, &links)).await;
        match report {
            Ok(report) => self.report_repair(report).await,
            Err(error) => self.warn(format!("links that were changed can't be looked at: {}", error.chain())).await,
        }
    }

    async fn report_repair(&self, report: RepairReport) {
        let listed =
            |links: &mut dyn Iterator<Item = LinkName>| links.map(|name| format!(" {name}")).collect::<String>();
        let RepairReport { restored, made, gone, steps, failures } = report;
        if !gone.is_empty() {
            let links = listed(&mut gone.into_iter());
            tracing::info!("links of berth{links} went with the network namespaces that they led into");
        }
        if !restored.is_empty() {
            let restored = listed(&mut restored.into_iter());
            self.warn(format!(
                "somebody else set links of berth down, or took them off their bridge: put back:{restored}"
            ))
            .await;
        }
        if failures.is_empty() && steps > 0 {
            let names = listed(&mut made.into_iter());
            self.warn(format!("somebody else deleted or changed links of berth{names}: {steps} steps put them back"))
                .await;
        } else if !failures.is_empty() {
            let (names, failed) = (listed(&mut made.into_iter()), failures.join("; "));
            self.warn(format!("somebody else deleted, changed or renamed links of berth{names}, and they can't be put back ({failed}): remove the sandboxes on them and make them again")).await;
        }
    }

    async fn repair_forwarding(&self) {
        let drops = self.identity.forwarding_drop;
        let switched =
            self.on_host("switch IPv4 forwarding on", move |host| host.enable_forwarding(Family::Ipv4, drops));
        match switched.await {
            Ok(Forwarding::WasOn) => {}
            Ok(Forwarding::SwitchedOn) => {
                let told = self.state.decide(|state| {
                    state.read_view.set_forwarding_by_us();
                    state.publish();
                    state.warn(
                        "somebody else switched IPv4 forwarding off, which containers need: it is on again".to_owned(),
                    );
                });
                // It fails when netd is stopping.
                let _ = told.await;
            }
            Err(error) => {
                self.warn(format!("IPv4 forwarding is off and can't be switched on: {}", error.chain())).await
            }
        }
    }
}

/// Sets up, and onto its bridge, what is still there: what is made anew loses its connections for a moment, and looks new to a
/// program that manages links and has just set it down. Then makes what isn't there.
fn look_and_repair(
    host: &dyn Host,
    desired: &Resources,
    links: &BTreeSet<LinkName>,
) -> Result<RepairReport, kernel::Error> {
    let mut report = RepairReport::default();
    // With a host end that is there, nothing else has gone.
    let mut is_broken = links.is_empty();
    let mut lost_bridge = false;
    let mut absent = BTreeSet::new();
    for resource in desired {
        let Some(name) = resource.host_link() else { continue };
        let is_bridge = matches!(resource, Resource::Bridge(_));
        let is_named = links.contains(&name);
        if !(is_named || is_bridge || lost_bridge) {
            continue;
        }
        let is_absent = match host.restore_link(resource) {
            Ok(was_wrong) => {
                report.restored.extend(was_wrong.then(|| name.clone()));
                false
            }
            Err(error) if error.errno() == Some(Errno::ENODEV as i32) => true,
            // What is there isn't made anew: it would lose its connections.
            Err(error) => {
                report.failures.push(chain(&error));
                report.made.insert(name);
                continue;
            }
        };
        if is_bridge && is_absent {
            // The kernel leaves its ports without one: they are put onto the new one.
            report.make_missing(host, &with_its_parts(resource, desired))?;
            lost_bridge = true;
        }
        is_broken |= is_absent || (is_bridge && is_named);
        if is_absent {
            absent.insert(name);
        } else if is_bridge && is_named {
            report.made.insert(name);
        }
    }
    if is_broken {
        report.make_missing(host, desired)?;
    }
    report.gone = absent.difference(&report.made).cloned().collect();
    Ok(report)
}

/// A link and what goes with it.
fn with_its_parts(link: &Resource, desired: &Resources) -> Resources {
    let places = link.places();
    let is_of_it =
        |other: &&Resource| *other == link || other.is_part_of().is_some_and(|place| places.contains(&place));
    desired.iter().filter(is_of_it).cloned().collect()
}

impl RepairReport {
    fn make_missing(&mut self, host: &dyn Host, desired: &Resources) -> Result<(), kernel::Error> {
        let (plan, failures) = make_missing(host, desired)?;
        self.steps += plan.ops.len();
        // What hangs on a link that an event names may have gone as well, and be named by a later one in vain.
        self.made.extend(plan.ops.iter().filter_map(|op| op.resource().host_link()));
        self.failures.extend(failures);
        Ok(())
    }
}

/// Makes what the kernel lacks, and answers with what that took and what failed.
pub(super) fn make_missing(host: &dyn Host, desired: &Resources) -> Result<(Plan, Vec<String>), kernel::Error> {
    let observed = host.observe(&ObserveScope::of(desired))?;
    let plan = diff::missing(desired, &observed);
    let failures = if plan.ops.is_empty() { Vec::new() } else { apply_repair(host, plan.clone()) };
    Ok((plan, failures))
}

impl ControllerState {
    /// What events may mean for objects that nobody works on, network by network, and whether they mean anything to us. What
    /// goes because we take it away belongs to networks and endpoints that are going, and is left alone.
    fn repair_scopes(&self, events: &BTreeSet<LinkEvent>) -> (Vec<RepairScope>, bool) {
        let mut by_network: BTreeMap<NetworkId, RepairScope> = BTreeMap::new();
        let mut any = false;
        for event in events {
            match event {
                LinkEvent::Ports => {}
                LinkEvent::ForwardingOff => any = true,
                LinkEvent::Lost => {
                    any = true;
                    self.model
                        .networks()
                        .keys()
                        .for_each(|id| self.add_all_of(id, by_network.entry(id.clone()).or_default()));
                }
                LinkEvent::Bridge(name) => {
                    let network = self.model.network_on(name).filter(|network| network.lifecycle.is_programmed());
                    let Some(network) = network else { continue };
                    any = true;
                    let scope = by_network.entry(network.id.clone()).or_default();
                    scope.links.insert(name.clone());
                    self.add_all_of(&network.id, scope);
                }
                LinkEvent::HostEnd(name) => {
                    let Some((sandbox, network)) = self.holder_of(name) else { continue };
                    any = true;
                    let scope = by_network.entry(network.clone()).or_default();
                    scope.links.insert(name.clone());
                    scope.sandboxes.insert(sandbox);
                    // A port that lost its bridge is named before the bridge is.
                    scope.bridge = Some(network);
                }
            }
        }
        (by_network.into_values().collect(), any)
    }

    fn add_all_of(&self, network: &NetworkId, scope: &mut RepairScope) {
        scope.bridge = Some(network.clone());
        scope.sandboxes.extend(self.model.members(network).map(|(sandbox, _)| sandbox.id().clone()));
    }

    /// Whose host end that is, of endpoints that are there for good.
    fn holder_of(&self, host_end: &LinkName) -> Option<(SandboxId, NetworkId)> {
        self.model.sandboxes().values().filter(|sandbox| sandbox.lifecycle.is_programmed()).find_map(|sandbox| {
            let endpoint =
                sandbox.endpoints.iter().find(|end| end.interface().is_some_and(|link| link.host_end == *host_end))?;
            Some((sandbox.id().clone(), endpoint.network.clone()))
        })
    }

    /// All that there should be in a scope; else what to tell.
    fn desired_of(&self, scope: &RepairScope) -> Result<Resources, String> {
        let name = scope.bridge.as_ref().and_then(|id| self.model.networks().get(id)?.link());
        if let Some(name) = name.filter(|name| scope.links.contains(*name) && self.is_the_users(name)) {
            return Err(format!("bridge {name}, which berth uses and did not make, was changed: see that it is there"));
        }
        self.model
            .desired_of(&*self.planners, scope.bridge.as_ref(), &scope.sandboxes)
            .map_err(|error| format!("links that were changed can't be looked at: {error}"))
    }

    fn is_the_users(&self, bridge: &LinkName) -> bool {
        let network = self.model.network_on(bridge);
        network.is_some_and(|network| matches!(&network.config, DriverConfig::Bridge(bridge) if bridge.created_by_user))
    }
}

//! Repairs the firewall's table after others have changed it, and warns of chains of others that drop packets.

use std::{io, sync::Arc, thread};

use cnm::api::EventKind;
use kernel::{AdminChains, FirewallEvent, FirewallWatch, ForeignDrop, Host, Repaired};
use tokio::runtime::Handle;

use super::{Controller, state_thread::StateThread};
use crate::{Error, error::chain, store::Store};

/// Repairs the table whenever somebody else changes it, on a thread of its own, for as long as notifications come.
pub(crate) fn watch_firewall(controller: &Controller, watch: FirewallWatch, store: Arc<Store>) -> Result<(), Error> {
    let guard =
        Guard { host: controller.host.clone(), state: controller.state.clone(), store, runtime: Handle::current() };
    let body = move || {
        while let Some(events) = watch.next() {
            for event in events {
                match event {
                    FirewallEvent::Changed => guard.repair(),
                    FirewallEvent::Administrator => guard.copy_admin_chains(),
                    FirewallEvent::Elsewhere => guard.look_for_drops(),
                }
            }
        }
        tracing::warn!("the kernel no longer tells of changes of the firewall: they are not repaired");
    };
    let start = || -> io::Result<()> {
        thread::Builder::new().name("netd-firewall".to_owned()).stack_size(512 * 1024).spawn(body).map(drop)
    };
    start().map_err(Error::file("start a thread to watch", "the firewall"))
}

struct Guard {
    host: Arc<dyn Host>,
    state: StateThread,
    store: Arc<Store>,
    runtime: Handle,
}

impl Guard {
    /// It may be whole already, when a request's own change met the damage first.
    fn repair(&self) {
        match self.host.repair_firewall() {
            Ok(Repaired::Unchanged) => {}
            Ok(Repaired::Changed) => {
                tracing::warn!("somebody else changed table inet berth: it is as it should be again");
                self.announce(
                    EventKind::FirewallRepaired,
                    "somebody else changed table inet berth: it is as it should be again".to_owned(),
                );
            }
            Err(error) => {
                let message = format!("table inet berth can't be repaired: {}", chain(&error));
                tracing::error!("{message}");
                self.announce(EventKind::Warning, message);
            }
        }
    }

    /// The administrator's rules are kept, to be brought back when somebody flushes them together with ours.
    fn copy_admin_chains(&self) {
        match self.host.admin_chains() {
            Ok(chains) => self.runtime.block_on(keep_admin_chains(&self.store, chains)),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the chains user-pre and user-post can't be read");
            }
        }
    }

    fn look_for_drops(&self) {
        match self.host.foreign_drops() {
            // It fails when netd is stopping.
            Ok(drops) => drop(self.runtime.block_on(self.state.decide(|state| state.warn_of_drops(drops)))),
            Err(error) => tracing::warn!(error = %chain(&error), "other programs' firewall rules can't be read"),
        }
    }

    fn announce(&self, what: EventKind, message: String) {
        // It fails when netd is stopping.
        let _ = self.runtime.block_on(self.state.decide(move |state| state.emit_message(what, message)));
    }
}

async fn keep_admin_chains(store: &Store, chains: AdminChains) {
    if let Err(error) = store.put_admin_chains(chains).done().await {
        tracing::warn!(error = %error.chain(), "the copy of the chains user-pre and user-post is not stored");
    }
}

/// What an administrator should know of a chain that drops forwarded packets.
pub(super) fn describe_drop(drop: &ForeignDrop) -> String {
    let how = if drop.by_policy { "drops by its policy" } else { "has a rule that drops" };
    format!(
        "chain {} {how}: it may drop packets from and to containers, whatever berth allows; let it accept them",
        drop.chain
    )
}

impl Controller {
    /// Warns of chains of others that drop forwarded packets: at start and when ports are published. Those that were
    /// warned of before aren't mentioned again.
    pub(super) async fn warn_of_foreign_drops(&self) {
        let drops = match self.on_host("read the host's firewall", |host| host.foreign_drops()).await {
            Ok(drops) => drops,
            Err(error) => return tracing::warn!(error = %error.chain(), "other programs' firewall rules can't be read"),
        };
        // It fails when netd is stopping.
        let _ = self.state.decide(move |state| state.warn_of_drops(drops)).await;
    }
}

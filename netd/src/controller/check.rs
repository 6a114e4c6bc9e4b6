//! `GET …/check`: the difference between one sandbox and what the kernel holds.

use std::collections::BTreeSet;

use cnm::{
    Kind, api::SandboxCheck, diff, firewall::Element, id::SandboxId, observed::ObserveScope, ports, resource::Resource,
};

use super::{Controller, lanes::LaneKey, state::ControllerState};
use crate::Error;

impl Controller {
    /// Says what is missing of a sandbox, or otherwise than it should be, when nobody works on it.
    #[tracing::instrument(level = "debug", skip(self))]
    pub(crate) async fn check_sandbox(&self, id: SandboxId) -> Result<SandboxCheck, Error> {
        let _lane = self.lanes.enter(LaneKey::Sandbox(id.clone())).await;
        let asked = id.clone();
        let decided = self.state.decide(move |state| {
            if state.sandbox(&asked)?.lifecycle.is_going() {
                let message = format!("sandbox {asked} is being removed: there is nothing to compare");
                return Err(cnm::Error::new(Kind::Conflict, message).into());
            }
            Ok::<_, Error>((state.before_change(&asked)?, state.not_held(&asked)?))
        });
        let ((desired, unwanted), not_held) = decided.await??;
        let compared = self.on_host("look at the host's network", move |host| {
            let observed = host.observe(&ObserveScope::of(desired.iter().chain(&unwanted)))?;
            let elements: BTreeSet<Element> = desired.iter().filter_map(element).cloned().collect();
            let missing = host.missing_elements(&elements)?;
            let mut check = diff::compare(&desired, &unwanted, &observed, &missing);
            if host.is_lost(&id)? {
                let words = format!("netns keep {id} (nobody keeps it until its owner says where it is)");
                check.missing.insert(0, words);
            }
            Ok(check)
        });
        Ok(SandboxCheck { not_held, ..compared.await? })
    }
}

impl ControllerState {
    /// Ports of a sandbox that nothing of ours is bound to, in words.
    fn not_held(&self, id: &SandboxId) -> Result<Vec<String>, Error> {
        let sandbox = self.sandbox(id)?;
        let missing = self.port_sockets.missing(id, ports::sockets(&sandbox.ports));
        let words = missing.iter().map(|socket| {
            let address = std::net::SocketAddr::new(socket.address, socket.port);
            format!("{address}/{}", socket.protocol)
        });
        Ok(words.collect())
    }
}

const fn element(resource: &Resource) -> Option<&Element> {
    match resource {
        Resource::Element(element) => Some(element),
        _ => None,
    }
}

//! Decisions about networks.

use std::{collections::BTreeSet, sync::Arc};

use cnm::{
    api::EventKind,
    driver::HostView,
    grant::{GrantRequest, Grants, Holder},
    id::NetworkId,
    network::Network,
    plan::Plan,
    spec::{NetworkRef, NetworkSpec},
};

use super::{ControllerState, Gone, remaining};
use crate::{Error, error::chain, events::NewEvent, store::Commit};

/// What asking for a network leads to.
#[derive(Debug)]
pub(crate) enum NetworkDecision {
    /// Others have to be asked first.
    NeedsGrants(Vec<GrantRequest>),
    /// It is *Reserved*.
    Reserved(NewNetwork),
}

/// A network that is *Reserved*: to be stored, then applied.
#[derive(Debug)]
pub(crate) struct NewNetwork {
    pub(crate) network: Arc<Network>,
    pub(crate) plan: Plan,
    pub(crate) commit: Commit,
}

impl ControllerState {
    /// Reserves a network, on the host as it was just seen.
    pub(crate) fn reserve_network(
        &mut self,
        spec: NetworkSpec,
        predefined: bool,
        view: HostView,
        grants: &Grants,
    ) -> Result<NetworkDecision, Error> {
        let requests = self
            .with_grants(&BTreeSet::new(), grants, |model, context| model.grant_requests_of_network(&spec, context))?;
        if !requests.is_empty() {
            return Ok(NetworkDecision::NeedsGrants(requests));
        }
        self.host_view = view;
        let (network, plan) = self
            .with_grants(&BTreeSet::new(), grants, |model, context| model.create_network(spec, predefined, context))?;
        let network = self.show_network(network);
        let commit = self.store.put_network(network.clone());
        Ok(NetworkDecision::Reserved(NewNetwork { network, plan, commit }))
    }

    /// The kernel has the network.
    pub(crate) fn network_programmed(&mut self, id: &NetworkId) -> Result<(Arc<Network>, Commit), Error> {
        let network = self.model.network_programmed(id)?;
        let network = self.show_network(network);
        self.emit_network(EventKind::NetworkCreated, &network);
        let commit = self.store.put_network(network.clone());
        Ok((network, commit))
    }

    /// The network did not come to be; what could not be undone is kept to be undone later.
    pub(crate) fn network_failed(&mut self, id: &NetworkId, error: &Error) -> Option<Gone> {
        match remaining(error) {
            Some(plan) => self.network_stuck(id, plan, chain(error)).map(Gone::not_yet),
            None => self.drop_network(id),
        }
    }

    /// Which network is meant.
    pub(crate) fn network_id(&self, reference: &NetworkRef) -> Result<NetworkId, Error> {
        Ok(self.model.network(reference)?.id.clone())
    }

    /// The network is to go.
    pub(crate) fn network_leaving(&mut self, id: &NetworkId) -> Result<(Plan, Commit), Error> {
        let reference: NetworkRef = id.as_str().parse()?;
        let (network, plan) = self.model.remove_network(&*self.planners, &reference)?;
        let network = self.show_network(network);
        Ok((plan, self.store.put_network(network)))
    }

    /// Taking the network down stopped.
    pub(crate) fn network_stuck(&mut self, id: &NetworkId, plan: Plan, error: String) -> Option<Commit> {
        let network = self.model.network_stuck(id, plan, error).ok()?;
        let network = self.show_network(network);
        Some(self.store.put_network(network))
    }

    /// The network is gone.
    pub(crate) fn network_gone(&mut self, id: &NetworkId) -> Option<Gone> {
        let network = self.model.networks().get(id).cloned()?;
        let gone = self.drop_network(id);
        // Once readers see it gone.
        self.emit_network(EventKind::NetworkRemoved, &network);
        gone
    }

    fn drop_network(&mut self, id: &NetworkId) -> Option<Gone> {
        self.model.forget_network(id)?;
        self.read_view.remove_network(id);
        self.publish();
        let commit = self.store.delete_network(id.clone());
        let due = self.owed.given_up([Holder { network: id.clone(), endpoint: None }]);
        Some(Gone { due, ..Gone::not_yet(commit) })
    }

    fn emit_network(&mut self, what: EventKind, network: &Network) {
        let revision = self.emit(NewEvent::of_network(what, network));
        drop(self.store.put_revision(revision));
    }

    pub(super) fn show_network(&mut self, network: Network) -> Arc<Network> {
        let network = Arc::new(network);
        self.read_view.put_network(network.clone());
        self.publish();
        network
    }
}

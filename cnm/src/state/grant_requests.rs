//! Grants to request of others before a decision: none for drivers that know by themselves.

use super::{Context, State, changes::check_identity};
use crate::{
    Error,
    grant::{EndpointGrantRequest, GrantRequest, Holder, NetworkGrantRequest},
    id::{EndpointId, NetworkId, SandboxId},
    spec::{EndpointSpec, NetworkSpec, SandboxSpec},
};

impl State {
    /// What to ask before [`State::create_network`], unless it has been granted already.
    ///
    /// # Errors
    /// When the network can't be made whatever the answer: nobody is asked in vain.
    pub fn grant_requests_of_network(
        &self,
        spec: &NetworkSpec,
        context: &mut Context<'_>,
    ) -> Result<Vec<GrantRequest>, Error> {
        if context.grants.network.is_some() || context.planners.grantor(&spec.driver).is_none() {
            return Ok(Vec::new());
        }
        self.check_new(spec, false, context.planners)?;
        let network = NetworkId::from_bytes((context.random)());
        Ok(vec![GrantRequest::Network(NetworkGrantRequest { network, spec: spec.clone() })])
    }

    /// What to ask before [`State::put_sandbox`] or [`State::change`], beyond what has been granted already.
    ///
    /// # Errors
    /// When the sandbox can't be made whatever the answers: nobody is asked in vain.
    pub fn grant_requests_of_put(
        &self,
        spec: &SandboxSpec,
        context: &mut Context<'_>,
    ) -> Result<Vec<GrantRequest>, Error> {
        let there = self.sandboxes.get(&spec.id);
        if there.is_some_and(|there| there.spec == *spec) {
            return Ok(Vec::new());
        }
        let requests = self.grant_requests(&spec.id, &spec.endpoints, context);
        if !requests.is_empty() {
            there.map_or(Ok(()), |there| check_identity(there, spec))?;
            self.check_attachments(spec, context.planners)?;
        }
        Ok(requests)
    }

    /// What to ask before [`State::connect`], unless it has been granted already.
    ///
    /// # Errors
    /// When the endpoint can't be made whatever the answer: nobody is asked in vain.
    pub fn grant_requests_of_connect(
        &self,
        id: &SandboxId,
        spec: &EndpointSpec,
        context: &mut Context<'_>,
    ) -> Result<Vec<GrantRequest>, Error> {
        let requests = self.grant_requests(id, std::slice::from_ref(spec), context);
        if !requests.is_empty() {
            self.check_connect(self.sandbox(id)?, spec, context.planners)?;
        }
        Ok(requests)
    }

    /// Whether somebody here has what was given for a holder.
    pub fn has(&self, holder: &Holder) -> bool {
        match &holder.endpoint {
            None => self.networks.contains_key(&holder.network),
            Some((sandbox, endpoint)) => self
                .sandboxes
                .get(sandbox)
                .is_some_and(|sandbox| sandbox.all_endpoints().any(|other| other.id == *endpoint)),
        }
    }

    /// On networks that the sandbox is on already there is nothing to ask. Those that don't exist are for the decision to refuse.
    fn grant_requests(&self, id: &SandboxId, wanted: &[EndpointSpec], context: &mut Context<'_>) -> Vec<GrantRequest> {
        let there = self.sandboxes.get(id).map_or(&[][..], |sandbox| &sandbox.endpoints);
        let is_on = |network: &NetworkId| there.iter().any(|endpoint| endpoint.network == *network);
        let mut requests = Vec::new();
        for spec in wanted {
            let Ok(network) = self.network(&spec.network) else { continue };
            let is_granted = context.grants.endpoints.contains_key(&network.id);
            if is_granted || is_on(&network.id) || context.planners.grantor(&network.spec.driver).is_none() {
                continue;
            }
            let endpoint = EndpointId::from_bytes((context.random)());
            let (network, sandbox, spec) = (network.clone(), id.clone(), spec.clone());
            requests.push(GrantRequest::Endpoint(Box::new(EndpointGrantRequest { network, sandbox, endpoint, spec })));
        }
        requests
    }
}
